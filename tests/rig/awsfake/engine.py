"""A moto server and a Pulumi that finds this provider, for tests without a rig."""

import contextlib
import importlib.metadata
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

PLUGIN = pathlib.Path(__file__).with_name("pulumi-resource-aws")
BUILT = pathlib.Path(os.environ.get("RIG_OUT", "~/.cache/ray-rig")).expanduser() / "bin"
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "double",
    "AWS_SECRET_ACCESS_KEY": "double",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "PULUMI_CONFIG_PASSPHRASE": "double",
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
    "PULUMI_SUPPRESS_NEO_LINK": "true",
}


def pulumi():
    """Return the path of the Pulumi CLI, which build.sh builds, or None."""
    return shutil.which("pulumi", path=f"{BUILT}{os.pathsep}{os.environ['PATH']}")


@contextlib.contextmanager
def running(folder):
    """Run moto on a free loopback port; yield the environment for Pulumi.

    State and plugins are in FOLDER, so that several of them are independent.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home, state = folder / "pulumi-home", folder / "state"
    state.mkdir(parents=True)
    install(home / "plugins")
    environment = {
        **SETTINGS,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{state}",
        "RIG_PYTHON": sys.executable,
        "PATH": f"{BUILT}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        managed = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        moto = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **managed}
        )
    try:
        until_answered(f"{environment['AWS_ENDPOINT_URL']}/moto-api/", moto)
        yield environment
    finally:
        moto.terminate()
        moto.wait()


def install(plugins):
    """Install the plugin as a link in a folder: the engine ignores links to folders."""
    version = importlib.metadata.version("pulumi_aws")
    folder = plugins / f"resource-aws-v{version}"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / PLUGIN.name
    link.unlink(missing_ok=True)
    link.symlink_to(PLUGIN)


def until_answered(url, process, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url):
            return
        time.sleep(0.1)
    raise TimeoutError(f"moto does not answer at {url}")
