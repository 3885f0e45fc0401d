"""Ray's long messages, reduced to one useful line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylift.serve_runtime.ray_api.dashboard import RayNode
from raylift.serve_runtime.status.capacity import free_resources, missing, short_of
from raylift.serve_runtime.status.diagnosis import (
    explain,
    own_stack_line,
    slow_start,
    why,
)
from raylift.serve_runtime.status.status import ApplicationStatus, applications_of

# A message of Ray 2.60, shortened in the middle.
CONSTRUCTOR = (
    "A replica failed to start with exception. Retrying 2 more time(s). Error:\n"
    "\x1b[36mray::ServeReplica:two:Hello.initialize_and_get_metadata()\x1b[39m"
    " (pid=25192, ip=127.0.0.1)\n"
    '  File "/usr/lib/python3.11/concurrent/futures/_base.py", line 449, in result\n'
    "    return self.__get_result()\n"
    "           ^^^^^^^^^^^^^^^^^^^\n"
    '  File "/v/site-packages/ray/serve/_private/replica.py", line 1928, in initialize\n'
    "    raise RuntimeError(traceback.format_exc()) from None\n"
    "RuntimeError: Traceback (most recent call last):\n"
    '  File "/v/site-packages/ray/serve/_private/replica.py", line 1867, in initialize\n'
    "    await self._user_callable_wrapper.initialize_callable()\n"
    '  File "/tmp/r/working_dir_files/file_3f87afd6/hello.py", line 12, in __init__\n'
    '    raise ValueError("no weights at /models/x")\n'
    "ValueError: no weights at /models/x\n"
)


def _node(**resources: float) -> RayNode:
    return RayNode("n", is_head=True, alive=True, resources=resources, labels={})


def test_a_constructors_traceback_is_the_users_exception_and_its_place():
    assert explain(CONSTRUCTOR) == "ValueError: no weights at /models/x (hello.py:12)"


def test_a_message_without_an_exception_is_its_first_line():
    assert explain("\n\x1b[31mToo slow.\x1b[0m\nmore") == "Too slow."


def test_control_characters_of_a_message_never_reach_the_terminal():
    assert "\x07" not in explain("ValueError: \x07bell")


def test_a_deployments_cause_comes_before_the_applications_summary():
    application = _application(
        message="Failed to update the deployments ['Hello'].", deployment=CONSTRUCTOR
    )
    assert why(application, []) == (
        "Hello: ValueError: no weights at /models/x (hello.py:12)"
    )


def _application(
    *, message: str = "", deployment: str = "", replicas=(), needs=None
) -> ApplicationStatus:
    item = {
        "status": "DEPLOY_FAILED",
        "message": message,
        "deployments": {
            "Hello": {
                "status": "UPDATING",
                "message": deployment,
                "target_num_replicas": 1,
                "required_resources": needs or {"CPU": 1},
                "replicas": list(replicas),
            }
        },
    }
    return applications_of({"applications": {"a": item}})[0]


def test_a_replica_that_fits_no_node_is_told_with_what_is_lacking():
    starting = {"state": "STARTING", "replica_id": "r"}
    application = _application(replicas=[starting], needs={"CPU": 1, "GPU": 8})
    assert why(application, [_node(CPU=4, GPU=2)]) == (
        "Hello: no node can hold a replica: needs 8 GPU, but the largest node has 2"
    )


def test_resources_split_over_nodes_do_not_add_up_to_one_that_fits():
    nodes = [_node(CPU=8), _node(CPU=1, GPU=1)]
    assert missing({"CPU": 4, "GPU": 1}, nodes) == (
        "no single node has all the resources it needs"
    )
    assert missing({"CPU": 1, "GPU": 1}, nodes) == ""


def test_what_replicas_hold_is_not_free():
    running = {"state": "RUNNING", "replica_id": "r", "pid": 1}
    free = free_resources([_node(CPU=2)], [_application(replicas=[running])])
    assert free == {"CPU": 1}
    assert short_of({"CPU": 2}, free) == "2 CPU (1 free)"
    assert short_of({"CPU": 1}, free) == ""


def test_a_stack_dump_is_the_innermost_line_of_the_users_code():
    dump = (
        "Process 1: ray::ServeReplica\nPython v3.11\n\n"
        'Thread 7 (idle): "MainThread"\n'
        "    select (selectors.py:468)\n"
        "    run_once (asyncio/base_events.py:1884)\n"
        "    main (ray/_private/workers/default_worker.py:1)\n\n"
        'Thread 9 (idle): "user"\n'
        "    wait (threading.py:327)\n"
        "    Hello.load (hello.py:9)\n"
        "    Hello.__init__ (hello.py:7)\n"
        "    _call (ray/serve/_private/replica.py:3)\n"
    )
    assert own_stack_line(dump) == "Hello.load (hello.py:9)"
    assert own_stack_line("Failed to execute: py-spy is not installed") == ""


def _failed(lines: str) -> str:
    return (
        "A replica failed to start with exception. Retrying 1 more time(s). Error:\n"
        "\x1b[36mray::ServeReplica:a:Hello.initialize_and_get_metadata()\x1b[39m\n"
        "RuntimeError: Traceback (most recent call last):\n"
        '  File "/v/site-packages/ray/serve/_private/replica.py", line 4082, in init\n'
        "    await self._call_func_or_gen(\n" + lines
    )


RAYS = {
    "a constructor in the working_dir": (
        _failed('  File "/tmp/raylift-0/3f87afd6/s/runtime_resources/working_dir_files/_ray_pkg_0a1b2c3d4e5f6a7b/main.py", line 10, in __init__\n    raise ValueError("no weights")\nValueError: no weights\n'),
        "ValueError: no weights (main.py:10)",
    ),
    "a constructor in a package of it": (
        _failed('  File "/tmp/raylift-0/3f87afd6/s/runtime_resources/working_dir_files/file_3f87afd6/pkg/deep/m.py", line 3, in load\n    x\nKeyError: \'x\'\n'),
        "KeyError: 'x' (pkg/deep/m.py:3)",
    ),
    "a constructor of a library, called by the user's": (
        _failed('  File "/x/working_dir_files/file_1/main.py", line 7, in __init__\n    torch.load(p)\n  File "/v/site-packages/torch/serialization.py", line 998, in load\n    open(p)\nFileNotFoundError: [Errno 2] No such file or directory: \'/m/x.pt\'\n'),
        "FileNotFoundError: [Errno 2] No such file or directory: '/m/x.pt'",
    ),
    "an exception of the user's own": (
        _failed('  File "/x/working_dir_files/file_1/main.py", line 7, in __init__\n    raise errors.WeightsError("no")\nmain.errors.WeightsError: no\n'),
        "main.errors.WeightsError: no (main.py:7)",
    ),
    "one exception while another is handled": (
        _failed('KeyError: \'a\'\n\nDuring handling of the above exception, another exception occurred:\n\n  File "/x/working_dir_files/file_1/main.py", line 9, in __init__\n    raise OSError("disk")\nOSError: disk\n'),
        "OSError: disk (main.py:9)",
    ),
    "a task of Ray's around it": (
        "\x1b[36mray::build_serve_application()\x1b[39m (pid=1, ip=127.0.0.1)\n  File \"/x/working_dir_files/file_1/main.py\", line 2, in <module>\n    import nothing\nModuleNotFoundError: No module named 'nothing'\nray.exceptions.RayTaskError: ModuleNotFoundError\n",
        "ModuleNotFoundError: No module named 'nothing' (main.py:2)",
    ),
    "no exception at all": (
        "Deployment 'Hello' in application 'a' has 1 replicas that have taken more than 30s to be scheduled.\nmore\n",
        "Deployment 'Hello' in application 'a' has 1 replicas that have taken more than 30s to be scheduled.",
    ),
    "an actor that died": (
        "The replica died.\nray.exceptions.ActorDiedError: The actor died unexpectedly\n",
        "ray.exceptions.ActorDiedError: The actor died unexpectedly",
    ),
    "nothing": ("", ""),
    "only blank lines": (" \n\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", RAYS)
def test_a_message_of_rays_becomes_the_line_a_person_needs(name):
    message, expected = RAYS[name]
    assert explain(message).startswith(expected)
    assert "\n" not in explain(message)


@given(st.text(max_size=200))
def test_any_message_is_one_short_line_that_a_terminal_can_show(message):
    cause = explain(message)
    assert cause.isprintable()
    assert len(cause) < 500


@given(st.text(alphabet=" ()/.:1aThread\n", max_size=200))
def test_any_dump_is_one_line_or_none(dump):
    assert "\n" not in own_stack_line(dump)


def test_an_application_that_runs_has_no_cause():
    application = _application()
    assert why(application, [_node(CPU=4)]) == ""


def test_an_applications_own_message_is_told_where_its_deployments_say_nothing():
    message = "Deploying app 'a' failed with exception:\nAttributeError: no app\n"
    assert why(_application(message=message), []) == "AttributeError: no app"


def test_a_replica_with_a_process_is_not_told_to_fit_no_node():
    starting = {"state": "STARTING", "replica_id": "r", "pid": 7}
    application = _application(replicas=[starting], needs={"GPU": 8})
    assert why(application, [_node(CPU=4)]) == ""


def test_nodes_that_are_dead_hold_no_replica():
    dead = RayNode("n", is_head=False, alive=False, resources={"GPU": 8}, labels={})
    assert missing({"GPU": 1}, [dead]) == "needs 1 GPU, but the largest node has 0"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("be scheduled", "waiting for a node or its runtime_env"),
        ("initialize", "in its constructor"),
    ],
)
def test_a_slow_start_is_the_cause_only_without_another_one(step, expected):
    message = (
        "Deployment 'Hello' in application 'a' has 1 replicas that have taken more than"
        f" 30s to {step}. Use `ray status` for more details."
    )
    application = _application(deployment=message)
    assert why(application, []) == ""
    expected = f"Hello: a replica has been {expected} for over 30 s"
    assert slow_start(application) == expected
