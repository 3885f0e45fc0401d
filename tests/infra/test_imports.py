"""Modules that a target imports."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import raylift.infra.engine.pulumi_stack
print(*({"pulumi_aws", "boto3"} & sys.modules.keys()))
"""


def test_the_engine_does_not_import_the_aws_libraries():
    """Target `kubernetes` must work without them installed."""
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert result.stdout.strip() == ""
