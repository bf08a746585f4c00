"""What a browser needs of an avatar, distilled once and kept for the next time."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import splatalk
from splatalk import assets, files, progress
from splatalk.avatar.model import Avatar
from splatalk.errors import FormatError, UserError
from splatalk.export.compact import ATTRIBUTES, Compact, distil, distil_steps, read, write
from splatalk.export.compact.model import Projection
from splatalk.serve.person import Person

KEPT = 4
"""Avatars; older ones are removed."""


def prepared(avatar: Avatar, path: Path) -> Person:
    """The avatar with its compact form, which takes about half a minute the first time and nothing later.

    Args:
        path: of the avatar's file: another content is another avatar.
    """
    place = _folder() / _key(path)
    compact = _kept(place)
    if compact is not None:
        try:
            return Person(avatar, compact)
        except ValueError:  # it does not fit this avatar
            pass
    compact = _distilled(avatar)
    try:
        _keep(place, compact)
    except UserError as error:
        progress.note(f"It is prepared anew each time. {error}")
    return Person(avatar, compact)


def _distilled(avatar: Avatar) -> Compact:
    done, total = 0, distil_steps(avatar)
    with progress.bar("Preparing for the browser", total, unit="picture") as step:

        def count(n: int) -> None:
            nonlocal done
            done += n
            step(n)

        compact = distil(avatar, on_step=count)
        step(max(total - done, 0))  # the search may have ended early
    return compact


def _folder() -> Path:
    return assets.cache_folder().parent / "prepared"


def _key(path: Path) -> str:
    digest = hashlib.sha256(splatalk.__version__.encode())
    with files.explained(path, "read"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _kept(place: Path) -> Compact | None:
    """What was kept there, if it is whole."""
    try:
        compact = read(place / "avatar.compact").compact
        tensors = load_file(place / "projection.safetensors")
        projection = Projection(
            rows=tensors["rows"].astype(np.int64),
            matrices={name: tensors[f"matrices.{name}"] for name in ATTRIBUTES},
            constants={name: tensors[f"constants.{name}"] for name in ATTRIBUTES},
            steps=tensors["steps"],
        )
        place.touch()  # the latest used is kept longest
    except (OSError, FormatError, SafetensorError, KeyError):
        return None
    whole = all(len(projection.constants[name]) == rank for name, rank in compact.ranks.items())
    return dataclasses.replace(compact, projection=projection) if whole else None


def _keep(place: Path, compact: Compact) -> None:
    projection = compact.projection
    assert projection is not None
    tensors = {"rows": projection.rows, "steps": np.ascontiguousarray(projection.steps)}
    for name in ATTRIBUTES:
        tensors[f"matrices.{name}"] = np.ascontiguousarray(projection.matrices[name])
        tensors[f"constants.{name}"] = np.ascontiguousarray(projection.constants[name])
    with files.atomic_path(place) as temporary:
        temporary.mkdir(mode=0o700)
        write(temporary / "avatar.compact", compact)
        save_file(tensors, temporary / "projection.safetensors")
    others = sorted(place.parent.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in others[KEPT:]:
        files.remove(old)
