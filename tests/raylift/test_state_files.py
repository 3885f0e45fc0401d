"""State files: atomic writes, and locks that end with their process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylift.errors import (
    Conflict,
    InvalidInput,
    Leftovers,
    PermissionDenied,
    RayliftError,
)
from raylift.state_files import (
    is_held,
    locked,
    make_private_dir,
    read_json,
    write_json,
    write_private,
)
from raylift.yaml_document import parse


def test_a_private_file_is_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "token"
    write_private(path, "secret")
    assert path.read_text() == "secret"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_fails_leaves_the_old_content_and_no_rubbish(tmp_path):
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})
    with pytest.raises(RayliftError, match="cannot be written"):
        write_private(tmp_path / "gone" / "x", "new")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_a_damaged_file_is_never_taken_for_an_empty_one(tmp_path, text):
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(Leftovers, match="corrupted"):
        read_json(path)


def test_a_file_that_is_not_there_is_none(tmp_path):
    assert read_json(tmp_path / "state.json") is None


HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from raylift.state_files import locked\n"
    "with locked(Path(sys.argv[1]), what='it', wait_s=0):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


def test_a_lock_is_refused_while_held_and_free_once_its_holder_is_killed(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match="it: locked by another raylift command"):
            locked(path, what="it", wait_s=0.1).__enter__()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with locked(path, what="it", wait_s=1):
        assert path.exists()


def test_whether_a_lock_is_held_is_told_without_a_file_made(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()
    with locked(path, what="it", wait_s=0):
        assert is_held(path)
    assert not is_held(path)


def test_nothing_brings_a_folder_back_that_was_deleted(tmp_path):
    gone = tmp_path / "stack"
    with pytest.raises(RayliftError, match="cannot be written: no such file"):
        locked(gone / "desired.lock", what="it", wait_s=0).__enter__()
    with pytest.raises(RayliftError, match="cannot be written: no such file"):
        make_private_dir(gone / "releases")
    assert list(tmp_path.iterdir()) == []
    with locked(gone / "lock", what="it", wait_s=0, make_folder=True):
        assert gone.stat().st_mode & 0o777 == 0o700


def test_a_lock_whose_file_was_deleted_while_waiting_is_taken_anew(tmp_path):
    path = tmp_path / "lock"
    with locked(path, what="it", wait_s=0):
        waiter = subprocess.Popen(
            [sys.executable, "-c", HOLD.replace("wait_s=0", "wait_s=9"), str(path)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(0.5)
        path.unlink()
    assert waiter.stdout.readline() == "held\n"
    with pytest.raises(Conflict):
        locked(path, what="it", wait_s=0).__enter__()
    os.kill(waiter.pid, signal.SIGKILL)
    waiter.communicate()


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t0.1", max_size=60))
def test_no_text_makes_the_yaml_reader_raise_anything_but_input_failed(text):
    places = _places_of(text)
    assert places
    assert all(place.startswith("f.yaml") for place in places)


def _places_of(text: str) -> list[str]:
    try:
        return [parse(text, name="f.yaml").location(())]
    except InvalidInput as failed:
        return [problem.location for problem in failed.problems]


def test_a_disk_that_fails_midway_leaves_the_old_content_and_no_rubbish(
    tmp_path, monkeypatch
):
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        RayliftError, match="cannot be written: no space left"
    ) as failed:
        write_json(path, {"a": 2})
    assert failed.value.exit_code == 1
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_killed_midway_leaves_the_old_content(tmp_path):
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from raylift import state_files\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "state_files.write_json(Path(sys.argv[1]), {'a': 2})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read_json(path) == {"a": 1}


def test_a_state_file_below_a_file_cannot_be_read(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PermissionDenied, match="cannot be read: not a directory"):
        read_json(tmp_path / "file" / "state.json")


def test_a_lock_is_free_after_an_error_inside_it(tmp_path):
    path = tmp_path / "lock"
    with pytest.raises(KeyError), locked(path, what="it", wait_s=0):
        raise KeyError
    with locked(path, what="it", wait_s=0):
        assert path.exists()


def test_a_child_does_not_keep_the_lock_of_its_parent(tmp_path):
    path = tmp_path / "lock"
    with locked(path, what="it", wait_s=0):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with locked(path, what="it", wait_s=0):
            assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_private_folder_is_closed_to_others_even_if_it_was_open(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True, mode=0o755)
    assert make_private_dir(folder) == folder
    assert folder.stat().st_mode & 0o777 == 0o700
