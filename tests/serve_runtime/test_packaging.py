"""Packages: their contents, what cannot be packaged, and what is reused."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import itertools
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pathspec import PathSpec

from raylift.errors import InvalidInput, RayliftError
from raylift.redaction import without_secrets
from raylift.serve_runtime.packaging import file_tree, stat_cache, zip_archive
from raylift.serve_runtime.packaging.gitignore import RayPattern
from raylift.serve_runtime.packaging.package import MAX_BYTES, Package, pack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ray._private.runtime_env.packaging import create_package
    from ray._private.thirdparty.pathspec import PathSpec as RaysPathSpec

LOCATION = "serve.yaml:7: applications[0].runtime_env.working_dir"
GIT = shutil.which("git")


@dataclass(frozen=True)
class Link:
    """A symbolic link in a tree."""

    to: str


FIFO = object()
EXECUTABLE = object()
"""An empty file that its owner may execute."""
DIRECTORY = object()


def plant(root: Path, tree: dict) -> Path:
    """Create a tree from paths and text, bytes, Link, FIFO, EXECUTABLE or DIRECTORY."""
    root.mkdir(parents=True, exist_ok=True)
    for name, what in tree.items():
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        plant_one(path, what)
    return root


def plant_one(path: Path, what: object) -> None:
    if isinstance(what, Link):
        path.symlink_to(what.to)
    elif what is FIFO:
        os.mkfifo(path)
    elif what is DIRECTORY:
        path.mkdir()
    elif what is EXECUTABLE:
        path.touch(mode=0o755)
    else:
        path.write_bytes(what.encode() if isinstance(what, str) else what)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "app"


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def refused(root: Path, store: Path) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        pack(root, store=store, location=LOCATION)
    return caught.value


def lines(error: InvalidInput) -> list[str]:
    """Return the problems without their location."""
    problems = str(error).split("\n")
    assert all(line.startswith(f"{LOCATION}: ") for line in problems)
    return [line.removeprefix(f"{LOCATION}: ") for line in problems]


def members(package: Package) -> dict[str, bytes]:
    with zipfile.ZipFile(package.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(root: Path, store: Path) -> set[str]:
    """Return the paths in the package, without the marker."""
    package = pack(root, store=store, location=LOCATION)
    return set(members(package)) - {zip_archive.MARKER}


# Refusals. Secrets are concatenated here, so that secret scanners accept this file.

AWS = "AK" + "IA" + "QWERTYUIOPASDFGH"
AWS_SESSION = "AS" + "IA" + "QWERTYUIOPASDFG2"
HUGGING_FACE = "hf" + "_" + "aBcDeFgHiJ" * 3 + "klmn"
GITHUB = "gh" + "p_" + "a1B2c3D4e5F6" * 3
GITHUB_FINE = "github" + "_pat_" + "11ABCDEFG0" * 8
OPENAI = "sk" + "-" + "T3BlbkFJabcd" * 4
ANTHROPIC = "sk" + "-ant-api03-" + "aB3_-cD9" * 11
SLACK = "xo" + "xb-" + "123456789012-123456789012-" + "aB3dE6gH9jK2mN5pQ8sT1vW4"
GITLAB = "gl" + "pat-" + "aB3_-" * 4
GOOGLE = "AI" + "za" + "aB3_-" * 7
NPM = "npm" + "_" + "a1B2c3" * 6
PYPI = "py" + "pi-" + "AgEIcHlwaS5vcmc" * 4
DIGITAL_OCEAN = "dop" + "_v1_" + "0a1b2c3d" * 8
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTYifQ." + "a_B-" * 9
TOKENS = (AWS, AWS_SESSION, HUGGING_FACE, GITHUB, GITHUB_FINE, OPENAI, ANTHROPIC, SLACK)
TOKENS += (GITLAB, GOOGLE, NPM, PYPI, DIGITAL_OCEAN, JWT, "hunter2")
BLOCK = "-----BEGIN " + "{}PRIVATE KEY{}-----\nAAAA\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
PASSPHRASE = "PULUMI_CONFIG_" + "PASSPHRASE"

SECRET_NAMES = {
    ".env": "an environment file",
    ".env.production": "an environment file",
    "conf/.ENV": "an environment file",
    "id_rsa": "a private key",
    "id_ed25519": "a private key",
    "id_ecdsa.old": "a private key",
    "tls/server.key": "a private key",
    "a.p12": "a key store",
    "a.pfx": "a key store",
    "a.keystore": "a key store",
    ".netrc": "a password file",
    ".pypirc": "a password file",
    ".git-credentials": "a password file",
    "kubeconfig": "a kubeconfig",
    ".kube/config": "a kubeconfig",
    "infra/terraform.tfstate": "Terraform state",
    "terraform.tfstate.backup": "Terraform state",
    "credentials.json": "cloud credentials",
    "service-account-prod.json": "cloud credentials",
    ".aws/credentials": "AWS credentials",
    "home/.aws/config": "AWS credentials",
    ".ssh/known_hosts": "SSH keys",
    ".docker/config.json": "registry credentials",
}
SECRET_TEXTS = {
    "aws": (f"key = '{AWS}'", "an AWS access key ID"),
    "aws-session": (f"{AWS_SESSION}\n", "an AWS access key ID"),
    "hugging-face": (f'token="{HUGGING_FACE}"', "a Hugging Face token"),
    "github": (f"https://{GITHUB}@github.com", "a GitHub token"),
    "github-fine-grained": (GITHUB_FINE, "a GitHub token"),
    "openai": (f"OPENAI_API_KEY={OPENAI}", "an API key"),
    "anthropic": (f"x-api-key: {ANTHROPIC}", "an API key"),
    "slack": (f"bot: {SLACK}", "a Slack token"),
    "gitlab": (f"GITLAB_TOKEN={GITLAB}", "a GitLab token"),
    "google": (f"key: {GOOGLE}", "a Google API key"),
    "npm": (f"NPM_TOKEN={NPM}", "an npm token"),
    "pypi": (f"password = {PYPI}", "a PyPI token"),
    "digital-ocean": (DIGITAL_OCEAN, "a DigitalOcean token"),
    "web-token": (f"Authorization: Bearer {JWT}", "a JSON Web Token"),
    "key-block": (BLOCK.format("", ""), "a private key"),
    "rsa-key-block": (BLOCK.format("RSA ", ""), "a private key"),
    "openssh-key-block": (BLOCK.format("OPENSSH ", ""), "a private key"),
    "pgp-key-block": (BLOCK.format("PGP ", " BLOCK"), "a private key"),
    "passphrase": (f"env:\n  {PASSPHRASE}: hunter2", "a Pulumi passphrase"),
    "passphrase-shell": (f'export {PASSPHRASE}="hunter2"', "a Pulumi passphrase"),
}
UNFIT = "its name must be UTF-8 without control characters or backslashes"
HOSTILE: dict[str, tuple[dict, list[str]]] = {
    "link out by ..": (
        {"a": "", "out": Link("../../etc")},
        ["out: broken link to ../../etc"],
    ),
    "link out, absolute": (
        {"a": "", "out": Link("/etc/hostname")},
        ["out: links outside the directory, to /etc/hostname"],
    ),
    "directory link out": (
        {"sub/out": Link("/usr")},
        ["sub/out: links outside the directory, to /usr"],
    ),
    "link out by a link": (
        {"a": Link("b"), "b": Link("/usr")},
        [
            "a: links outside the directory, to /usr",
            "b: links outside the directory, to /usr",
        ],
    ),
    "link to a sibling with the same start": (
        {"a": "", "out": Link("../app2/x"), "../app2/x": "x"},
        ["out: links outside the directory, to {tmp}/app2/x"],
    ),
    "dangling link": (
        {"a": "", "b": Link("gone")},
        ["b: broken link to gone"],
    ),
    "dangling link with a name that is a trick": (
        {"a": "", "b": Link("x\n\x1b[2J")},
        [r"b: broken link to x\n\x1b[2J"],
    ),
    "link to itself": ({"a": Link("a")}, ["a: circular link"]),
    "links to each other": (
        {"a": Link("b"), "b": Link("a")},
        ["a: circular link", "b: circular link"],
    ),
    "link to the root": ({"a": "", "up": Link(".")}, ["up: circular link"]),
    "link to the parent": (
        {"sub/a": "", "sub/up": Link("..")},
        ["sub/up: circular link"],
    ),
    "two directories that link to each other": (
        {"a/to_b": Link("../b"), "b/to_a": Link("../a")},
        ["a/to_b/to_a: circular link", "b/to_a/to_b: circular link"],
    ),
    "link into a directory that links up": (
        {"a/b/up": Link(".."), "x": Link("a/b")},
        ["a/b/up: circular link", "x/up/b: circular link"],
    ),
    "link into .git": (
        {"a": "", ".git/config": "", "b": Link(".git/config")},
        ["b: links to .git/config, which is not packaged"],
    ),
    "link to what is ignored": (
        {".gitignore": "/data/\n", "data/x": "", "b": Link("data/x")},
        ["b: links to data/x, which is not packaged"],
    ),
    "link to what a nested file ignores": (
        {"c/.gitignore": "x\n", "c/x": "", "b": Link("c/x")},
        ["b: links to c/x, which is not packaged"],
    ),
    "link to a secret": (
        {"a": Link("id_rsa"), "id_rsa": ""},
        [
            "a: may contain a secret: a private key",
            "id_rsa: may contain a secret: a private key",
        ],
    ),
    "FIFO": ({"a": "", "pipe": FIFO}, ["pipe: neither a file nor a directory"]),
    "link to a FIFO": (
        {"a": Link("pipe"), "pipe": FIFO},
        [
            "a: neither a file nor a directory",
            "pipe: neither a file nor a directory",
        ],
    ),
    "link to a device": (
        {"a": Link("/dev/null")},
        ["a: links outside the directory, to /dev/null"],
    ),
    "names that differ in case": (
        {"Readme": "", "README": ""},
        ["Readme: differs from README only in case or accents"],
    ),
    "directories that differ in case": (
        {"Lib/a": "", "lib/b": ""},
        ["lib: differs from Lib only in case or accents"],
    ),
    "names that differ in how an accent is written": (
        {"e\u0301": "", "\u00e9": ""},
        ["\u00e9: differs from e\u0301 only in case or accents"],
    ),
    "name that is not UTF-8": (
        {b"caf\xe9": ""},
        [rf"caf\xe9: {UNFIT}"],
    ),
    "name with a line break": (
        {"a\nserve.yaml:1: fine": ""},
        [rf"a\nserve.yaml:1: fine: {UNFIT}"],
    ),
    "name with an escape": (
        {"a\x1b[31m": ""},
        [rf"a\x1b[31m: {UNFIT}"],
    ),
    "directory with a line separator": (
        {"a\u2028b/c": ""},
        [rf"a\u2028b: {UNFIT}"],
    ),
    "name with a backslash, which Ray would drop": (
        {"a\\b": ""},
        [rf"a\b: {UNFIT}"],
    ),
    "name like a drive, which Ray would drop": (
        {"c:x": "", "d/e:f": ""},
        ["c:x: Ray reads its name as a Windows drive"],
    ),
    "empty": (
        {},
        ["nothing to package: the directory is empty or all files are ignored"],
    ),
    "empty directories": (
        {"a/b": DIRECTORY},
        ["nothing to package: the directory is empty or all files are ignored"],
    ),
    "all ignored": (
        {".gitignore": "*\n", "a": "", "b/c": ""},
        ["nothing to package: the directory is empty or all files are ignored"],
    ),
    "only our own files": (
        {".rayliftignore": "x\n", ".rayliftallow": "y\n"},
        ["nothing to package: the directory is empty or all files are ignored"],
    ),
    "npm token": (
        {".npmrc": "registry=x\n//registry.npmjs.org/:_authToken=abc\n"},
        [".npmrc: may contain a secret: an npm token on line 2"],
    ),
    "key in a .pem": (
        {"a.pem": BLOCK.format("", "")},
        ["a.pem: may contain a secret: a private key"],
    ),
    "key behind a certificate in a .pem": (
        {"a.pem": CERTIFICATE + BLOCK.format("RSA ", "")},
        ["a.pem: may contain a secret: a private key"],
    ),
    ".pem with neither": (
        {"a.pem": "AAAA"},
        ["a.pem: may contain a secret: a private key"],
    ),
    ".pem too large to judge": (
        {"a.pem": CERTIFICATE * 100_000},
        ["a.pem: may contain a secret: a private key"],
    ),
    "everything at once": (
        {
            "z": Link("gone"),
            "pipe": FIFO,
            ".env": "",
            "src/conf.py": f"\n\nKEY = '{AWS}'\n",
            "A": "",
            "a": "",
        },
        [
            "a: differs from A only in case or accents",
            "pipe: neither a file nor a directory",
            "z: broken link to gone",
            ".env: may contain a secret: an environment file",
            "src/conf.py: may contain a secret: an AWS access key ID on line 3",
        ],
    ),
}
HOSTILE |= {
    f"named {name}": ({name: "x"}, [f"{name}: may contain a secret: {what}"])
    for name, what in SECRET_NAMES.items()
}
HOSTILE |= {
    f"text with {name}": (
        {"a.txt": f"{text}\n"},
        [f"a.txt: may contain a secret: {what} on line {1 + ('env:' in text)}"],
    )
    for name, (text, what) in SECRET_TEXTS.items()
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_tree_is_refused_with_every_reason(case, root, store, tmp_path):
    tree, problems = HOSTILE[case]
    plant(root, tree)
    expected = [line.replace("{tmp}", str(tmp_path)) for line in problems]
    assert lines(refused(root, store)) == expected


@pytest.mark.parametrize("case", HOSTILE)
def test_a_refused_tree_leaves_nothing_in_the_store(case, root, store):
    refused(plant(root, HOSTILE[case][0]), store)
    assert not store.exists() or list(store.iterdir()) == []


def test_there_are_at_least_sixty_hostile_trees():
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("case", SECRET_TEXTS)
def test_a_secret_is_never_in_the_message(case, root, store):
    text, _ = SECRET_TEXTS[case]
    error = refused(plant(root, {"a.txt": text}), store)
    texts = f"{error} {error.hint} {error.__cause__} {error.problems}"
    words = [word for word in text.split() if len(word) > 12] + ["hunter2", "AAAA"]
    assert not [word for word in words if word in texts]


@pytest.mark.parametrize("case", SECRET_TEXTS)
def test_what_no_package_may_contain_is_not_shown_either(case):
    text, _ = SECRET_TEXTS[case]
    shown = without_secrets(text.replace("PASSPHRASE: ", "PASSPHRASE="))
    assert "***" in shown
    assert not [token for token in TOKENS if token in shown]


def test_the_hint_for_a_secret_names_the_ways_out(root, store):
    error = refused(plant(root, {".env": ""}), store)
    assert error.hint == (
        "delete it, add it to .rayliftignore, or allow it in .rayliftallow"
    )


def test_a_refusal_is_exit_code_two(root, store):
    assert refused(plant(root, {".env": ""}), store).exit_code == 2


def test_a_missing_directory_is_refused(tmp_path, store):
    error = refused(tmp_path / "gone", store)
    assert lines(error) == [f"{tmp_path}/gone: no such directory"]


def test_a_file_in_place_of_the_directory_is_refused(tmp_path, store):
    (tmp_path / "app.py").touch()
    error = refused(tmp_path / "app.py", store)
    assert lines(error) == [f"{tmp_path}/app.py: not a directory"]


def test_a_directory_behind_links_in_a_circle_is_refused(tmp_path, store):
    plant(tmp_path, {"a": Link("b"), "b": Link("a")})
    assert lines(refused(tmp_path / "a", store)) == [f"{tmp_path}/a: no such directory"]


def test_a_socket_is_refused(store):
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as end:
        end.bind(f"{short}/s")
        error = refused(Path(short), store)
    assert lines(error) == ["s: neither a file nor a directory"]


def test_more_than_the_limit_is_refused_with_the_largest_file(root, store):
    plant(root, {"small": "x", "models/big.bin": ""})
    os.truncate(root / "models/big.bin", MAX_BYTES)
    (line,) = lines(refused(root, store))
    assert line.startswith("must be at most 500 MB, not 500.0 MB; the largest of 2")
    assert line.endswith(" models/big.bin (500.0 MB)")


def test_a_tree_that_links_make_endless_is_refused(root, store, monkeypatch):
    monkeypatch.setattr(file_tree, "MAX_ENTRIES", 2_000)
    for number in range(30):
        twice = {f"d{number}/{side}": Link(f"../d{number + 1}") for side in "ab"}
        plant(root, twice)
    plant(root, {"d30/x": ""})
    assert lines(refused(root, store)) == [
        "must have at most 2000 files and directories"
    ]


@contextlib.contextmanager
def unprivileged():
    """Run the block as an unprivileged user, who is subject to file modes."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_what_may_not_be_read_is_refused():
    scratch = Path(tempfile.mkdtemp())
    try:
        scratch.chmod(0o755)
        root = plant(scratch / "app", {"a": "", "closed": "", "sub/x": ""})
        (root / "closed").chmod(0)
        (root / "sub").chmod(0)
        (scratch / "store").mkdir()
        os.chown(scratch / "store", 65534 if os.geteuid() == 0 else -1, -1)
        with unprivileged():
            error = refused(root, scratch / "store")
        (root / "sub").chmod(0o755)
    finally:
        shutil.rmtree(scratch)
    assert lines(error) == [
        "sub/: cannot be read: permission denied",
        "closed: cannot be read: permission denied",
    ]


