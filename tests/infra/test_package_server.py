"""The package server, over HTTP on the loopback interface."""

from __future__ import annotations

import contextlib
import errno
import http.client
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from background import serving

from raylift.infra.kubernetes import package_server
from raylift.infra.kubernetes.package_server import PackageServer

NAME = f"raylift_{'0a' * 16}.zip"
OTHER = f"raylift_{'0b' * 16}.zip"
TOKEN = {"X-Raylift-Token": "right"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def server(folder):
    with serving(PackageServer(("127.0.0.1", 0), folder, "right")) as server:
        yield server


def _request(server, method, path, body=None, headers=TOKEN):
    connection = http.client.HTTPConnection(*server.server_address)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _age(file):
    then = time.time() - 7200
    os.utime(file, (then, then))


def test_a_stored_package_is_returned_without_a_token(server, folder):
    body = os.urandom(3 << 20)
    assert _request(server, "PUT", f"/{NAME}", body) == (201, b"")
    assert _request(server, "GET", f"/{NAME}", headers={}) == (200, body)
    assert _request(server, "HEAD", f"/{NAME}", headers={}) == (200, b"")
    assert [file.name for file in folder.iterdir()] == [NAME]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [f"/{NAME}", "/", "/../etc/passwd", f"//{NAME}"])
def test_everything_else_is_missing(server, method, path):
    assert _request(server, method, path)[0] == 404


def test_probes_are_answered(server):
    assert _request(server, "GET", "/healthz") == (200, b"")


@pytest.mark.parametrize("headers", [{}, {"X-Raylift-Token": "wrong"}])
def test_writing_requires_the_token(server, folder, headers):
    assert _request(server, "PUT", f"/{NAME}", b"x", headers)[0] == 401
    assert _request(server, "POST", "/keep", b"[]", headers)[0] == 401
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (("PUT", "/other.zip", b"x"), 404),
        (("PUT", f"/x/{NAME}", b"x"), 404),
        (("POST", f"/{NAME}", b"x"), 404),
        (("POST", "/keep", b"{"), 400),
        (("POST", "/keep", b"7"), 400),
        (("PATCH", f"/{NAME}", b"x"), 501),
    ],
)
def test_other_requests_change_nothing(server, folder, request_, code):
    (folder / OTHER).write_bytes(b"kept")
    _age(folder / OTHER)
    assert _request(server, *request_)[0] == code
    assert [file.name for file in folder.iterdir()] == [OTHER]


def test_a_body_of_unknown_length_is_refused(server):
    with _connected(server) as client:
        head = f"PUT /{NAME} HTTP/1.1\r\nX-Raylift-Token: right\r\n\r\n"
        client.sendall(head.encode())
        assert b" 411 " in client.recv(100)


def _connected(server):
    return socket.create_connection(server.server_address)


def test_an_interrupted_upload_leaves_nothing(server, folder):
    head = (
        f"PUT /{NAME} HTTP/1.1\r\nX-Raylift-Token: right\r\nContent-Length: 9\r\n\r\n"
    )
    with _connected(server) as client:
        client.sendall(head.encode() + b"half")
        client.shutdown(socket.SHUT_WR)
        assert b" 400 " in client.recv(100)
    assert list(folder.iterdir()) == []


def test_only_an_old_upload_is_removed_at_the_next_start(folder):
    """A recent one may belong to the server that this one replaces."""
    for name in ("old.part", "recent.part"):
        (folder / name).write_bytes(b"half")
    _age(folder / "old.part")
    PackageServer(("127.0.0.1", 0), folder, "right").server_close()
    assert [file.name for file in folder.iterdir()] == ["recent.part"]


@pytest.mark.parametrize(
    ("error", "code"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EIO, 500)]
)
def test_a_volume_that_cannot_be_written_is_reported(server, monkeypatch, error, code):
    """The client has sent a part of the body that no buffer holds."""

    def fail(*_):
        raise OSError(error, "no")

    monkeypatch.setattr(package_server.os, "fsync", fail)
    with contextlib.closing(
        http.client.HTTPConnection(*server.server_address)
    ) as connection:
        connection.request("PUT", f"/{NAME}", body=bytes(8 << 20), headers=TOKEN)
        response = connection.getresponse()
        assert (response.status, response.read()) == (code, b"")
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200


def test_a_refused_body_is_read_so_that_the_client_gets_the_response(server):
    body = bytes(8 << 20)
    assert _request(server, "PUT", f"/{NAME}", body, {})[0] == 401
    assert _request(server, "PUT", "/other", body)[0] == 404


def test_old_packages_are_deleted_except_those_to_keep(server, folder):
    kept, requested, fresh = (f"raylift_{c * 32}.zip" for c in "cde")
    for name in (NAME, OTHER, kept, requested, fresh):
        assert _request(server, "PUT", f"/{name}", b"x")[0] == 201
    for name in (NAME, OTHER, kept, requested):
        _age(folder / name)
    assert _request(server, "HEAD", f"/{requested}")[0] == 200
    assert _request(server, "POST", "/keep", json.dumps([kept]).encode())[0] == 204
    left = {file.name for file in folder.iterdir()}
    assert left == {kept, requested, fresh}


def test_the_source_runs_without_other_packages_and_stops_on_sigterm(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source = inspect.getsource(package_server)
    running = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", source, str(tmp_path), str(port)],
        env={"TOKEN": "right"},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_port(running, port)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("PUT", f"/{NAME}", body=b"x", headers=TOKEN)
        assert connection.getresponse().status == 201
        connection.close()
        running.send_signal(signal.SIGTERM)
        assert running.wait() == 0
    finally:
        running.kill()
        running.wait()


def _wait_for_port(running, port):
    while running.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the server exited")
