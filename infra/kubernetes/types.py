"""Value types of the targets `kubernetes` and `aws`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core.core_schema import no_info_before_validator_function

from raylift.infra.config.types import Bytes
from raylift.infra.kubernetes.validators import (
    bucket,
    cidr,
    extra_resources,
    feature_gate,
    label_key,
    label_value,
    mount_path,
    object_name,
    registry,
    subject_name,
    version,
)

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class _Auto:
    """Annotation of a key for which `auto` is equivalent to omitting it."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        inner = handler(schema)
        return {"anyOf": [{"const": "auto"}, *inner.get("anyOf", [inner])]}

    @staticmethod
    def _read(value: object) -> object:
        return None if value == "auto" else value


def _encrypted(value: object) -> object:
    """Return a secret: encrypted in a stack file, decrypted in a Pulumi program."""
    if isinstance(value, dict) and value.keys() == {"secure"}:
        return str(value["secure"])
    return value


_SECURE = {
    "type": "object",
    "properties": {
        "secure": {
            "type": "string",
            "description": "The value, encrypted by `pulumi config set --secret`.",
        }
    },
    "required": ["secure"],
    "additionalProperties": False,
}
Auto = _Auto()
Secret = Annotated[str, BeforeValidator(_encrypted), WithJsonSchema(_SECURE)]
Count = Annotated[int, Field(ge=0)]
Bucket = Annotated[str, AfterValidator(bucket)]
Cidr = Annotated[str, AfterValidator(cidr)]
FeatureGateName = Annotated[str, AfterValidator(feature_gate)]
ObjectName = Annotated[str, AfterValidator(object_name)]
SubjectName = Annotated[str, AfterValidator(subject_name)]
LabelKey = Annotated[str, AfterValidator(label_key)]
LabelValue = Annotated[str, AfterValidator(label_value)]
MountPath = Annotated[str, AfterValidator(mount_path)]
Registry = Annotated[str, AfterValidator(registry)]
ExtraResources = Annotated[dict[LabelKey, Bytes], AfterValidator(extra_resources)]
Version = Annotated[str, AfterValidator(version)]
