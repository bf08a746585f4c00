"""The compact file: a safetensors container whose header carries JSON, gzip-wrapped. See docs/formats.md."""

from __future__ import annotations

import dataclasses
import gzip
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from splatalk import files
from splatalk.errors import FormatError, UserError
from splatalk.export.compact import poses, quantise
from splatalk.export.compact.header import KEY, VERSION, Header, parse_header
from splatalk.export.compact.model import ATTRIBUTES, WIDTHS, Compact, EncodedSound, Plate, Projection, Track

SUFFIX = ".compact"
MAX_BYTES = 1 << 28
"""Largest file, packed or not."""

_GZIP = b"\x1f\x8b"
_DAMAGE = (
    safetensors.SafetensorError, zlib.error, struct.error, ValueError, KeyError, TypeError, AttributeError, EOFError,
    OverflowError, RecursionError,
)  # fmt: skip
"""What a file from a stranger may make its reader stumble over."""
_WRONG = "It may be cut off or damaged: copy it again, or export it again."


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a compact file holds."""

    compact: Compact
    track: Track | None
    sound: EncodedSound | None


def to_bytes(
    compact: Compact,
    track: Track | None = None,
    sound: EncodedSound | None = None,
    *,
    compress: bool = True,
    projection: bool = False,
) -> bytes:
    """The file's bytes; equal input gives equal bytes.

    Args:
        compress: wrap the whole in gzip.
        projection: also keep ``compact.projection``, so that the file can be driven live after it is read again. For a
            program's own use: players ignore it, and it makes the file larger.
    """
    tensors, quantised = _canonical(compact)
    for name in ATTRIBUTES:
        basis = quantise.scaled(compact.bases[name], np.int8)
        tensors[f"basis.{name}"] = basis.q[..., 0] if WIDTHS[name] == 1 else basis.q
        quantised[f"basis.{name}"] = {"scale": basis.scale.tolist()}
    if track is not None:
        steps = None if compact.projection is None else compact.projection.steps
        values = quantise.scaled(track.coefficients.T, np.int16, steps)
        tensors["track.coefficients"] = values.q.T
        quantised["track.coefficients"] = {"scale": values.scale.tolist()}
        tensors |= {f"track.{bone}": poses.pack(getattr(track, bone)) for bone in ("head", "torso")}
    media = {"plate": compact.plate.data} | ({} if sound is None else {"sound": sound.data})
    tensors |= {name: np.frombuffer(data, np.uint8) for name, data in media.items()}
    if projection and compact.projection is not None:
        tensors |= _projection_tensors(compact.projection)
    text = json.dumps(_header(compact, track, sound, quantised), ensure_ascii=True, allow_nan=False)
    contiguous = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    data = safetensors.numpy.save(contiguous, {KEY: text})
    return gzip.compress(data, 9, mtime=0) if compress else data


def write(
    path: Path,
    compact: Compact,
    track: Track | None = None,
    sound: EncodedSound | None = None,
    *,
    projection: bool = False,
) -> int:
    """Write ``NAME.compact``, gzip-wrapped; it appears when it is complete. Arguments as for ``to_bytes``.

    Returns:
        its size in bytes.

    Raises:
        UserError: another suffix, or it cannot be written.
    """
    check_suffix(path)
    data = to_bytes(compact, track, sound, projection=projection)
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return len(data)


def check_suffix(path: Path) -> None:
    """UserError when the name is not that of a compact file."""
    if path.suffix.lower() != SUFFIX:
        raise UserError(f"{path} does not end in {SUFFIX}.", f"Name the file something{SUFFIX}.")


def read(source: Path | bytes) -> Contents:
    """Read a compact file, gzip-wrapped or not, from a path or from its bytes.

    Raises:
        FormatError: missing, damaged, truncated, of a newer version, or another kind of file.
    """
    name = "The compact avatar" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _file_bytes(source)
    try:
        data = _unpacked(data)
        tensors = safetensors.numpy.load(data)  # checks lengths, types and overlaps before it allocates
        header = parse_header(data)
        _check_tensors(header, tensors)
        return _contents(header, tensors)
    except FormatError as error:
        raise FormatError(f"{name}: {error.message}", error.hint) from error
    except _DAMAGE as error:
        raise FormatError(f"{name} is not a complete compact avatar ({type(error).__name__}).", _WRONG) from error


def _file_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FormatError(f"There is no file {path}.", "Make one with: splatalk export AVATAR --to compact")
    if path.stat().st_size > MAX_BYTES:
        raise FormatError(f"{path} is larger than a compact avatar can be.", "Export it again.")
    with files.explained(path, "read"):
        return path.read_bytes()


def _unpacked(data: bytes) -> bytes:
    """Without gzip, never more than ``MAX_BYTES``."""
    if not data.startswith(_GZIP):
        return data
    inflate = zlib.decompressobj(wbits=31)
    unpacked = inflate.decompress(data, MAX_BYTES + 1)
    if len(unpacked) > MAX_BYTES:
        raise FormatError("it unpacks to more than a compact avatar can be.", "Export it again.")
    if not inflate.eof or inflate.unused_data:
        raise ValueError("truncated gzip")
    return unpacked


def _canonical(compact: Compact) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors of the Gaussians at rest, and how their integers are to be read."""
    fields = {
        "means": quantise.linear(compact.means, np.uint16),
        "log_scales": quantise.linear(compact.log_scales, np.uint8),
        "opacity_logits": quantise.linear(compact.opacity_logits, np.uint8),
        "color": quantise.linear(compact.color, np.uint16),
    }
    tensors = {name: field.q for name, field in fields.items()}
    tensors["quats"] = quantise.quaternions(compact.quats)
    tensors["bone"] = np.rint(compact.bone * 255.0).astype(np.uint8)
    scales = {
        name: {"low": np.atleast_1d(field.low).tolist(), "high": np.atleast_1d(field.high).tolist()}
        for name, field in fields.items()
    }
    return tensors, scales


