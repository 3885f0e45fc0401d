"""What `raylift config` shows of variables in plain text."""

from typer.testing import CliRunner

from raylift.cli.main import app


def test_variables_with_the_name_of_a_secret_are_hidden(tmp_path, monkeypatch):
    (tmp_path / "Pulumi.yaml").write_text("name: t\nruntime: python\n")
    (tmp_path / "stacks").mkdir()
    env = "{HF_TOKEN: hunter2, LEVEL: debug}"
    text = f"config: {{raylift:target: local, raylift:ray: {{env: {env}}}}}\n"
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--json"], ["--resolved"]):
        shown = CliRunner().invoke(app, ["config", *options]).stdout
        assert "hunter2" not in shown
        assert "HF_TOKEN" in shown
        assert "debug" in shown
