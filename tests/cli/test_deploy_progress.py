"""The progress of a deploy on stderr."""

from __future__ import annotations

from dataclasses import replace

from raylift.cli.output.deploy import Progress
from raylift.serve_runtime.deploy.watch import Observation
from raylift.serve_runtime.status.status import ApplicationStatus

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----"
MESSAGE = (
    "Deploying app 'a' failed:\n\x1b[36mTraceback (most recent call last):\x1b[39m\r\n"
    '  File "model.py", line 3\x07\n'
    "  login(user='me', password='hunter2')\n"
    "  {'HF_TOKEN': 'abcdefgh', 'LEVEL': 'debug'}\n"
    f"{KEY}\x1b\x1b[0m[2J\x9b2J\u202e\n"
    "ValueError: Bearer abcdefgh12345678 for https://me:pw@host/x\n"
)
APPLICATION = ApplicationStatus("a", "DEPLOY_FAILED", MESSAGE, "/", "", None, ())


def _observation(application=APPLICATION):
    return Observation((application,), {"a": "ValueError (model.py:3)"}, 1.5)


def test_a_failure_is_one_line(capsys):
    with Progress() as progress:
        progress(_observation())
    shown = capsys.readouterr().err
    assert shown == "   1.5 s  a DEPLOY_FAILED  ValueError (model.py:3)\n"


def test_verbose_shows_each_message_once_without_secrets_and_control_characters(capsys):
    with Progress(verbose=True) as progress:
        progress(_observation())
        progress(_observation(replace(APPLICATION, status="DEPLOYING")))
    assert capsys.readouterr().err.splitlines() == [
        "a: message from Ray:",
        "Deploying app 'a' failed:",
        "Traceback (most recent call last):",
        '  File "model.py", line 3',
        "  login(user='me', password=***)",
        "  {'HF_TOKEN': ***, 'LEVEL': 'debug'}",
        "***[2J2J",
        "ValueError: *** for https***",
        "   1.5 s  a DEPLOY_FAILED  ValueError (model.py:3)",
        "   1.5 s  a DEPLOYING  ValueError (model.py:3)",
    ]