def _header(
    compact: Compact, track: Track | None, sound: EncodedSound | None, quantised: Mapping[str, Any]
) -> dict[str, Any]:
    plate = compact.plate
    return {
        "version": VERSION,
        "fps": compact.fps,
        "n_gaussians": compact.n_gaussians,
        "n_dynamic": compact.n_dynamic,
        "n_frames": 0 if track is None else len(track),
        "camera": compact.camera.to_json(),
        "rest_head": np.asarray(compact.rest_head).tolist(),
        "rest_torso": np.asarray(compact.rest_torso).tolist(),
        "head_centre": np.asarray(compact.head_centre).tolist(),
        "range": {"yaw": list(compact.yaw_range), "pitch": list(compact.pitch_range)},
        "ranks": compact.ranks,
        "quantised": quantised,
        "sound": None if sound is None else {"mime": sound.mime, "seconds": sound.seconds},
        "plate": {"mime": plate.mime, "width": plate.width, "height": plate.height},
        "provenance": compact.provenance,
        "error": compact.error,
    }


def _projection_tensors(projection: Projection) -> dict[str, np.ndarray]:
    tensors = {"projection.rows": projection.rows, "projection.steps": projection.steps}
    for name in ATTRIBUTES:
        tensors[f"projection.{name}.matrix"] = projection.matrices[name]
        tensors[f"projection.{name}.constant"] = projection.constants[name]
    return tensors


def _check_tensors(header: Header, tensors: Mapping[str, np.ndarray]) -> None:
    """Every tensor that the header promises is there, with its type and shape."""
    for name, (dtype, shape) in header.tensors().items():
        got = tensors[name]
        wanted = tuple(got.shape[i] if size is None else size for i, size in enumerate(shape)) if got.ndim else ()
        if got.dtype != dtype or got.shape != wanted or len(wanted) != len(shape):
            raise FormatError(f"{name} should be {np.dtype(dtype)} {shape}, not {got.dtype} {got.shape}.", _WRONG)
        if got.dtype.kind == "f" and not np.isfinite(got).all():
            raise FormatError(f"{name} holds values that are not finite.", _WRONG)


def _contents(header: Header, tensors: Mapping[str, np.ndarray]) -> Contents:
    linear = {
        name: quantise.Linear(tensors[name], *header.limits[name]).values()
        for name in ("means", "log_scales", "opacity_logits", "color")
    }
    bases = {name: quantise.Scaled(tensors[f"basis.{name}"], header.scales[f"basis.{name}"]) for name in ATTRIBUTES}
    compact = Compact(
        fps=header.fps,
        camera=header.camera,
        rest_head=header.rest_head,
        rest_torso=header.rest_torso,
        head_centre=header.head_centre,
        yaw_range=header.yaw_range,
        pitch_range=header.pitch_range,
        quats=quantise.unit_quaternions(tensors["quats"]),
        bone=np.asarray(tensors["bone"] / np.float32(255.0), np.float32),
        bases={k: b.values().reshape(header.ranks[k], header.n_dynamic, WIDTHS[k]) for k, b in bases.items()},
        plate=Plate(tensors["plate"].tobytes(), header.plate_mime, *header.plate_size),
        provenance=header.provenance,
        error=header.error,
        projection=_projection(header, tensors),
        **linear,
    )
    track = None
    if header.n_frames:
        values = quantise.Scaled(tensors["track.coefficients"].T, header.scales["track.coefficients"]).values().T
        head, torso = (poses.unpack(tensors[f"track.{bone}"]) for bone in ("head", "torso"))
        track = Track(np.ascontiguousarray(values), head, torso)
    sound = None
    if header.sound is not None:
        sound = EncodedSound(tensors["sound"].tobytes(), *header.sound)
    return Contents(compact, track, sound)


def _projection(header: Header, tensors: Mapping[str, np.ndarray]) -> Projection | None:
    if "projection.rows" not in tensors:
        return None
    rows = tensors["projection.rows"]
    if rows.ndim != 1 or rows.dtype != np.int64 or rows.min(initial=0) < 0:
        raise ValueError("the projection's rows are no row numbers")
    wanted: dict[str, tuple[int, ...]] = {"projection.steps": (sum(header.ranks.values()),)}
    for name, rank in header.ranks.items():
        wanted[f"projection.{name}.matrix"] = (rank, len(rows) * WIDTHS[name])
        wanted[f"projection.{name}.constant"] = (rank,)
    for name, shape in wanted.items():
        got = tensors[name]
        if got.shape != shape or got.dtype != np.float32 or not np.isfinite(got).all():
            raise ValueError(f"{name} does not fit")
    matrices, constants = (
        {name: tensors[f"projection.{name}.{part}"] for name in ATTRIBUTES} for part in ("matrix", "constant")
    )
    return Projection(rows, matrices, constants, tensors["projection.steps"])
