"""A hook that binds Ray's gRPC servers to loopback.

Ray binds two kinds of gRPC servers to every interface, without a setting to change
that: the internal server of each replica (ray/serve/_private/replica.py, `[::]:0`), and
the servers of applications, which require no token (ray/serve/_private/grpc_util.py,
`[::]:{port}`). Python runs the generated `sitecustomize` module in every process of the
stack. When a process imports the server of grpc, the hook changes the bind address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.state_files import write_private

if TYPE_CHECKING:
    from pathlib import Path

_MODULE = '''"""Written by raylift: no gRPC server binds to every interface."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path


class _Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "grpc.aio._server":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (execute(module), _rebind(module))
        return spec


def _rebind(module):
    add = module.Server.add_insecure_port

    def add_insecure_port(self, address):
        # Port 0 is a replica's internal server, which Ray calls on loopback.
        host = "127.0.0.1" if address == "[::]:0" else "{host}"
        return add(self, address.replace("[::]:", host + ":"))

    module.Server.add_insecure_port = add_insecure_port


sys.meta_path.insert(0, _Finder())

# This module hides any other sitecustomize, which the environment may need.
_elsewhere = [p for p in sys.path if Path(p).resolve() != Path(__file__).parent]
_hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", _elsewhere)
if _hidden and _hidden.loader:
    _hidden.loader.exec_module(importlib.util.module_from_spec(_hidden))
'''


def write_hook(folder: Path, *, host: str) -> None:
    """Write the module to a directory that is first in PYTHONPATH of every Ray process.

    `host` is the address that applications listen on.
    """
    text = _MODULE.format(host=host)
    write_private(folder / "sitecustomize.py", text)
