"""A go.mod that builds commands of Kubernetes.

Usage: `staging.py GO-MOD 1.N.P COMMAND…`. k8s.io/kubernetes requires its staging
modules at v0.0.0 and replaces them with folders in its repository. This does not work
in a dependency. Every module that the published go.mod requires at v0.0.0 is therefore
required here at, and replaced with, the published v0.N.P.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

STAGED = re.compile(r"^\s*(?:require\s+)?(k8s\.io/\S+)\s+v0\.0\.0(?!-)", re.MULTILINE)
GODEBUG = re.compile(r"^\s*(?:godebug\s+)?(default=\S+)", re.MULTILINE)


def go_mod(published: str, version: str, commands: list[str]) -> str:
    """Return the text of the file; `published` is the text of Kubernetes' go.mod."""
    staged = version.replace("1.", "v0.", 1)
    names = sorted(set(STAGED.findall(published)))
    lines = ["module rig.local/k8s", "go 1.26.0"]
    # Use the defaults that the release was tested with, not those of this go version.
    lines += [f"godebug {default}" for default in GODEBUG.findall(published)[:1]]
    lines += [f"require k8s.io/kubernetes v{version}"]
    lines += [f"require {name} {staged}" for name in names]
    lines += [f"replace {name} => {name} {staged}" for name in names]
    lines += [f"tool k8s.io/kubernetes/cmd/{command}" for command in commands]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    sys.stdout.write(go_mod(text, sys.argv[2], sys.argv[3:]))
