"""KWOK's stages without the pods that podrun runs.

Usage: `stages.py STAGES.YAML`. podrun runs Ray pods and package stores. The stages that
set a pending pod to Running and remove a deleted one therefore get conditions that
exclude these pods. A stage is found by its name; the conditions are inserted first into
its matchExpressions.
"""

from __future__ import annotations

import sys
from pathlib import Path

EXPRESSIONS = "    matchExpressions:\n"
NOT_REAL = """\
    - key: '.metadata.labels["ray.io/node-type"]'
      operator: 'NotIn'
      values: ['head', 'worker']
    - key: '.metadata.labels["raylift.io/component"]'
      operator: 'NotIn'
      values: ['packages']
"""


def of_simulated_pods(stage: str) -> str:
    """Return the YAML text of a stage; the stages of pods exclude those of podrun."""
    if "name: pod-ready\n" not in stage and "name: pod-delete\n" not in stage:
        return stage
    if stage.count(EXPRESSIONS) != 1:
        raise ValueError(f"the stage differs from the one in KWOK 0.8:\n{stage}")
    return stage.replace(EXPRESSIONS, EXPRESSIONS + NOT_REAL)


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    sys.stdout.write("\n---\n".join(map(of_simulated_pods, text.split("\n---\n"))))
