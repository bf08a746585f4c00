"""Splats ↔ SPZ (Niantic's compressed Gaussians), version 3: one gzip stream of quantised sections, a quarter of a PLY.

Positions are 24-bit fixed point, alphas and colours bytes, logarithms of scales sixteenths in a byte, rotations the
three smallest components in ten bits each. Axes are those of OpenGL (y up). The format has no place for provenance, so
that stands beside it in ``NAME.spz.json``.
"""

from __future__ import annotations

import gzip
import json
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from splatalk import files
from splatalk.errors import FormatError, UserError
from splatalk.export.axes import half_turn, stated
from splatalk.render.splats import Splats

MAGIC, VERSION = 0x5053474E, 3
MAX_GAUSSIANS = 20_000_000
_HEADER = struct.Struct("<IIIBBBB")
_COEFFICIENTS = {0: 0, 1: 3, 2: 8, 3: 15}  # degree → harmonics beyond the constant one
_MAX_FRACTION = 20  # bits behind the point: a micrometre
_COLOUR_SCALE = 0.15 * 255.0
_FACTS_LIMIT = 1 << 20


def sidecar(path: Path) -> Path:
    """Where the facts of an SPZ file stand."""
    return path.with_name(path.name + ".json")


def write_spz(path: Path, splats: Splats, facts: Mapping[str, str] | None = None) -> None:
    """Write Gaussians and, beside them, what they are.

    Args:
        path: ends in ``.spz``.
        splats: N Gaussians, y down.
        facts: see ``axes.stated``.

    Raises:
        UserError: another suffix, values that are not finite, or the file cannot be written.
    """
    if path.suffix.lower() != ".spz":
        raise UserError(f"{path} does not end in .spz.", "Name the file something.spz.")
    told = stated(facts or {}, y_up=True, quaternions="smallest three of xyzw")
    data = gzip.compress(_packed(half_turn(splats)), mtime=0)
    with files.atomic_path(path) as temporary, files.atomic_path(sidecar(path)) as beside:
        temporary.write_bytes(data)
        beside.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_spz(path: Path) -> tuple[Splats, dict[str, str]]:
    """Read Gaussians (y down) and their facts from SPZ of versions 2 and 3.

    Raises:
        FormatError: not such a file, truncated, too large, or of a newer version.
    """
    with files.explained(path, "read"):
        data = path.read_bytes()
    stream = zlib.decompressobj(wbits=31)
    try:
        head = stream.decompress(data, _HEADER.size)
        if len(head) < _HEADER.size:
            raise _damaged(path, "it is too short")
        magic, version, n, degree, fraction, _, _ = _HEADER.unpack(head)
        if magic != MAGIC:
            raise _damaged(path, "it is something else")
        if version not in (2, 3) or degree not in _COEFFICIENTS or fraction > 24 or n > MAX_GAUSSIANS:
            raise FormatError(
                f"{path} is SPZ of a kind that is not read here.", "Give version 2 or 3, gzip-compressed."
            )
        sizes = [9 * n, n, 3 * n, 3 * n, (3 if version == 2 else 4) * n, 3 * _COEFFICIENTS[degree] * n]
        body = stream.decompress(stream.unconsumed_tail, sum(sizes)) if n else b""
    except zlib.error as error:
        raise _damaged(path, str(error)) from error
    if len(body) < sum(sizes):
        raise _damaged(path, f"its header promises {n} Gaussians")
    cuts = np.cumsum([0, *sizes])
    sections = [np.frombuffer(body, np.uint8, size, start) for start, size in zip(cuts[:-1], sizes, strict=True)]
    return half_turn(_unpacked(sections, n, version, fraction, _COEFFICIENTS[degree])), _read_facts(path)


def _damaged(path: Path, why: str) -> FormatError:
    return FormatError(f"{path} is not a readable SPZ: {why}.", "Export it again.")