def test_an_ignore_file_that_may_not_be_read_is_refused():
    scratch = Path(tempfile.mkdtemp())
    try:
        scratch.chmod(0o755)
        root = plant(scratch / "app", {"a": "", ".rayliftignore": "a"})
        (root / ".rayliftignore").chmod(0)
        (scratch / "store").mkdir()
        os.chown(scratch / "store", 65534 if os.geteuid() == 0 else -1, -1)
        with unprivileged():
            error = refused(root, scratch / "store")
    finally:
        shutil.rmtree(scratch)
    assert lines(error) == [".: ignore file cannot be read: permission denied"]


# Contents of packages.

FINE: dict[str, tuple[dict, set[str]]] = {
    "plain": ({"a.py": "", "sub/b.py": ""}, {"a.py", "sub/b.py"}),
    "names with spaces and accents": (
        {"a b": "", "caf\u00e9/\U0001f980": ""},
        {"a b", "caf\u00e9/\U0001f980"},
    ),
    "names that start with a dash or a dot": (
        {"-rf": "", ".config/x": "", "...": ""},
        {"-rf", ".config/x", "..."},
    ),
    "link to a file": (
        {"a": "x", "sub/b": Link("../a")},
        {"a", "sub/b"},
    ),
    "link to a directory": (
        {"lib/x": "", "lib/y/z": "", "also": Link("lib")},
        {"lib/x", "lib/y/z", "also/x", "also/y/z"},
    ),
    "link to a link": (
        {"a": "", "b": Link("a"), "c": Link("b")},
        {"a", "b", "c"},
    ),
    "absolute link within": (
        {"a": "", "b": Link("{root}/a")},
        {"a", "b"},
    ),
    "two links to one directory": (
        {"lib/x": "", "p": Link("lib"), "q": Link("lib")},
        {"lib/x", "p/x", "q/x"},
    ),
    "always ignored": (
        {
            "a": "",
            "a.pyc": "",
            ".git/config": "",
            ".raylift/token": "",
            "__pycache__/a": "",
            "sub/__pycache__/a": "",
            ".venv/x": "",
            "venv/x": "",
            ".mypy_cache/x": "",
            ".ruff_cache/x": "",
            ".DS_Store": "",
        },
        {"a"},
    ),
    "a work tree's .git is a file": ({"a": "", ".git": "gitdir: x"}, {"a"}),
    "a link named .venv that leads out": ({"a": "", ".venv": Link("/usr")}, {"a"}),
    "a file named venv": ({"venv": ""}, {"venv"}),
    "what is never packed cannot be let in": (
        {".rayliftignore": "!.git/\n", ".git/config": "", "a": ""},
        {"a"},
    ),
    "ignored things are not judged": (
        {
            ".gitignore": "/secret/\n.env\npipe\nout\n",
            "secret/id_rsa": "",
            ".env": "",
            "pipe": FIFO,
            "out": Link("/usr"),
            "a": "",
        },
        {".gitignore", "a"},
    ),
    "nested .gitignore": (
        {"a.log": "", "sub/.gitignore": "*.log\n", "sub/b.log": "", "sub/c/d.log": ""},
        {"a.log", "sub/.gitignore"},
    ),
    "nested .gitignore lets in": (
        {".gitignore": "*.log\n", "sub/.gitignore": "!b.log\n", "sub/b.log": ""},
        {".gitignore", "sub/.gitignore", "sub/b.log"},
    ),
    "a directory let in, though a file of its name is not": (
        {".gitignore": "foo\n!foo/\n", "foo/x": "", "b/foo": ""},
        {".gitignore", "foo/x"},
    ),
    "nothing in an ignored directory is let in": (
        {".gitignore": "sub/\n!sub/a\n", "sub/a": "", "b": ""},
        {".gitignore", "b"},
    ),
    ".rayliftignore alone": (
        {".rayliftignore": "*.csv\n", "a.csv": "", "b": ""},
        {"b"},
    ),
    ".rayliftignore lets in what .gitignore left out": (
        {".gitignore": "model/\n", ".rayliftignore": "!model/\n", "model/w": ""},
        {".gitignore", "model/w"},
    ),
    ".rayliftignore at the root beats a nested .gitignore": (
        {"s/.gitignore": "*.w\n", ".rayliftignore": "!*.w\n", "s/a.w": ""},
        {"s/.gitignore", "s/a.w"},
    ),
    "nested .rayliftignore": (
        {"s/.rayliftignore": "x\n", "s/x": "", "x": ""},
        {"x"},
    ),
    "ignore file with a mark and Windows line ends": (
        {".rayliftignore": "\ufeffx\r\ny\r\n", "x": "", "y": "", "z": ""},
        {"z"},
    ),
    "ignore file that is a link, as git": (
        {"rules": "a\n", ".gitignore": Link("rules"), "a": ""},
        {"rules", ".gitignore", "a"},
    ),
    "ignore file that is a directory": (
        {".gitignore/x": "", "a": ""},
        {".gitignore/x", "a"},
    ),
    "ignore pattern that is nonsense": (
        {".rayliftignore": "[a-\n//\n!\n\\\n", "a": ""},
        {"a"},
    ),
    "examples of environment files": (
        {".env.example": "", ".env.sample": "", ".env.template": ""},
        {".env.example", ".env.sample", ".env.template"},
    ),
    "public keys and certificates": (
        {"id_rsa.pub": "", "ca.crt": CERTIFICATE, "ca.pem": CERTIFICATE * 9_000},
        {"id_rsa.pub", "ca.crt", "ca.pem"},
    ),
    "npm settings without a token": (
        {".npmrc": "registry=https://x\n//x/:_authToken=${NPM_TOKEN}\n"},
        {".npmrc"},
    ),
    "names of secrets": (
        {"a.py": f'token = os.environ["HF_TOKEN"]\nos.environ["{PASSPHRASE}"] = p\n'},
        {"a.py"},
    ),
    "reference to a passphrase": (
        {"ci.yaml": f"  {PASSPHRASE}: ${{{{ secrets.P }}}}\n"},
        {"ci.yaml"},
    ),
    "AWS's own example key": (
        {"a.md": "AK" + "IAIOSFODNN7EXAMPLE"},
        {"a.md"},
    ),
    "CSS class of a spinner": (
        {"a.css": ".sk-folding-cube-with-a-very-long-name-indeed-yes {}"},
        {"a.css"},
    ),
    "long Python names": (
        {"a.py": "hf_hub_download_with_a_rather_long_name_for_a_function()"},
        {"a.py"},
    ),
    "token in data": (
        {"a.bin": b"\0" + AWS.encode()},
        {"a.bin"},
    ),
    "module named like a kubeconfig": ({"kubeconfig.py": ""}, {"kubeconfig.py"}),
    "marker of their own": (
        {zip_archive.MARKER: "mine", "a/b": ""},
        {"a/b"},
    ),
}


