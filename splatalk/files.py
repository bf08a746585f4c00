"""Writing files so that a half-written one never stands under its final name, and full disks are told in words."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from splatalk.errors import UserError

_MEANING = {
    errno.ENOSPC: ("the disk is full", "Free some space or write to another disk."),
    errno.EDQUOT: ("your disk quota is used up", "Free some space or write to another disk."),
    errno.EFBIG: ("the file system does not take a file this large", "Write to another disk."),
    errno.EACCES: ("permission denied", "Choose a place you may write to."),
    errno.EPERM: ("permission denied", "Choose a place you may write to."),
    errno.EROFS: ("the file system is read-only", "Choose a place you may write to."),
    errno.EIO: ("the disk reports an input/output error", "Check the disk or write to another one."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Choose another path."),
    errno.EEXIST: ("a part of the path is a file, not a folder", "Choose another path."),
    errno.EISDIR: ("there is a folder of that name", "Choose another name."),
}
DAMAGED_ARCHIVE: tuple[type[Exception], ...] = (
    OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, RuntimeError, SyntaxError, tokenize.TokenError,
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error,
)  # fmt: skip
"""All that numpy and zipfile raise when an ``.npz`` is damaged. NotImplementedError, an unknown compression, is a
RuntimeError; SyntaxError and TokenError are what reading the header of an array as Python may end in."""
# Libraries written in other languages report a full disk as text in an exception of their own.
_FULL_DISK_TEXT = ("no space left on device", "disk quota exceeded")


def explain(error: BaseException, path: Path, action: str = "write") -> UserError | None:
    """The UserError that says what ``error`` means for ``path``; None when it is not the file system's doing."""
    found: tuple[str, str] | None = None
    if isinstance(error, OSError):
        found = _MEANING.get(error.errno or 0)
    if found is None and any(text in str(error).lower() for text in _FULL_DISK_TEXT):
        found = _MEANING[errno.ENOSPC]
    return UserError(f"Cannot {action} {path}: {found[0]}.", found[1]) if found else None


@contextlib.contextmanager
def explained(path: Path, action: str = "write") -> Iterator[None]:
    """Turn errors of the file system inside the block into UserError naming ``path``."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError):
            raise
        meaning = explain(error, path, action)
        if meaning is None:
            raise
        raise meaning from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file or a folder that appears under ``path`` only when it is complete.

    Args:
        path: final place. Missing parent folders are made; what is there is replaced.

    Yields:
        a path beside it with the same suffix, not yet existing: create a file or a folder there.

    Raises:
        UserError: the disk is full, or the place may not be written to. Nothing is left behind then.
    """
    final = Path(path)
    temporary = final.with_name(f".{final.stem[:80]}.{secrets.token_hex(4)}.tmp{final.suffix}")
    with explained(final):
        if final.name in ("", ".", ".."):
            raise UserError(f"Cannot write {final}: it does not name a file.", "Add a file name to the path.")
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if temporary.is_dir():
                _replace_folder(temporary, final)
            else:
                _sync(temporary)
                temporary.replace(final)
        finally:
            remove(temporary)


def _replace_folder(temporary: Path, final: Path) -> None:
    if not final.is_dir():
        temporary.replace(final)
        return
    old = temporary.with_name(temporary.name + ".old")  # a folder with files in it cannot be replaced in one step
    final.replace(old)
    try:
        temporary.replace(final)
    except OSError:
        old.replace(final)
        raise
    remove(old)


def _sync(path: Path) -> None:
    """Have the bytes on the disk before the name changes, so that a power cut cannot leave an empty file."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def require_space(path: Path, n_bytes: int) -> None:
    """Raise UserError when the disk that holds ``path`` has less than ``n_bytes`` free."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise UserError(
            f"Cannot write {path}: {n_bytes / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free.",
            "Free some space or write to another disk.",
        )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path`` (made if missing) against other processes; wait for it.

    The operating system lets go of it when the process ends, however it ends.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+b")
    with handle:
        if os.name == "nt":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
            try:
                yield
            finally:
                handle.seek(0)
                msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
