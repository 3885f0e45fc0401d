"""The cause in messages that Ray 2.60 wrote, shortened in the middle."""

from __future__ import annotations

import pytest

from raylift.serve_runtime.ray_api.dashboard import CrashedWorker
from raylift.serve_runtime.status import control_loop
from raylift.serve_runtime.status.control_loop import ControlLoop
from raylift.serve_runtime.status.exceptions import explain
from raylift.serve_runtime.status.worker_exit import import_exit, replica_exit

RAY = (
    "Traceback (most recent call last):\n"
    '  File "/v/site-packages/ray/_private/worker.py", line 1055, in get_objects\n'
    "    raise value\n"
)
SETUP = (
    f"Runtime env setup for app 'a' failed:\n{RAY}"
    "ray.exceptions.RuntimeEnvSetupError: Failed to set up runtime environment.\n"
)
PROCESS = (
    f"{SETUP}ray._private.runtime_env.utils.SubprocessCalledProcessError: Run cmd[27]"
    " failed with the following details.\n"
)
PIP = (
    f"{PROCESS}Command '['/tmp/r/virtualenv/bin/python', '-m', 'pip', 'install', '-r',"
    " '/tmp/r/pip/1c/ray_runtime_env_internal_pip_requirements.txt']' returned"
    " non-zero exit status 1.\nLast 50 lines of stdout:\n"
)
UV = PIP.replace("'-m', 'pip', 'install'", "'-m', 'uv', 'pip', 'install'")
REPLICA = (
    "RuntimeError: Traceback (most recent call last):\n"
    '  File "/v/site-packages/ray/serve/_private/replica.py", line 1, in initialize\n'
    "    await self._user_callable_wrapper.initialize_callable()\n"
    '  File "/tmp/r/working_dir_files/file_3f87/app/model.py", line 8, in __init__\n'
    "    self.config = Config.model_validate(values)\n"
)
LIBRARY = (
    '  File "/v/site-packages/pydantic/main.py", line 792, in model_validate\n'
    "    return cls.__pydantic_validator__.validate_python(\n"
    "           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
)
ERROR = (
    "  Input should be a valid integer [type=int_parsing, input_value='x']\n"
    "    For further information visit https://errors.pydantic.dev/2.14/v/x\n"
)
INVALID = "pydantic_core._pydantic_core.ValidationError"
CONSTRUCTOR = (
    f'{RAY}  File "/tmp/r/working_dir_files/f/model.py", line 8, in __init__\n'
)
MESSAGES = {
    "a version that does not exist": (
        (
            f"{PIP}    Looking in links: /opt/wheels\n"
            "    ERROR: No matching distribution found for torch==9.9.9\n\n"
        ),
        "pip: No matching distribution found for torch==9.9.9",
    ),
    "an invalid requirement": (
        (
            f"{PIP}    ERROR: Invalid requirement: 'no such!!' (from line 1 of"
            " /tmp/r/pip/1c/ray_runtime_env_internal_pip_requirements.txt)\n"
        ),
        "pip: Invalid requirement: 'no such!!' (from line 1 of the requirements)",
    ),
    "requirements that uv cannot satisfy": (
        (
            f"{UV}    error: No solution found when resolving dependencies\n"
            "      cause: Because there is no version of torch==9.9.9, stop.\n"
        ),
        "uv: Because there is no version of torch==9.9.9, stop.",
    ),
    "a tool without output": (PIP, "pip: no output"),
    "no conda": (
        f"{SETUP}ValueError: Could not find Conda executable at conda.\n",
        "ValueError: Could not find Conda executable at conda.",
    ),
    "a package that does not exist": (
        f"{SETUP}FileNotFoundError: [Errno 2] No such file or directory: '/x.zip'\n",
        "FileNotFoundError: [Errno 2] No such file or directory: '/x.zip'",
    ),
    "a pydantic model": (
        (
            f"{REPLICA}{LIBRARY}{INVALID}: 2 validation"
            f" errors for Config\nport\n{ERROR}name\n{ERROR}"
        ),
        (
            "ValidationError: Config.port: Input should be a valid integer (and 1 more)"
            " (app/model.py:8)"
        ),
    ),
    "the arguments of a builder": (
        (f"{RAY}{LIBRARY}{INVALID}: 1 validation error for Args\nsize\n{ERROR}"),
        "ValidationError: Args.size: Input should be a valid integer",
    ),
    "an exception with any name": (
        f"{REPLICA}model.WeightsMissing: no weights at /models/x\n",
        "model.WeightsMissing: no weights at /models/x (app/model.py:8)",
    ),
    "an exception without a text": (
        f"{REPLICA}model.WeightsMissing\n",
        "model.WeightsMissing (app/model.py:8)",
    ),
    "an exception that follows another": (
        (
            f"{REPLICA}FileNotFoundError: w.bin\n\nThe above exception was the direct"
            f" cause of the following exception:\n\n{REPLICA}ValueError: no weights\n"
        ),
        "ValueError: no weights (app/model.py:8)",
    ),
    "several lines": (
        f"{REPLICA}RuntimeError: CUDA out of memory.\nTried to allocate 2 GiB.\n",
        "RuntimeError: CUDA out of memory. (app/model.py:8)",
    ),
    "a rule of Serve": (
        (
            "Deploying app 'a' failed with exception:\nA custom"
            " `request_router_config.request_router_class` is not supported.\n"
        ),
        "A custom `request_router_config.request_router_class` is not supported.",
    ),
    "an exception group": (
        (
            "RuntimeError:   + Exception Group Traceback (most recent call last):\n"
            '  |   File "/tmp/r/working_dir_files/f/model.py", line 4, in __init__\n'
            "  |     raise ExceptionGroup('all', [ValueError('first')])\n"
            "  | ExceptionGroup: all (1 sub-exception)\n"
            "  +-+---------------- 1 ----------------\n"
            "    | ValueError: first\n"
            "    +------------------------------------\n"
        ),
        "ValueError: first (f/model.py:4)",
    ),
    "an exception whose text begins on the next line": (
        (
            f"{RAY}TypeError: cannot pickle '_thread.lock' object\n\n"
            "The above exception was the direct cause of the following exception:\n\n"
            '  File "/tmp/r/working_dir_files/f/model.py", line 4, in <module>\n'
            "    app = Model.bind(Lock())\n"
            "TypeError: Could not serialize the args:\n====\n"
        ),
        "TypeError: cannot pickle '_thread.lock' object (f/model.py:4)",
    ),
    "a syntax error": (
        (
            f"{RAY}"
            '  File "/tmp/r/working_dir_files/f/model.py", line 2\n    def f(:\n'
            "          ^\nSyntaxError: invalid syntax\n"
        ),
        "SyntaxError: invalid syntax (f/model.py:2)",
    ),
    **{
        name: (
            f"{CONSTRUCTOR}    raise Wrong(text)\n{text}\n",
            f"{expected} (f/model.py:8)",
        )
        for name, text, expected in (
            (
                "a message of two lines",
                "ValueError: bad value\nhint: set x",
                "ValueError: bad value",
            ),
            (
                "a comparison",
                "AssertionError: shapes differ\nexpected: 3\ngot: 4",
                "AssertionError: shapes differ",
            ),
            (
                "a heading and its text",
                "RuntimeError: Error(s) in loading Net:\n\tMissing key(s): a",
                "RuntimeError: Error(s) in loading Net: Missing key(s): a",
            ),
            ("a text on the next line", "ValueError:\n  no x", "ValueError: no x"),
            (
                "an error with the original one",
                "ImportError: numpy.core failed\n\nOriginal error was: libx.so",
                "ImportError: numpy.core failed",
            ),
            (
                "a password",
                "ValueError: bad password=hunter2",
                "ValueError: bad password=***",
            ),
        )
    },
    "a heading alone": ("Deploying app 'a' failed:\n", "Deploying app 'a' failed:"),
    "a process that died": (
        "The deployment failed to start 3 times in a row. Error:\nActorDiedError()",
        "its process died while starting: it crashed, or was killed",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_cause_is_the_line_that_helps(name):
    message, expected = MESSAGES[name]
    assert explain(message) == expected


class Logs:
    """The dashboard of a cluster in which two processes crashed."""

    def __init__(self, detail, lines):
        self._lines = {"new": ["Importing application 'other'."], "old": lines}
        self._detail = detail

    def crashed_workers(self):
        return [CrashedWorker(name, "n", self._detail) for name in self._lines]

    def worker_errors(self, node_id, worker_id):
        assert node_id == "n"
        return self._lines[worker_id]


IMPORTING = "INFO controller -- Importing application 'a'."
USAGE = "usage: default_worker.py [-h] --model MODEL"
EXITS = {
    "arguments": (
        "exits with an exit code 2.",
        [USAGE, "default_worker.py: error: unrecognized arguments: --node-ip"],
        (
            "its code parses command-line arguments, here those of Ray: unrecognized"
            " arguments: --node-ip"
        ),
    ),
    "arguments of typer": (
        "",
        [
            "Usage: default_worker.py [OPTIONS]",
            "Try 'default_worker.py --help' for help.",
            "╭─ Error ─────────────────────────╮",
            "│ No such option: --node-ip       │",
            "╰─────────────────────────────────╯",
        ],
        (
            "its code parses command-line arguments, here those of Ray: No such option:"
            " --node-ip"
        ),
    ),
    "arguments of click": (
        "",
        ["Usage: a [OPTIONS]", "", "Error: No such option: --node-ip"],
        (
            "its code parses command-line arguments, here those of Ray: No such option:"
            " --node-ip"
        ),
    ),
    "arguments of absl": (
        "",
        [
            "FATAL Flags parsing error: Unknown command line flag 'node-ip'",
            "Pass --helpshort or --helpfull to see help on flags.",
        ],
        (
            "its code parses command-line arguments, here those of Ray: FATAL Flags"
            " parsing error: Unknown command line flag 'node-ip'"
        ),
    ),
    "a last word": ("", ["MODEL_PATH is not set"], "MODEL_PATH is not set"),
    "an exit code": ("Worker exits with an exit code 3.", [], "exit code 3"),
    "nothing": ("Worker unexpectedly exits", [], "exit code unknown"),
}


@pytest.mark.parametrize("name", EXITS)
def test_an_exit_during_import_is_explained_by_the_log_of_its_process(name):
    detail, lines, expected = EXITS[name]
    text = import_exit(Logs(detail, [IMPORTING, *lines]), "a")
    assert text == f"the process exited while importing the application: {expected}"


def test_code_in_a_directory_of_ray_is_the_users():
    for path in ("/tmp/ray/session/working_dir_files/s3_3f87/m.py", "/home/ray/m.py"):
        message = f'{RAY}  File "{path}", line 3, in f\n    g()\nValueError: no\n'
        assert explain(message).endswith("m.py:3)")


def test_an_exit_without_a_log_stays_unexplained():
    assert import_exit(Logs("", []), "a") == ""


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["out of memory"], "its process died: out of memory"),
        (["INFO 2026-11-29 a_Model x -- Loading; no error", "Loading: 99%"], ""),
        (
            ["terminate called", "  what():  CUDA error: out of memory", "  @ 0x7f"],
            "its process died: what():  CUDA error: out of memory",
        ),
        (
            [
                "Fatal Python error: Segmentation fault",
                "",
                "Thread 0x7f",
                "  <no frame>",
            ],
            "its process died: Fatal Python error: Segmentation fault",
        ),
    ],
)
def test_a_replica_that_died_is_explained_by_what_it_wrote_last(lines, expected):
    logs = Logs("", [":actor_name:ServeReplica:a:Model", *lines])
    assert replica_exit(logs, "a", "Model") == expected
    assert replica_exit(logs, "a", "Mod") == replica_exit(logs, "a", "Other") == ""