@pytest.mark.parametrize("case", FINE)
def test_a_fine_tree_is_packed_as_it_should(case, root, store):
    tree, expected = FINE[case]
    for name, what in tree.items():
        if isinstance(what, Link):
            tree = tree | {name: Link(what.to.replace("{root}", str(root)))}
    assert packed(plant(root, tree), store) == expected


def test_links_are_packed_as_what_they_lead_to(root, store):
    plant(root, {"a": "content", "b": Link("a"), "lib/x": "x", "also": Link("lib")})
    package = pack(root, store=store, location=LOCATION)
    held = members(package)
    assert (held["b"], held["also/x"]) == (b"content", b"x")
    with zipfile.ZipFile(package.path) as archive:
        kinds = {stat.S_IFMT(i.external_attr >> 16) for i in archive.infolist()}
    assert kinds == {stat.S_IFREG}


def test_rules_outside_of_the_directory_do_not_count(tmp_path, root, store):
    plant(tmp_path, {".gitignore": "a\n"})
    assert packed(plant(root, {"a": ""}), store) == {"a"}


def test_the_directory_may_be_given_by_a_link(tmp_path, root, store):
    plant(root, {"a": ""})
    (tmp_path / "link").symlink_to(root)
    assert packed(tmp_path / "link", store) == {"a"}