def _packed(splats: Splats) -> bytes:
    means, quats, scales, opacities, sh = (
        t.detach().cpu().double().numpy()
        for t in (splats.means, splats.quats, splats.scales, splats.opacities, splats.sh)
    )
    if not all(np.isfinite(a).all() for a in (means, quats, scales, opacities, sh)):
        raise UserError("The avatar holds values that are not finite.", "Train it again.")
    n, rest = len(means), sh.shape[1] - 1
    reach = max(float(np.abs(means).max(initial=0.0)), 1e-6)
    fraction = min(_MAX_FRACTION, math.floor(math.log2((2**23 - 1) / reach)))
    if fraction < 1:
        raise UserError(f"The Gaussians reach {reach:g} metres far, too far for SPZ.", "Use --to ply.")
    fixed = np.round(means * 2.0**fraction).astype("<i4")
    degree = {0: 0, 3: 1, 8: 2, 15: 3}[rest]
    return b"".join(
        (
            _HEADER.pack(MAGIC, VERSION, n, degree, fraction, 0, 0),
            fixed.view(np.uint8).reshape(n, 3, 4)[..., :3].tobytes(),
            _bytes(opacities * 255.0),
            _bytes(sh[:, 0] * _COLOUR_SCALE + 127.5),
            _bytes((np.log(np.maximum(scales, 1e-30)) + 10.0) * 16.0),
            _pack_rotations(quats),
            _bytes(sh[:, 1:] * 128.0 + 128.0),
        )
    )


def _bytes(values: np.ndarray) -> bytes:
    return np.clip(np.round(values), 0, 255).astype(np.uint8).tobytes()


def _pack_rotations(quats: np.ndarray) -> bytes:
    """(N, 4) wxyz → (N,) uint32: index of the largest of xyzw, then sign and nine bits of each of the others."""
    xyzw = np.roll(quats, -1, axis=1)
    xyzw = xyzw / np.maximum(np.linalg.norm(xyzw, axis=1, keepdims=True), 1e-12)
    largest = np.abs(xyzw).argmax(1)
    xyzw = np.where(np.take_along_axis(xyzw, largest[:, None], 1) < 0, -xyzw, xyzw)
    packed = np.zeros(len(xyzw), np.uint32)
    for axis in range(4):
        size = np.clip(np.round(np.abs(xyzw[:, axis]) * math.sqrt(2) * 511), 0, 511).astype(np.uint32)
        grown = (packed << np.uint32(10)) | ((xyzw[:, axis] < 0).astype(np.uint32) << np.uint32(9)) | size
        packed = np.where(largest == axis, packed, grown)
    return (packed | (largest.astype(np.uint32) << np.uint32(30))).astype("<u4").tobytes()


def _unpack_rotations(data: np.ndarray, version: int) -> np.ndarray:
    """(N, 4) wxyz float64."""
    if version == 2:
        xyz = data.reshape(-1, 3) / 127.5 - 1.0
        w = np.sqrt(np.maximum(0.0, 1.0 - (xyz**2).sum(1, keepdims=True)))
        return np.concatenate((w, xyz), 1)
    packed = data.view("<u4")
    largest = packed >> 30
    xyzw = np.zeros((len(packed), 4))
    work = packed.copy()
    for axis in (3, 2, 1, 0):
        value = (work & 511) / 511.0 / math.sqrt(2) * np.where(work & 512, -1.0, 1.0)
        stored = largest != axis
        xyzw[:, axis] = np.where(stored, value, 0.0)
        work = np.where(stored, work >> 10, work)
    left = np.sqrt(np.maximum(0.0, 1.0 - (xyzw**2).sum(1)))
    np.put_along_axis(xyzw, largest.astype(np.int64)[:, None], left[:, None], 1)
    return np.roll(xyzw, 1, axis=1)


def _unpacked(sections: list[np.ndarray], n: int, version: int, fraction: int, rest: int) -> Splats:
    positions, alphas, colours, scales, rotations, harmonics = sections
    triples = np.zeros((n, 3, 4), np.uint8)
    triples[..., 1:] = positions.reshape(n, 3, 3)
    means = (triples.view("<i4")[..., 0] >> 8) / 2.0**fraction  # the shift brings the sign along
    sh = np.concatenate(
        ((colours.reshape(n, 1, 3) / 255.0 - 0.5) / 0.15, (harmonics.reshape(n, rest, 3) - 128.0) / 128.0), 1
    )
    return Splats(
        means=_tensor(means),
        quats=_tensor(_unpack_rotations(rotations, version)),
        scales=_tensor(np.exp(scales.reshape(n, 3) / 16.0 - 10.0)),
        opacities=_tensor(alphas / 255.0),
        sh=_tensor(sh),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _read_facts(path: Path) -> dict[str, str]:
    """What stands beside the file; nothing when that is missing or damaged, for the Gaussians do not need it."""
    beside = sidecar(path)
    try:
        if beside.stat().st_size > _FACTS_LIMIT:
            return {}
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(k): v for k, v in facts.items() if isinstance(v, str)} if isinstance(facts, dict) else {}
