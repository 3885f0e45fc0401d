"""The base classes of all stack files: Section and StackConfig.

Keys have the meaning that Ray, Kubernetes or AWS gives them (`numGpus`, `taints`,
`instanceTypes`), and every key has an effect: a target rejects keys that it does not
use. Each target has a separate model in a separate package. The docstring below an
attribute is the description of its key in the JSON Schema.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from raylift.strict_model import Strict

Target = Literal["local", "kubernetes", "aws"]
TARGETS: tuple[Target, ...] = ("local", "kubernetes", "aws")


class Section(Strict):
    """A mapping in a stack file."""

    model_config = ConfigDict(alias_generator=to_camel, use_attribute_docstrings=True)


class ServeDefaults(Section):
    """Defaults that raylift adds to deployed applications."""

    defaults: Literal["raylift", "ray"] = "raylift"
    """Defaults for applications: `raylift` adds safe defaults, `ray` adds none."""


class StackConfig(Section):
    """The configuration of a stack; the model of each target extends it."""

    target: Target
    """Where the stack runs: this machine, an existing Kubernetes cluster or AWS."""

    serve: ServeDefaults = ServeDefaults()
    """How applications are served."""

    def resolved(self) -> dict[str, Any]:
        """Return all keys as in a stack file, including defaults."""
        values = self.model_dump(by_alias=True)
        return {f"raylift:{key}": value for key, value in values.items()}