def test_a_store_inside_the_directory_is_not_packed(root):
    plant(root, {"a": ""})
    assert packed(root, root / "out") == {"a"}
    assert packed(root, root / "out") == {"a"}


def test_a_link_into_a_store_inside_the_directory_is_refused(root):
    plant(root, {"out/x": "", "a": Link("out/x")})
    assert lines(refused(root, root / "out")) == [
        "a: links to out/x, which is not packaged"
    ]


def test_a_tree_may_be_deeper_than_python_recurses(root, store):
    deep = "/".join(["d"] * 400)
    assert packed(plant(root, {f"{deep}/x": ""}), store) == {f"{deep}/x"}


SEGMENTS = st.sampled_from(
    [
        "a",
        "b",
        "*",
        "**",
        "foo",
        "bar",
        "b*",
        "*.py",
        "?",
        "[ab]",
        "[!a]",
        r"\#x",
        "x y",
    ]
)
PATTERNS = st.builds(
    "{0}{1}{2}{3}".format,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", "/", " "]),
)
RULES = st.dictionaries(
    st.sampled_from(["", "foo/", "foo/bar/", "bar/"]),
    st.lists(PATTERNS, min_size=1, max_size=4).map("\n".join),
    min_size=1,
)


@functools.cache
def git_tree() -> Path:
    root = Path(tempfile.mkdtemp(prefix="raylift-git-"))
    subprocess.run([GIT, "init", "-q", root], check=True, env={})
    names = "a b.py foo/a foo/b.py foo/bar/a foo/bar/foo/b bar/foo/a bar/b b/x #x"
    return plant(root, dict.fromkeys(names.split(), "") | {"x y": "", "foo/x y/a": ""})


