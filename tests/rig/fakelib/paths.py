"""Properties by path ("a.b"), and their drift."""

from .plugin import UNKNOWN


def at(values, path):
    """Return the value at PATH, or None."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def unknown_at(values, paths):
    """Return VALUES with an unknown value at each of PATHS whose parent exists."""
    values = dict(values)
    for path in paths:
        parent, _, name = path.rpartition(".")
        if not parent:
            values[name] = UNKNOWN
        elif isinstance(at(values, parent), dict):
            head, _, rest = path.partition(".")
            values[head] = unknown_at(values[head], [rest])
    return values


def drifted(given, live, *, whole=False):
    """Return the input GIVEN, with the values of LIVE that are not equivalent to it.

    The order of a list does not matter, and a number may be a string. Additional keys
    in a map are ignored, unless the map is compared as a WHOLE (tags, labels).
    """
    if live is None or (whole and given == live):
        return given
    if isinstance(given, dict) and isinstance(live, dict) and not whole:
        return {key: drifted(value, live.get(key)) for key, value in given.items()}
    if isinstance(given, list) and isinstance(live, list):
        same = sorted(map(_text, given)) == sorted(map(_text, live))
        return given if same else live
    return given if _text(given) == _text(live) else live


def _text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)
