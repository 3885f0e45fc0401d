"""The cause of a failure in a message from Ray, as one line with its place in the code.

Ray's messages are tracebacks of several processes, one inside the other. The cause is
the innermost exception, or what a subprocess wrote last.
"""

from __future__ import annotations

import itertools
import re

from raylift.messages import printable
from raylift.redaction import without_secrets

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+)(?:, in|$)')
_MARGIN = re.compile(r"^ +[|+] ?")  # of the exceptions of a group
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b.*")
_ANY_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(: .*)?$")
_WRAPPERS = (
    "ray.exceptions.RayTaskError",
    "ray.exceptions.RayActor",
    "RuntimeError: Traceback",
)
_LIBRARIES = ("/site-packages/", "/dist-packages/", "<frozen")
_PACKAGED = "/working_dir_files/"
_STDLIB = re.compile(r"/lib/python3\.\d+/")
_SUBPROCESS = "Last 50 lines of stdout:"
_TOOL = re.compile(r"^Command .*?'(uv|pip|conda)'")
_REQUIREMENTS = re.compile(r"/\S*/ray_runtime_env_internal_pip_requirements\.txt")
_SEVERITY = re.compile(r"^(ERROR|error|cause): ")
_DIED = "ActorDiedError()"
_NOT_IMPORTED = ("ModuleNotFoundError", "ImportError")
_OVERRIDDEN = (
    "Ray's controller imports the autoscaling policy or request router that the code"
    " names, because the config overrides this deployment; name it in the config"
    " instead"
)
_INVALID = re.compile(r"ValidationError: \d+ validation errors? for (\S+)")
_DETAILS = re.compile(r" \[type=.*")
# The function in which Ray's controller applies overrides to a built application
# (ray/serve/_private/application_state.py).
OVERRIDES = "override_deployment_info"
_LIMIT = 300


def explain(message: str) -> str:
    """Return the user's exception and its `file:line`, or the message's first text."""
    cause = without_secrets(_explained(_lines(message)))
    if OVERRIDES in message and cause.startswith(_NOT_IMPORTED):
        return f"{cause}: {_OVERRIDDEN}"
    return cause


def _explained(lines: list[str]) -> str:
    if output := _subprocess_output(lines):
        return printable(output, limit=_LIMIT)
    at = _last_exception(lines)
    if at is None:
        return printable(_first_text(lines), limit=_LIMIT)
    if lines[at] == _DIED:
        return "its process died while starting: it crashed, or was killed"
    location = _own_frame(lines[:at]) or _own_frame(lines)
    cause = _validation_error(lines[at:]) or _text_of(lines[at:])
    return printable(cause, limit=_LIMIT) + (f" ({location})" if location else "")


def _lines(message: str) -> list[str]:
    lines = [line.rstrip() for line in _COLOUR.sub("", message).splitlines()]
    if any("Exception Group Traceback" in line for line in lines):
        return [_MARGIN.sub("", line) for line in lines]
    return lines


def _first_text(lines: list[str]) -> str:
    """Return the first line that is not a heading, such as `Deploying app failed:`."""
    texts = [line.strip() for line in lines if line.strip()]
    return next((t for t in texts if not t.endswith(":")), texts[0] if texts else "")


def _subprocess_output(lines: list[str]) -> str:
    """Return the last line that pip, uv or conda wrote, after the name of the tool."""
    if _SUBPROCESS not in lines:
        return ""
    at = lines.index(_SUBPROCESS)
    output = [line.strip() for line in lines[at + 1 :] if line.strip()]
    tool = next((match[1] for line in lines[:at] if (match := _TOOL.search(line))), "")
    errors = [line for line in output if _SEVERITY.match(line)]
    last = (errors or output or ["no output"])[-1]
    text = _REQUIREMENTS.sub("the requirements", last)
    return f"{tool or 'runtime_env'}: {_SEVERITY.sub('', text)}"


def _last_exception(lines: list[str]) -> int | None:
    """Return the index of the innermost exception.

    If its text begins on the next line, its direct cause says more.
    """
    found = [i for i in range(len(lines)) if _is_exception(lines, i)]
    real = [i for i in found if not lines[i].strip().startswith(_WRAPPERS)]
    if len(real) > 1 and lines[real[-1]].endswith(":"):
        between = lines[real[-2] : real[-1]]
        if any("the direct cause of" in line for line in between):
            return real[-2]
    return (real or found)[-1] if found else None


def _is_exception(lines: list[str], index: int) -> bool:
    """Return whether a line names an exception; own ones may have any name."""
    line = lines[index]
    if _EXCEPTION.match(line.strip()):
        return True
    # The next lines of a message can look like an exception as well.
    indented = itertools.takewhile(lambda each: each[:1] == " ", lines[index - 1 :: -1])
    after_frame = index > 0 and any(map(_FRAME.match, indented))
    return after_frame and bool(_ANY_EXCEPTION.match(line))


def _text_of(lines: list[str]) -> str:
    """Return the first line of an exception, with the next one if it is a heading."""
    first, *rest = (line.strip() for line in lines)
    after = next(filter(None, rest), "") if first.endswith(":") else ""
    return f"{first} {after}".rstrip()


def _validation_error(lines: list[str]) -> str:
    """Return the first error of pydantic with its field, and the number of others."""
    match = _INVALID.search(lines[0])
    if not match or len(lines) < 3:  # noqa: PLR2004 the header, a field and its error
        return ""
    errors = [line for line in lines if line.startswith("  ") and "[type=" in line]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    text = _DETAILS.sub("", lines[2].strip())
    return f"ValidationError: {match[1]}.{lines[1].strip()}: {text}{more}"


def _own_frame(lines: list[str]) -> str:
    """Return the last frame outside Ray, the standard library and other libraries."""
    frames = [match for line in lines if (match := _FRAME.match(line))]
    for match in reversed(frames):
        path = match[1]
        if not _is_library(path):
            name = path.split(_PACKAGED)[-1]
            short = "/".join(name.split("/")[-2:]) if name.startswith("/") else name
            return f"{without_package(short)}:{match[2]}"
    return ""


def _is_library(path: str) -> bool:
    if _PACKAGED in path:
        return False
    return bool(_STDLIB.search(path)) or any(part in path for part in _LIBRARIES)


def without_package(path: str) -> str:
    """Return a path in an unpacked package without the name of the package."""
    return re.sub(r"^(raylift|_ray_pkg|file|s3|gs|https?)_[0-9a-f]+/", "", path)