@pytest.fixture(scope="module", autouse=True)
def _no_git_tree_left():
    yield
    if git_tree.cache_info().currsize:
        shutil.rmtree(git_tree())


@pytest.mark.skipif(GIT is None, reason="needs git")
@given(rules=RULES)
@settings(max_examples=100)
def test_ignore_files_mean_what_they_mean_to_git(rules):
    root = git_tree()
    for old in [*root.rglob(".gitignore"), *root.rglob(".rayignore")]:
        old.unlink()
    plant(root, {f"{where}.gitignore": text for where, text in rules.items()})
    command = [GIT, "ls-files", "--others", "--exclude-per-directory=.gitignore", "-z"]
    listed = subprocess.run(command, check=True, cwd=root, env={}, capture_output=True)
    expected = set(listed.stdout.decode().split("\0")) - {""}
    found = file_tree.walk(str(root.resolve()), leave_out="")
    assert {file.path for file in found.files} == expected


def _rays_package(root, excludes):
    """Return the files that Ray packs from a directory."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "package.zip"
        create_package(
            str(root), target, include_gitignore=True, excludes=list(excludes)
        )
        with zipfile.ZipFile(target) as archive:
            return {name for name in archive.namelist() if not name.endswith("/")}


def _is_plain(pattern):
    """Return whether Ray's older pathspec is clear: `**` alone means several things."""
    return set(pattern.strip("!/ ").split("/")) != {"**"}


@given(
    rules=RULES.filter(
        lambda r: all(map(_is_plain, "\n".join(r.values()).split("\n")))
    ),
    excludes=st.lists(PATTERNS.filter(_is_plain), max_size=3),
)
@settings(max_examples=100)
def test_rayignore_files_and_excludes_mean_what_they_mean_to_ray(rules, excludes):
    root = git_tree()
    for old in [*root.rglob(".gitignore"), *root.rglob(".rayignore")]:
        old.unlink()
    plant(root, {f"{where}.rayignore": text for where, text in rules.items()})
    found = file_tree.walk(str(root.resolve()), leave_out="", excludes=excludes)
    by_ray = {
        name
        for name in _rays_package(root, excludes)
        if not name.startswith(".git/") and not name.endswith(".rayignore")
    }
    assert {file.path for file in found.files} == by_ray


def test_every_short_pattern_means_what_it_means_to_ray():
    paths = {"a", "foo/a", "foo/bar/a", "x/y/z", "b", "a/b"}
    words = ("**", "a", "*", "foo", "x*")
    for length in range(1, 5):
        for parts in itertools.product(words, repeat=length):
            pattern = "/".join(parts)
            for ends in itertools.product(("", "/"), repeat=2):
                rules = [pattern.join(ends)]
                for lines in (rules, ["*", f"!{rules[0]}"]):
                    ours = PathSpec.from_lines(RayPattern, lines)
                    rays = RaysPathSpec.from_lines("gitwildmatch", lines)
                    matched = set(ours.match_files(paths))
                    assert matched == set(rays.match_files(paths)), lines


@pytest.mark.parametrize("pattern", ["!", "\\", "a\\", "/", "!/", "", "# x"])
def test_invalid_patterns_exclude_nothing(root, store, pattern):
    plant(root, {"a": "x", ".rayignore": pattern})
    package = pack(root, store=store, location=LOCATION, excludes=[pattern])
    assert set(members(package)) - {zip_archive.MARKER} == {"a"}


def test_excludes_shrink_a_directory_that_is_too_large(root, store):
    plant(root, {"a": "x", "data/big.bin": ""})
    os.truncate(root / "data/big.bin", MAX_BYTES)
    package = pack(root, store=store, location=LOCATION, excludes=["data/"])
    assert set(members(package)) - {zip_archive.MARKER} == {"a"}


# Allowed secrets.

