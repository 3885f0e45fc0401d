"""The wheel and the sdist install into empty environments and work with each extra."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.package

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
KUBERNETES_STACK = "config:\n  raylift:target: kubernetes\n"


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder]
    subprocess.run([*command, ROOT], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def environment(dist, tmp_path_factory):
    """Return a function that installs a distribution and returns its `bin` folder."""

    def install(pattern, extra=""):
        (distribution,) = dist.glob(pattern)
        folder = tmp_path_factory.mktemp("environment")
        subprocess.run([UV, "venv", "--quiet", folder], check=True)
        install = [
            UV,
            "pip",
            "install",
            "--quiet",
            "--python",
            folder / "bin" / "python",
        ]
        install += ["--constraints", ROOT / "requirements-dev.txt"]
        requirement = f"raylift{extra} @ {distribution.as_uri()}"
        subprocess.run([*install, "setuptools"], check=True)
        subprocess.run([*install, "--no-build-isolation", requirement], check=True)
        return folder / "bin"

    return install


def _run(folder, *command):
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False
    )


def _imports(python, folder, *modules):
    code = f"import {', '.join(modules)}"
    return _run(folder, python, "-c", code)


def _project(raylift, folder):
    assert _run(folder, raylift, "init").returncode == 0
    (folder / "stacks" / "Pulumi.kubernetes.yaml").write_text(KUBERNETES_STACK)


def test_a_distribution_holds_one_package_and_nothing_compiled(dist):
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = opened.namelist()
    with tarfile.open(sdist) as opened:
        in_sdist = opened.getnames()
    tops = {name.split("/")[0] for name in in_wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"raylift"}
    for names in (in_wheel, in_sdist):
        assert not [name for name in names if name.endswith(".pyc")]
        for needed in ("py.typed", "infra/aws/instance_types.tsv", "cli/templates"):
            assert any(f"raylift/{needed}" in name for name in names), needed


@pytest.mark.parametrize(
    "pattern", ["*.whl", pytest.param("*.tar.gz", marks=pytest.mark.long)]
)
def test_the_core_works_without_extras(environment, tmp_path, pattern):
    raylift = environment(pattern) / "raylift"
    version = _run(tmp_path, raylift, "--version")
    assert (version.returncode, version.stdout.split()[0]) == (0, "raylift")
    _project(raylift, tmp_path)
    dry_run = _run(tmp_path, raylift, "deploy", "--dry-run")
    assert (dry_run.returncode, dry_run.stderr) == (
        3,
        "error: stack 'local' is not up\n hint: run `raylift up -s local`\n",
    )
    for command, extra in (["up"], "local"), (["up", "-s", "kubernetes"], "kubernetes"):
        missing = _run(tmp_path, raylift, *command)
        assert missing.returncode == 3, missing.stderr
        assert "is not installed" in missing.stderr
        assert f'pip install "raylift[{extra}]"' in missing.stderr


@pytest.mark.long
def test_the_local_extra_serves_with_ray(environment, tmp_path):
    python = environment("*.whl", "[local]") / "python"
    assert _imports(python, tmp_path, "raylift.splitter").stderr == ""
    assert _imports(python, tmp_path, "pulumi").returncode == 1


@pytest.mark.long
def test_the_kubernetes_extra_works_without_aws(environment, tmp_path):
    folder = environment("*.whl", "[kubernetes]")
    _project(folder / "raylift", tmp_path)
    used = ("raylift.infra.kubernetes.program", "raylift.infra.engine.pulumi_stack")
    assert _imports(folder / "python", tmp_path, *used).stderr == ""
    for absent in ("pulumi_aws", "boto3", "ray"):
        assert _imports(folder / "python", tmp_path, absent).returncode == 1
    preview = _run(tmp_path, folder / "raylift", "preview", "-s", "kubernetes")
    assert preview.returncode in {2, 3}, preview.stderr
    assert "pip install" not in preview.stderr


@pytest.mark.long
def test_the_aws_extra_has_what_target_aws_needs(environment, tmp_path):
    python = environment("*.whl", "[aws]") / "python"
    assert _imports(python, tmp_path, "raylift.infra.aws.program", "boto3").stderr == ""
