"""stages.py STAGES.YAML: KWOK's stages, leaving Ray pods alone.

The stages that make a pending pod Running and remove a deleted one get one more
condition: pods whose ray.io/node-type is head or worker are podrun's, which backs them
by real processes. (A stage is found by its name, and the condition put first into
its matchExpressions.)
"""

from __future__ import annotations

import sys
from pathlib import Path

EXPRESSIONS = "    matchExpressions:\n"
NOT_RAY = """\
    - key: '.metadata.labels["ray.io/node-type"]'
      operator: 'NotIn'
      values: ['head', 'worker']
"""


def without_ray(stage: str) -> str:
    """The YAML text of one stage, changed where it is about a pod's life."""
    if "name: pod-ready\n" not in stage and "name: pod-delete\n" not in stage:
        return stage
    if stage.count(EXPRESSIONS) != 1:
        raise ValueError(f"not a stage as KWOK 0.8 ships it:\n{stage}")
    return stage.replace(EXPRESSIONS, EXPRESSIONS + NOT_RAY)


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    sys.stdout.write("\n---\n".join(map(without_ray, text.split("\n---\n"))))
