"""The splitter between real HTTP clients and real applications."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time

import pytest
from load import Load
from project import ANSWER_SECONDS, make_project, running, wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.ray

ARM = """
import asyncio
import hashlib
import os

from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import RedirectResponse, StreamingResponse
from ray import serve

api = FastAPI()
state = {"cancelled": 0, "mirrored": 0}


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Arm:
    @api.api_route("/echo/{rest:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def echo(self, request: Request, rest: str):
        body = await request.body()
        copy = "x-raylift-mirror" in request.headers
        state["mirrored"] += copy
        await asyncio.sleep(float(request.query_params.get("hang", 0)) if copy else 0)
        return {
            "method": request.method,
            "rest": rest,
            "raw": request.scope["raw_path"].decode().partition("/echo/")[2],
            "query": str(request.url.query),
            "headers": request.headers.raw and dict(request.headers),
            "size": len(body),
            "hash": hashlib.sha256(body).hexdigest(),
        }

    @api.get("/slow")
    async def slow(self):
        async def ticks():
            try:
                for number in range(40):
                    yield f"{number}\\n"
                    await asyncio.sleep(0.25)
            except asyncio.CancelledError:
                state["cancelled"] += 1
                raise
        return StreamingResponse(ticks())

    @api.websocket("/talk")
    async def talk(self, websocket: WebSocket, topic: str):
        if topic == "none":
            await websocket.close()
            return
        await websocket.accept()
        await websocket.send_text(topic)
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == "enough":
                await websocket.close(4001)
                return
            await websocket.send({**message, "type": "websocket.send"})

    @api.get("/wait")
    async def wait(self):
        await asyncio.sleep(3)
        return "waited"

    @api.get("/state")
    async def state(self):
        return {**state, "pid": os.getpid()}

    @api.get("/moved")
    async def moved(self):
        return RedirectResponse("state")

    @api.get("/status/{code}")
    async def status(self, code: int):
        raise HTTPException(code, "as asked")


app = Arm.bind()
"""


def deploy(project, **user_config):
    """Deploy three arms and a splitter in front of them."""
    project.write("arm/arm.py", ARM)
    arms = [
        {
            "name": f"arm{number}",
            "route_prefix": f"/arm{number}",
            "import_path": "arm:app",
            "runtime_env": {"working_dir": "arm"},
        }
        for number in (1, 2, 3)
    ]
    splitter = {
        "name": "split",
        "route_prefix": "/split",
        "import_path": "raylift.splitter:app",
        "deployments": [{"name": "Splitter", "user_config": user_config}],
    }
    project.write("serve.yaml", json.dumps({"applications": [*arms, splitter]}))
    project.run("deploy")
    return project


@pytest.fixture(scope="module")
def split(up):
    return deploy(
        up, arms={"arm1": 1, "arm2": 0}, sticky={"cookie": "who"}, mirror={"arm3": 100}
    )


@pytest.fixture(scope="module")
def by_python(tmp_path_factory):
    """A splitter with one arm, behind Ray's Python proxy."""
    config = """
    raylift:target: local
    raylift:ray: {ingress: python, head: {numCpus: 4}}
    """
    project = make_project(tmp_path_factory.mktemp("python"), config=config)
    with running(project) as stack:
        yield deploy(stack, arms={"arm1": 1})


class Client:
    """A client with one keep-alive connection."""

    def __init__(self, project):
        port = project.ports["serve"]
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=ANSWER_SECONDS
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, method, path, body=None, **headers):
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return response, response.read()


@pytest.fixture(params=["split", pytest.param("by_python", marks=pytest.mark.long)])
def client(request):
    with Client(request.getfixturevalue(request.param)) as client:
        yield client


def ask(project, path, **headers):
    with Client(project) as client:
        return client.ask("GET", path, **headers)


def test_method_path_query_headers_and_body_reach_the_arm_unchanged(client):
    path = "/split/echo/a%20b/%C3%A9%2Fc?q=%26x&r=1&r=2"
    headers = {"X-User": "Ann", "Authorization": "Bearer k", "Content-Type": "x/y"}
    response, body = client.ask("PUT", path, b"hello", **headers)
    got = json.loads(body)
    assert (response.status, response.headers["x-raylift-arm"]) == (200, "arm1")
    assert (got["method"], got["size"]) == ("PUT", 5)
    assert (got["rest"], got["query"]) == ("a b/é/c", "q=%26x&r=1&r=2")
    assert got["raw"] == "a%20b/%C3%A9%2Fc"
    for name, value in headers.items():
        assert got["headers"][name.lower()] == value
    assert got["headers"]["host"].startswith("127.0.0.1:")
    assert response.headers["x-request-id"] == got["headers"]["x-request-id"]
    assert len(response.headers.get_all("date")) == 1


def test_the_splitter_adds_no_request_header_except_a_cookie(client):
    asked = set(json.loads(client.ask("GET", "/split/echo/x")[1])["headers"])
    direct = set(json.loads(client.ask("GET", "/arm1/echo/x")[1])["headers"])
    assert asked <= direct | {"cookie"}


def test_a_large_body_arrives_complete(client):
    body = bytes(range(256)) * 40_000  # 10 MB: most of it is streamed
    got = json.loads(client.ask("POST", "/split/echo/x", body)[1])
    direct = json.loads(client.ask("POST", "/arm1/echo/x", body)[1])
    assert (got["size"], got["hash"]) == (len(body), direct["hash"])