class Controller:
    """The dashboard of a cluster whose controller wrote a log."""

    def __init__(self, lines, info=None):
        self.lines = list(lines)
        self._info = info or {"node_id": "n", "log_file_path": "serve/controller.log"}

    def serve_details(self):
        return {"controller_info": self._info}

    def log_tail(self, node_id, filename, *, lines):
        assert (node_id, filename) == ("n", "serve/controller.log")
        return self.lines[-lines:]


POLICY = (
    f'{RAY}  File "/r/working_dir_files/file_3f87/scaling.py", line 2, in nightly\n'
)
LOOP = [
    "ERROR 2026-11-29 12:08:40,1 controller 1 -- Exception updating application state.",
    *f"{POLICY}    raise KeyError(1)\nKeyError: 'queue_depth'".splitlines(),
    "INFO 2026-11-29 12:08:41,1 controller 1 -- ValueError: of something else",
]


def test_an_exception_that_recurs_in_the_control_loop_is_explained(monkeypatch):
    monkeypatch.setattr(control_loop, "_REFRESH_SECONDS", 0)
    dashboard = Controller(LOOP)
    loop = ControlLoop(dashboard)
    assert loop.error() == ""  # it may be an old one
    assert loop.error() == ""
    dashboard.lines += [LOOP[0].replace("12:08:40", "12:08:42"), *LOOP[1:]]
    text = "Serve's control loop fails: KeyError: 'queue_depth' (scaling.py:2)"
    assert loop.error() == text


def test_a_controller_without_errors_or_without_a_log_explains_nothing():
    assert ControlLoop(Controller(LOOP[-1:])).error() == ""
    assert ControlLoop(Controller(LOOP, {"node_id": None})).error() == ""
