from __future__ import annotations

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from splatalk import files
from splatalk.errors import UserError


def test_a_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.npz"
    with files.atomic_path(target) as temporary:
        assert temporary.suffix == ".npz" and temporary.parent == target.parent
        temporary.write_bytes(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_the_old_and_nothing_else(tmp_path: Path, folder: bool) -> None:
    target = tmp_path / "x.bin"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.atomic_path(target) as temporary:
        if folder:
            temporary.mkdir()
            (temporary / "a").write_bytes(b"1")
        else:
            temporary.write_bytes(b"new")
        raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_a_full_folder(tmp_path: Path) -> None:
    target = tmp_path / "x.capture"
    for content in ("one", "two"):
        with files.atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert [path.name for path in target.iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_file_system_errors_become_words(tmp_path: Path, code: int) -> None:
    target = tmp_path / "x.mp4"
    with pytest.raises(UserError) as caught, files.atomic_path(target) as temporary:
        temporary.write_bytes(b"part")
        raise OSError(code, os.strerror(code))
    assert str(target) in caught.value.message and caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_full_disk_told_by_a_library_in_its_own_exception(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="disk is full"), files.atomic_path(tmp_path / "x"):
        raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "x"):
        (tmp_path / "nowhere").read_bytes()


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="not a folder"), files.atomic_path(tmp_path / "a" / "b" / "c"):
        pass


def test_a_path_without_a_name() -> None:
    with pytest.raises(UserError, match="does not name a file"), files.atomic_path(".."):
        pass


def test_too_little_space(tmp_path: Path) -> None:
    files.require_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(UserError, match="are free"):
        files.require_space(tmp_path / "not" / "yet", 1 << 62)


def _hold(lock: Path, ready: Path, seconds: float) -> None:
    with files.locked(lock):
        ready.touch()
        time.sleep(seconds)


def test_a_second_process_waits_for_the_lock(tmp_path: Path) -> None:
    lock, ready = tmp_path / ".lock", tmp_path / "ready"
    other = multiprocessing.get_context("fork").Process(target=_hold, args=(lock, ready, 0.4))
    other.start()
    while not ready.exists():
        time.sleep(0.005)
    begin = time.monotonic()
    with files.locked(lock):
        waited = time.monotonic() - begin
    other.join()
    assert waited > 0.2
