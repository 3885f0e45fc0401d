"""Ray's long messages become the one line that a person needs."""

from __future__ import annotations

from serve_runtime.capacity import free_resources, missing, short_of
from serve_runtime.dashboard import Node
from serve_runtime.diagnosis import explain, own_stack_line, why
from serve_runtime.status import ApplicationStatus, applications_of

# As Ray 2.60 wrote it, shortened in the middle.
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


def _node(**resources: float) -> Node:
    return Node("n", is_head=True, alive=True, resources=resources, labels={})


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
        "Hello: no node can hold a replica: needs GPU 8, the largest node has 2"
    )


def test_resources_split_over_nodes_do_not_add_up_to_one_that_fits():
    nodes = [_node(CPU=8), _node(CPU=1, GPU=1)]
    assert missing({"CPU": 4, "GPU": 1}, nodes) == "no node has all it needs together"
    assert missing({"CPU": 1, "GPU": 1}, nodes) == ""


def test_what_replicas_hold_is_not_free():
    running = {"state": "RUNNING", "replica_id": "r", "pid": 1}
    free = free_resources([_node(CPU=2)], [_application(replicas=[running])])
    assert free == {"CPU": 1}
    assert short_of({"CPU": 2}, free) == "CPU 2 (1 free)"
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
