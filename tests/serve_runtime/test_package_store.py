"""Code packages in a real package server, behind a double of the API server's proxy."""

from __future__ import annotations

import base64
import errno
import os
import time

import httpx2
import pytest
from background import serving

from raylift.errors import FailedPrecondition, PermissionDenied, Unreachable
from raylift.infra.kubernetes import package_server
from raylift.infra.kubernetes.package_server import PackageServer
from raylift.serve_runtime.packaging.package import Package
from raylift.serve_runtime.packaging.package_store import PackageStore

URL = "http://demo-packages.ray.svc:8081"
CORE = "/api/v1/namespaces/ray"
PROXY = f"{CORE}/services/demo-packages:8081/proxy"


class Proxy:
    """A double of `Api`: the proxy of one Service, and the Secret with its token."""

    def __init__(self, server):
        self._url = "http://{}:{}".format(*server.server_address)
        self.token, self.code = "right", None

    def get(self, path):
        assert path == f"{CORE}/secrets/demo-packages"
        data = {"token": base64.b64encode(self.token.encode()).decode()}
        return {"data": data} if self.token else None

    def request(self, method, path, **options):
        assert path.startswith(f"{PROXY}/")
        if self.code:
            return httpx2.Response(
                self.code, json={"kind": "Status", "message": "forbidden"}
            )
        return httpx2.request(method, self._url + path.removeprefix(PROXY), **options)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def server(folder):
    with serving(PackageServer(("127.0.0.1", 0), folder, "right")) as server:
        yield server


@pytest.fixture
def api(server):
    return Proxy(server)


@pytest.fixture
def store(api):
    return PackageStore(api, "ray", URL)


@pytest.fixture
def package(tmp_path):
    return _package(tmp_path, "0a")


def _package(folder, digits):
    path = folder / f"raylift_{digits * 16}.zip"
    path.write_bytes(os.urandom(100_000))
    return Package(path.name, path, path.stat().st_size, 1, built=True)


def test_a_package_is_sent_once(folder, store, package):
    uri = f"{URL}/{package.name}"
    assert store.store(package) == (uri, 100_000)
    assert store.store(package) == (uri, 0)
    assert (folder / package.name).read_bytes() == package.path.read_bytes()


def test_unused_packages_are_deleted(folder, store, package, tmp_path):
    uri, _ = store.store(package)
    store.store(_package(tmp_path, "0b"))
    for file in folder.iterdir():
        os.utime(file, (0, time.time() - 7200))
    store.keep([uri, "s3://bucket/raylift_x.zip"])
    assert [file.name for file in folder.iterdir()] == [package.name]


def test_a_missing_token_is_reported(api, store, package):
    api.token = ""
    with pytest.raises(
        FailedPrecondition, match="Secret 'demo-packages' in namespace 'ray' is"
    ):
        store.store(package)


def test_a_wrong_token_is_reported(api, store, package):
    api.token = "wrong"
    with pytest.raises(PermissionDenied, match="rejected the token"):
        store.store(package)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (503, (Unreachable, "'demo-packages' is not ready")),
        (403, (PermissionDenied, "API server denied access: forbidden")),
        (404, (FailedPrecondition, "API server rejected the request: forbidden")),
    ],
)
def test_an_error_of_the_store_is_reported(api, store, package, code, error):
    api.code = code
    with pytest.raises(error[0], match=error[1]):
        store.store(package)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errno.ENOSPC, "the volume of the package store 'demo-packages' is full"),
        (errno.EIO, "the package store 'demo-packages' failed with HTTP 500"),
    ],
)
def test_a_volume_that_cannot_be_written_is_reported(
    store, package, monkeypatch, error, message
):
    def fail(*_):
        raise OSError(error, "no")

    monkeypatch.setattr(package_server.os, "fsync", fail)
    with pytest.raises(FailedPrecondition, match=message):
        store.store(package)
