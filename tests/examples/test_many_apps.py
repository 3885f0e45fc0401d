"""many-apps: applications with separate environments and separate deploys."""

import json

import pytest

pytestmark = pytest.mark.ray

SIZES, TIMES = "many-apps-sizes", "many-apps-times"


def test_each_application_has_its_own_package_version_and_variables(
    example,
):
    assert ask(example, "/many-apps/sizes?bytes=1000000") == ("976.6 KiB", "4.9.0")
    assert ask(example, "/many-apps/times?seconds=7200") == ("2 Stunden", "4.12.0")


def test_deploying_one_application_does_not_affect_the_other(example, folder):
    sizes, times = example.replica_pids(SIZES), example.replica_pids(TIMES)
    example.run("deploy", str(folder / "times.yaml"))
    assert ask(example, "/many-apps/times?seconds=7200") == ("2 heures", "4.12.0")
    assert example.replica_pids(TIMES).isdisjoint(times)
    assert example.replica_pids(SIZES) == sizes
    assert ask(example, "/many-apps/sizes?bytes=1000000") == ("976.6 KiB", "4.9.0")


def ask(example, path: str) -> tuple[str, str]:
    status, text = example.get(path)
    assert status == 200, text
    answer = json.loads(text)
    return answer["text"], answer["humanize"]
