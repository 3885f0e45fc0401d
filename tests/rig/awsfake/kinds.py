"""What a resource type is to the provider, and the types that are only recorded."""

import secrets

from awsfake import records
from awsfake.wire import Refused


class Type:
    """One resource type. IDs and properties are those of the real provider."""

    autoname = None  # the input that takes <name>-<7 digits> when it is not given
    prefix = ""  # what such a name begins with
    replace = ()  # inputs whose change replaces the resource; "a.b" for a nested one
    refused = ()  # inputs that the double would lose: said before anything is made
    computed = ()  # outputs inside of inputs ("a.b"), unknown in a preview
    moving = ()  # outputs that an update changes, unknown in its preview
    slow = False  # takes $AWSFAKE_SECONDS to create, change and delete

    def create(self, inputs):
        """Makes it and returns its ID."""
        raise NotImplementedError

    def settle(self, ident, old, new):
        """Makes it what NEW says; OLD is {} when it was created just now."""

    def outputs(self, ident, inputs):
        """What is there now, by names of outputs; an error that is_gone if nothing is.

        What stands under the name of an input there shows drift in a refresh.
        """
        raise NotImplementedError

    def delete(self, ident, state):
        raise NotImplementedError


class Recorded(Type):
    """A type without an API in moto (records.py)."""

    def __init__(self, kind, ident, **own):
        """KIND is its name among the records, IDENT a format of inputs and `random`.

        OWN: attributes of Type, and those below.
        """
        self.kind, self.ident = kind, ident
        vars(self).update(own)

    @staticmethod
    def made(inputs, random):
        """The outputs that are settled once."""
        return {}

    @staticmethod
    def refuse(inputs):
        """Raises an error for what AWS would not take."""

    def create(self, inputs):
        self.refuse(inputs)
        random = secrets.token_hex(8)
        ident = self.ident.format(**inputs, random=random)
        value = {"inputs": inputs, "made": self.made(inputs, random)}
        try:
            records.write(self.kind, ident, value, anew=True)
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