ALLOWED = {
    "by name": ("a.key\n", {"a.key": ""}),
    "by pattern": ("*.key\n", {"sub/a.key": ""}),
    "by directory": ("certs/\n", {"certs/a.key": "", "certs/b/.env": ""}),
    "by content": ("a.txt\n", {"a.txt": AWS}),
    "a link with the name of a secret": ("/.env\n", {"a": "", ".env": Link("a")}),
    "a link by what it leads to": ("a.key\n", {"a.key": "", "b": Link("a.key")}),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_an_allowed_secret_is_packed(case, root, store):
    allow, tree = ALLOWED[case]
    assert packed(plant(root, tree | {".rayliftallow": allow}), store) == set(tree)


def test_what_is_allowed_by_one_line_and_not_by_the_next_is_refused(root, store):
    plant(root, {".rayliftallow": "*.key\n!b.key\n", "a.key": "", "b.key": ""})
    error = refused(root, store)
    assert lines(error) == ["b.key: may contain a secret: a private key"]


def test_only_an_allow_file_at_the_root_counts(root, store):
    plant(root, {"sub/.rayliftallow": "*\n", "sub/a.key": ""})
    assert lines(refused(root, store)) == [
        "sub/a.key: may contain a secret: a private key"
    ]


def test_an_allowed_secret_is_refused_again_when_no_longer_allowed(root, store):
    plant(root, {".rayliftallow": "a.txt\n", "a.txt": AWS})
    pack(root, store=store, location=LOCATION)
    later(store)
    (root / ".rayliftallow").unlink()
    error = refused(root, store)
    assert lines(error) == [
        "a.txt: may contain a secret: an AWS access key ID on line 1"
    ]


# Determinism.

TREE = {"b.py": "b", "a/x": "x", "a/run": EXECUTABLE, "caf\u00e9": "y", "l": Link("a")}


def bytes_of(root: Path, store: Path) -> bytes:
    return pack(root, store=store, location=LOCATION).path.read_bytes()


def test_two_places_give_the_same_bytes(tmp_path):
    one = bytes_of(plant(tmp_path / "one", TREE), tmp_path / "s1")
    two = bytes_of(plant(tmp_path / "elsewhere/two", TREE), tmp_path / "s2")
    assert one == two


def test_the_order_of_making_does_not_count(tmp_path):
    one = bytes_of(plant(tmp_path / "one", TREE), tmp_path / "s1")
    backwards = dict(reversed(TREE.items()))
    assert one == bytes_of(plant(tmp_path / "two", backwards), tmp_path / "s2")


def test_times_do_not_count(tmp_path):
    one = bytes_of(plant(tmp_path / "one", TREE), tmp_path / "s1")
    root = plant(tmp_path / "two", TREE)
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    assert one == bytes_of(root, tmp_path / "s2")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_umask_does_not_count(umask, tmp_path):
    one = bytes_of(plant(tmp_path / "one", TREE), tmp_path / "s1")
    before = os.umask(umask)
    try:
        two = bytes_of(plant(tmp_path / "two", TREE), tmp_path / "s2")
    finally:
        os.umask(before)
    assert one == two


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX", "tr_TR.ISO-8859-9"])
def test_the_locale_does_not_count(locale, tmp_path):
    tree = TREE | {".gitignore": "\u00fc\n", "\u00fc": "", "n": Link("caf\u00e9")}
    one = bytes_of(plant(tmp_path / "one", tree), tmp_path / "s1")
    code = (
        "import sys; from pathlib import Path\n"
        "from raylift.serve_runtime.packaging.package import pack\n"
        "pack(Path(sys.argv[1]), store=Path(sys.argv[2]), location='x')"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "one", tmp_path / "s2"],
        check=True,
        cwd=Path(__file__).parents[2],
        env={"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    )
    (other,) = (tmp_path / "s2").glob("*.zip")
    assert one == other.read_bytes()


def test_modes_are_two_and_times_are_one(root, store):
    package = pack(plant(root, TREE), store=store, location=LOCATION)
    with zipfile.ZipFile(package.path) as archive:
        modes = {i.filename: i.external_attr >> 16 & 0o7777 for i in archive.infolist()}
        times = {i.date_time for i in archive.infolist()}
        extras = {i.extra + i.comment for i in archive.infolist()}
        systems = {i.create_system for i in archive.infolist()}
    assert modes == dict.fromkeys(modes, 0o644) | {"a/run": 0o755, "l/run": 0o755}
    assert (times, extras, systems) == ({(1980, 1, 1, 0, 0, 0)}, {b""}, {3})


def test_members_are_sorted(root, store):
    tree = dict.fromkeys(["b", "a/b", "a.b", "a-b", "C", "\u00e9"], "")
    names = list(members(pack(plant(root, tree), store=store, location=LOCATION)))
    assert names == sorted(tree)


CHANGES = {
    "content": ("a/x", "other"),
    "a new file": ("new", ""),
    "a mode": ("b.py", EXECUTABLE),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_of_content_changes_the_name(case, root, store):
    before = pack(plant(root, TREE), store=store, location=LOCATION)
    name, what = CHANGES[case]
    (root / name).unlink(missing_ok=True)
    if what is EXECUTABLE:
        (root / name).write_text("b")
        (root / name).chmod(0o755)
    else:
        plant_one(root / name, what)
    assert pack(root, store=store, location=LOCATION).name != before.name


def test_a_renamed_file_changes_the_name(root, store):
    before = pack(plant(root, TREE), store=store, location=LOCATION)
    (root / "b.py").rename(root / "c.py")
    assert pack(root, store=store, location=LOCATION).name != before.name


def test_a_change_of_our_own_files_alone_keeps_the_name(root, store):
    before = pack(plant(root, TREE), store=store, location=LOCATION)
    plant(root, {".rayliftignore": "nothing\n", ".rayliftallow": "nothing\n"})
    assert pack(root, store=store, location=LOCATION).name == before.name


def test_the_name_is_of_the_content_and_fits_a_uri(root, store):
    package = pack(plant(root, {"a": "x"}), store=store, location=LOCATION)
    digest = hashlib.sha256(b"x").hexdigest()
    text = f"raylift package 1\na\x00644\0{digest}\n"
    expected = f"raylift_{hashlib.sha256(text.encode()).hexdigest()[:32]}.zip"
    assert package.name == package.path.name == expected


# The store and its index.


def later(store: Path) -> None:
    """Make the index believe that the last package is newer than the last change."""
    for path in store.glob("index-*.json"):
        index = stat_cache.load(path)
        assert index.files
        read_ns = index.read_ns + stat_cache.RACY_NS + 1_000_000_000
        stat_cache.save(path, index._replace(read_ns=read_ns))


OPENED: list[str] = []
"""All files that this process opens; audit hooks cannot be removed."""
sys.addaudithook(
    lambda event, args: OPENED.append(str(args[0])) if event == "open" else None
)


@contextlib.contextmanager
def opened_below(root: Path):
    """Yield a list that afterwards contains the opened files of a tree."""
    found: list[str] = []
    OPENED.clear()
    yield found
    start = f"{root.resolve()}/"
    found += [name.removeprefix(start) for name in OPENED if name.startswith(start)]


def test_a_first_package_is_built(root, store):
    package = pack(plant(root, TREE), store=store, location=LOCATION)
    assert (package.built, package.files) == (True, 6)


def test_an_unchanged_tree_is_not_read_again(root, store):
    first = pack(plant(root, TREE), store=store, location=LOCATION)
    later(store)
    with opened_below(root) as opened:
        again = pack(root, store=store, location=LOCATION)
    assert [name for name in opened if name != ".rayliftallow"] == []
    assert again == Package(first.name, first.path, first.size, 6, built=False)


def test_an_unchanged_tree_is_not_read_again_after_two_seconds(root, store):
    plant(root, TREE)
    time.sleep(stat_cache.RACY_NS / 1e9 + 0.1)
    pack(root, store=store, location=LOCATION)
    with opened_below(root) as opened:
        pack(root, store=store, location=LOCATION)
    assert [name for name in opened if name != ".rayliftallow"] == []


def test_files_just_written_are_read_again(root, store):
    pack(plant(root, {"a": "x"}), store=store, location=LOCATION)
    with opened_below(root) as opened:
        pack(root, store=store, location=LOCATION)
    assert "a" in opened


def test_every_file_is_opened_once_to_be_packed(root, store):
    plant(root, {"a": "x", "b/c": "y"})
    with opened_below(root) as opened:
        pack(root, store=store, location=LOCATION)
    assert sorted(set(opened) - {".rayliftallow", "b", ""}) == ["a", "b/c"]
    assert opened.count("a") == 1


def test_an_ignored_directory_is_never_entered(root, store):
    plant(root, {".gitignore": "data/\n", "data/x": "", ".venv/x": "", "a": ""})
    listed: list[str] = []
    hook = functools.partial(note_listing, listed)
    sys.addaudithook(hook)
    pack(root, store=store, location=LOCATION)
    assert [name for name in listed if name.startswith(f"{root.resolve()}/")] == [
        f"{root.resolve()}/"
    ]


def note_listing(listed: list[str], event: str, args: tuple) -> None:
    if event == "os.scandir":
        listed.append(str(args[0]))


def test_a_change_with_the_same_size_and_time_is_noticed_at_once(root, store):
    before = pack(plant(root, {"a": "one"}), store=store, location=LOCATION)
    seen = (root / "a").stat()
    (root / "a").write_text("two")
    os.utime(root / "a", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert pack(root, store=store, location=LOCATION).name != before.name


def test_a_change_with_the_same_size_and_time_is_noticed_later(root, store):
    before = pack(plant(root, {"a": "one"}), store=store, location=LOCATION)
    later(store)
    seen = (root / "a").stat()
    (root / "a").write_text("two")
    os.utime(root / "a", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert pack(root, store=store, location=LOCATION).name != before.name


def test_a_file_replaced_by_one_with_the_same_size_and_time_is_noticed(root, store):
    before = pack(plant(root, {"a": "one"}), store=store, location=LOCATION)
    later(store)
    seen = (root / "a").stat()
    plant(root, {"../b": "two"})
    os.utime(root / "../b", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    (root / "../b").replace(root / "a")
    assert pack(root, store=store, location=LOCATION).name != before.name


def known(now: os.stat_result) -> stat_cache.Known:
    return stat_cache.Known(*stat_cache.stamp(now), "digest", "")


@pytest.mark.parametrize(("after_ns", "is_sure"), [(-1, False), (0, False), (1, True)])
def test_the_index_is_sure_only_of_what_was_old_when_read(after_ns, is_sure, tmp_path):
    now = tmp_path.stat()
    read_ns = max(now.st_mtime_ns, now.st_ctime_ns) + stat_cache.RACY_NS + after_ns
    index = stat_cache.Index(read_ns, {"a": known(now)})
    assert (index.get("a", now) is not None) is is_sure


def test_a_touched_tree_is_the_same_package(root, store):
    first = pack(plant(root, TREE), store=store, location=LOCATION)
    later(store)
    os.utime(root / "b.py", (5, 5))
    again = pack(root, store=store, location=LOCATION)
    assert (again.name, again.built) == (first.name, False)


def index_of(store: Path) -> Path:
    (path,) = store.glob("index-*.json")
    return path


def with_checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


DAMAGES = {
    "empty": lambda _: b"",
    "garbage": lambda _: b"\xff\x00garbage",
    "cut short": lambda old: old[: len(old) // 2],
    "a digit changed": lambda old: old[:-20] + bytes([old[-20] ^ 1]) + old[-19:],
    "a digest changed": lambda old: old.replace(
        hashlib.sha256(b"b").hexdigest().encode(), b"0" * 64
    ),
    "no JSON": lambda _: with_checksum(b"{"),
    "another shape": lambda _: with_checksum(b'{"a": 1}'),
    "a list of nothing": lambda _: with_checksum(b"[[], 0, []]"),
    "nested too deep": lambda _: with_checksum(b"[" * 100_000),
    "files of another shape": lambda old: with_checksum(
        old.partition(b"\n")[2].partition(b"{")[0] + b'{"a":[1]}]'
    ),
    "another format": lambda old: with_checksum(
        old.partition(b"\n")[2].replace(b"[[1,", b"[[0,")
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_index_is_as_none(case, root, store):
    first = pack(plant(root, TREE), store=store, location=LOCATION)
    later(store)
    index_of(store).write_bytes(DAMAGES[case](index_of(store).read_bytes()))
    assert stat_cache.load(index_of(store)).files == {}
    with opened_below(root) as opened:
        again = pack(root, store=store, location=LOCATION)
    assert (again.name, again.built) == (first.name, False)
    assert "b.py" in opened


def test_a_damaged_index_is_replaced_by_a_whole_one(root, store):
    pack(plant(root, TREE), store=store, location=LOCATION)
    index_of(store).write_bytes(b"garbage")
    pack(root, store=store, location=LOCATION)
    assert set(stat_cache.load(index_of(store)).files) == {
        "a/run",
        "a/x",
        "b.py",
        "caf\u00e9",
    }


def test_an_index_that_cannot_be_written_does_not_stop_the_package(root, store):
    pack(plant(root, TREE), store=store, location=LOCATION)
    path = index_of(store)
    path.unlink()
    (path / "in the way").mkdir(parents=True)
    assert pack(root, store=store, location=LOCATION).built is False


def test_two_directories_have_two_indexes(tmp_path, store):
    pack(plant(tmp_path / "a", {"x": "1"}), store=store, location=LOCATION)
    pack(plant(tmp_path / "b", {"x": "2"}), store=store, location=LOCATION)
    assert len(list(store.glob("index-*.json"))) == 2


def test_a_package_gone_from_the_store_is_built_again(root, store):
    first = pack(plant(root, TREE), store=store, location=LOCATION)
    later(store)
    first.path.unlink()
    assert pack(root, store=store, location=LOCATION) == first


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_package_cut_short_in_the_store_is_built_again(is_indexed, root, store):
    first = pack(plant(root, TREE), store=store, location=LOCATION)
    later(store)
    if not is_indexed:
        index_of(store).unlink()
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:-1])
    assert pack(root, store=store, location=LOCATION).built is True
    assert first.path.read_bytes() == whole


def test_the_store_is_for_its_owner_only(root, store):
    package = pack(plant(root, TREE), store=store, location=LOCATION)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.iterdir()}
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    assert modes == {package.name: 0o600, index_of(store).name: 0o600}


def test_a_store_that_is_a_file_is_an_error_in_one_line(root, store):
    plant(root, {"a": ""})
    store.write_text("")
    with pytest.raises(RayliftError, match=r"store: cannot be written: "):
        pack(root, store=store, location=LOCATION)


def test_packing_at_once_gives_one_package(root, store):
    plant(root, TREE)
    found: list[Package] = []
    work = [
        threading.Thread(
            target=lambda: found.append(pack(root, store=store, location=LOCATION))
        )
        for _ in range(6)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(found) == 6
    assert {path.name for path in store.iterdir()} == {
        found[0].name,
        index_of(store).name,
    }


# Files that change during packaging.


def seen(root: Path) -> file_tree.Tree:
    return file_tree.walk(str(root.resolve()), leave_out="")


def test_a_file_that_vanishes_while_it_is_packed_is_told(root, tmp_path):
    tree = seen(plant(root, {"a": "", "b": ""}))
    (root / "a").unlink()
    _, unread = zip_archive.write(tree, tmp_path / "zip")
    assert unread == [
        "a: changed during packaging; try again when nothing is writing to it"
    ]


def put_other_content(path: Path) -> None:
    path.write_text("two")


def put_a_longer_one(path: Path) -> None:
    path.write_text("longer")


def put_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def put_a_link_out(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def put_another_mode(path: Path) -> None:
    path.chmod(0o755)


PUT = [
    put_other_content,
    put_a_longer_one,
    put_a_fifo,
    put_a_link_out,
    put_another_mode,
]


@pytest.mark.parametrize("put", PUT)
def test_a_file_that_changes_before_it_is_read_is_told(put, root, tmp_path):
    tree = seen(plant(root, {"a": "one"}))
    time.sleep(0.02)  # the kernel's clock ticks every 1 to 10 ms
    put(root / "a")
    _, unread = zip_archive.write(tree, tmp_path / "zip")
    assert len(unread) == 1


@pytest.mark.parametrize("put", PUT)
def test_nothing_is_read_of_what_was_put_in_a_file_s_place(put, root):
    (file,) = seen(plant(root, {"a": "one"})).files
    time.sleep(0.02)
    put(root / "a")
    with pytest.raises(zip_archive.UnreadError, match="changed during packaging"):
        next(zip_archive._chunks(file))


def test_a_file_that_grows_without_end_is_not_read_without_end(root):
    plant(root, {"a": "one"})
    with (root / "a").open("rb") as stream:
        chunks = zip_archive._read(stream.fileno(), 1)
        with pytest.raises(zip_archive.UnreadError, match="changed during packaging"):
            next(chunks)


@pytest.mark.parametrize("put", [put_other_content, put_a_longer_one])
def test_a_file_that_changes_while_it_is_read_is_told(put, root):
    (file,) = seen(plant(root, {"a": "one"})).files
    chunks = zip_archive._chunks(file)
    next(chunks)
    time.sleep(0.02)
    put(root / "a")
    with pytest.raises(zip_archive.UnreadError, match="changed during packaging"):
        list(chunks)


# Packages unpacked by Ray.


def unpacked_by_ray(package: Package, base: Path) -> dict[str, tuple[bytes, bool]]:
    """Return each path with its content and whether it is executable, for a worker."""
    from ray._private.runtime_env.packaging import download_and_unpack_package

    base.mkdir()
    uri = f"file://{package.path}"
    where = Path(asyncio.run(download_and_unpack_package(uri, str(base))))
    return tree_at(where)


def tree_at(root: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        str(path.relative_to(root)): (
            path.read_bytes(),
            bool(path.stat().st_mode & stat.S_IXUSR),
        )
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    "tree",
    [
        {"a.py": "a", "sub/b.py": "b"},
        {"run.sh": EXECUTABLE, "caf\u00e9/\U0001f980": "crab", " a ": "", "-x": ""},
        {"d/e:f": "", "%41/a?b=c&d#e": "", "a*": "", '"q"': ""},
    ],
)
def test_ray_unpacks_the_tree_as_it_was(tree, root, store, tmp_path):
    package = pack(plant(root, tree), store=store, location=LOCATION)
    assert unpacked_by_ray(package, tmp_path / "ray") == tree_at(root)


@pytest.mark.parametrize(
    "tree",
    [
        {"app/main.py": "x"},
        {"app/a/b/c": "x", "app/a/d": "y"},
        {"app/x": "", "__MACOSX/y": ""},
        {"a/x": "", "b/y": ""},
    ],
)
def test_ray_keeps_the_only_top_level_directory(tree, root, store, tmp_path):
    package = pack(plant(root, tree), store=store, location=LOCATION)
    found = unpacked_by_ray(package, tmp_path / "ray")
    assert found == tree_at(root) | {zip_archive.MARKER: (b"", False)}


def test_the_marker_is_there_only_where_no_file_is_at_the_top(root, store):
    package = pack(plant(root, {"a": "", "b/c": ""}), store=store, location=LOCATION)
    assert zip_archive.MARKER not in members(package)


PARTS = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="/\\:"
    ),
    max_size=8,
).map(lambda part: f"n{part}_")  # avoids ignored names


@given(
    st.dictionaries(
        st.lists(PARTS, min_size=1, max_size=3).map(lambda p: "/".join(["d", *p])),
        st.binary(max_size=200),
        min_size=1,
        max_size=6,
    )
)
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_whatever_is_packed_is_unpacked_the_same(tree):
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "app")
        with contextlib.suppress(
            FileExistsError, IsADirectoryError, NotADirectoryError
        ):
            plant(root, tree)
        try:
            package = pack(root, store=Path(scratch, "store"), location=LOCATION)
        except InvalidInput:  # names that differ only in case, or a key file
            reject()
        found = unpacked_by_ray(package, Path(scratch, "ray"))
        found.pop(zip_archive.MARKER)
        assert found == tree_at(root)


@given(
    st.dictionaries(
        st.text("ab\u00e9", min_size=1, max_size=5).map(lambda name: f"x{name}"),
        st.binary(max_size=50),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=40)
def test_the_size_is_known_before_the_zip_is_made(tree):
    with tempfile.TemporaryDirectory() as scratch:
        root = plant(Path(scratch, "app"), tree)
        package = pack(root, store=Path(scratch, "store"), location=LOCATION)
        found = seen(root)
        assert package.size == package.path.stat().st_size == zip_archive.size(found)


def test_more_files_than_an_old_zip_can_count_are_packed(root, store):
    plant(root, {f"real/{number:03}": "" for number in range(260)})
    plant(root, {f"again/{number:03}": Link("../real") for number in range(252)})
    package = pack(root, store=store, location=LOCATION)
    assert package.files == 260 * 253 > 65_535
    assert package.size == zip_archive.size(seen(root))
    with zipfile.ZipFile(package.path) as archive:
        assert len(archive.namelist()) == package.files + 1


def test_a_large_file_is_packed_whole(root, store):
    content = os.urandom(3 * 1024 * 1024 + 17)
    package = pack(plant(root, {"w": content}), store=store, location=LOCATION)
    assert members(package)["w"] == content