@pytest.mark.parametrize("code", [400, 404, 429, 500, 503])
def test_the_splitter_passes_on_the_errors_of_an_arm(client, code):
    response, body = client.ask("GET", f"/split/status/{code}")
    direct, same = client.ask("GET", f"/arm1/status/{code}")
    assert (response.status, body) == (direct.status, same)


def test_a_redirect_and_the_documentation_stay_under_the_splitters_route(client):
    response, _ = client.ask("GET", "/split/moved")
    assert (response.status, response.headers["location"]) == (307, "state")
    response, _ = client.ask("GET", "/split/state/")
    assert response.headers["location"].endswith("/split/state")
    assert b"swagger" in client.ask("GET", "/split/docs")[1]


def test_a_response_is_streamed_and_cancelled_if_the_client_disconnects(client):
    client.connection.request("GET", "/split/slow")
    response = client.connection.getresponse()
    assert response.read(2) == b"0\n"
    client.connection.close()
    # Without streaming, the work would have finished and could not be cancelled.
    wait_until(lambda: json.loads(client.ask("GET", "/arm1/state")[1])["cancelled"])


def test_a_websocket_reaches_the_arm(client):
    url = f"ws://127.0.0.1:{client.connection.port}/split"
    with connect(f"{url}/talk?topic=a%26b", max_size=None) as socket:
        assert socket.response.headers["x-raylift-arm"] == "arm1"
        assert socket.recv() == "a&b"
        for message in ("hello", "x" * 1_000_000, b"\0\xff"):
            socket.send(message)
            assert socket.recv() == message
        socket.send("enough")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
        assert closed.value.rcvd.code == 4001
    with pytest.raises(InvalidStatus) as rejected:
        connect(f"{url}/talk?topic=none")
    assert rejected.value.response.status_code == 403


def test_a_client_gets_a_cookie_once_and_keeps_its_arm(split):
    split.run("traffic", "split", "arm1=50", "arm2=50")
    callers = []
    for _ in range(30):
        response, _ = ask(split, "/split/echo/x")
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("who=")
        assert "HttpOnly" in cookie
        callers.append((cookie.partition(";")[0], response.headers["x-raylift-arm"]))
    assert {arm for _, arm in callers} == {"arm1", "arm2"}
    for cookie, arm in callers:
        response, _ = ask(split, "/split/echo/x", Cookie=cookie)
        assert response.headers["x-raylift-arm"] == arm
        assert response.headers["set-cookie"] is None
    split.run("traffic", "split", "arm1=1", "arm2=0")


@pytest.mark.long
def test_copies_are_marked_and_a_hanging_mirror_delays_no_request(split):
    def mirrored(arm):
        return json.loads(ask(split, f"/{arm}/state")[1])["mirrored"]

    before = mirrored("arm3")
    ask(split, "/split/echo/x")
    wait_until(lambda: mirrored("arm3") > before)
    assert mirrored("arm1") == 0
    began = time.monotonic()
    ask(split, "/split/echo/x?hang=60")
    assert time.monotonic() - began < 60


@pytest.mark.long
def test_an_arm_recovers_from_a_killed_replica_and_other_arms_lose_no_request(split):
    pid = json.loads(ask(split, "/arm2/state")[1])["pid"]
    with Load(split, "/split/echo/x") as load:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(load.answers) > 30)
    assert load.lost == []
    wait_until(lambda: split.get("/arm2/state")[0] == 200)


def test_requests_in_flight_survive_a_change_of_weights(split):
    with Load(split, "/split/wait", rate=1.5) as load:
        wait_until(lambda: len(load.answers) > 1)
        split.run("traffic", "split", "arm1=0", "arm2=1")
        wait_until(lambda: ask(split, "/split/echo/x")[0].status == 200)
        split.run("traffic", "split", "arm1=1", "arm2=0")
    assert load.lost == []


@pytest.mark.long
def test_a_missing_arm_and_a_missing_splitter_are_reported(by_python):
    alone = {
        "name": "alone",
        "route_prefix": "/alone",
        "import_path": "raylift.splitter:app",
        "deployments": [{"name": "Splitter", "user_config": {"arms": {"nobody": 1}}}],
    }
    by_python.write("alone.yaml", json.dumps({"applications": [alone]}))
    refused = by_python.run("deploy", "alone.yaml", code=2)
    assert "alone: arm 'nobody' is not an application of this cluster" in refused.stderr
    shown = by_python.run("traffic", "arm1", code=2).stderr
    assert "'arm1' is not a splitter" in shown
    assert "splitters: split" in shown


@pytest.mark.long
def test_an_application_becomes_a_splitter_under_load(split):
    split.write_app("late")
    old = {
        "name": "late",
        "route_prefix": "/late",
        "import_path": "hello:app",
        "runtime_env": {"working_dir": "late"},
        "deployments": [{"name": "Hello", "ray_actor_options": {"num_cpus": 0.1}}],
    }
    split.write_serve("late.yaml", old)
    split.run("deploy", "late.yaml")
    arm = {**old, "name": "late-v1", "route_prefix": "/late-v1"}
    new = {
        "name": "late",
        "route_prefix": "/late",
        "import_path": "raylift.splitter:app",
        "deployments": [{"name": "Splitter", "user_config": {"arms": {"late-v1": 1}}}],
    }
    split.write_serve("late-v1.yaml", arm)
    split.run("deploy", "late-v1.yaml")
    split.write_serve("late.yaml", new)
    with Load(split, "/late") as load:
        split.run("deploy", "late.yaml")
        wait_until(lambda: ask(split, "/late")[0].headers["x-raylift-arm"])
    assert load.lost == []
    split.run("delete", "late", "late-v1")
