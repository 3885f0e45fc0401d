"""The interface of a resource type, and types that are only recorded."""

import secrets

from awsfake import records
from awsfake.wire import Refused


class Type:
    """One resource type, with the IDs and properties of the real provider."""

    autoname = None  # the input that defaults to <name>-<7 digits>
    prefix = ""  # of such a name
    replace = ()  # inputs whose change replaces the resource; "a.b" for a nested one
    refused = ()  # inputs that the double would ignore; refused before creation
    computed = ()  # outputs that are nested in inputs ("a.b"); unknown in a preview
    moving = ()  # outputs that an update changes; unknown in its preview
    slow = False  # takes $AWSFAKE_SECONDS to create, update and delete

    def create(self, inputs):
        """Create the resource and return its ID."""
        raise NotImplementedError

    def settle(self, ident, old, new):
        """Update the resource from OLD to NEW; OLD is {} directly after creation."""

    def outputs(self, ident, inputs):
        """Return the current outputs; those with the name of an input reveal drift.

        Raises:
            Exception: The resource is missing; `wire.is_gone` recognizes the error.
        """
        raise NotImplementedError

    def delete(self, ident, state):
        raise NotImplementedError


class Recorded(Type):
    """A type without an API in moto, stored in records.py."""

    def __init__(self, kind, ident, **own):
        """Initialize the type.

        Args:
            kind: The name of the type in the records.
            ident: A format string for the ID, with the inputs and `random`.
            **own: Attributes of `Type`, and the functions below.
        """
        self.kind, self.ident = kind, ident
        vars(self).update(own)

    @staticmethod
    def made(inputs, random):
        """Return the outputs that never change after creation."""
        return {}

    @staticmethod
    def refuse(inputs):
        """Raise an error for inputs that AWS would refuse."""

    def create(self, inputs):
        self.refuse(inputs)
        random = secrets.token_hex(8)
        ident = self.ident.format(**inputs, random=random)
        value = {"inputs": inputs, "made": self.made(inputs, random)}
        try:
            records.write(self.kind, ident, value, new=True)
        except Exception as error:
            if "ParameterAlreadyExists" in str(error):
                raise Refused(f"ResourceInUseException: {ident} exists") from error
            raise
        return ident

    def settle(self, ident, old, new):
        if old:
            made = records.read(self.kind, ident)["made"]
            records.write(self.kind, ident, {"inputs": new, "made": made})

    def outputs(self, ident, inputs):
        record = records.read(self.kind, ident)
        kept = {key: value for key, value in record["inputs"].items() if key != "tags"}
        return {**record["made"], **kept, "tagsAll": record["inputs"].get("tags") or {}}

    def delete(self, ident, state):
        records.remove(self.kind, ident)
