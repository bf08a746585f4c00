"""The JSON of a compact file, checked field by field: it may come from a stranger."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from splatalk.errors import FormatError
from splatalk.export.compact.model import ATTRIBUTES, WIDTHS
from splatalk.render.camera import Camera

VERSION = 1
KEY = "splatalk_compact"

MAX_GAUSSIANS = 2_000_000
MAX_FRAMES = 1_000_000
MAX_RANK = 256
MAX_SIDE = 16_384
MAX_HEADER = 1 << 20
PLATE_MIMES = ("image/jpeg", "image/webp", "image/png")
SOUND_MIMES = ("audio/mp4", "audio/ogg", "audio/webm", "audio/mpeg", "audio/wav")

Shape = tuple[int | None, ...]
"""None stands for any size."""


@dataclasses.dataclass(frozen=True)
class Header:
    """The header's fields, of the right kind and within bounds.

    Args:
        limits: tensor -> low and high, each (columns,) float64.
        scales: tensor -> (K,) float64.
        sound: mime and seconds, or None.
    """

    fps: float
    n_gaussians: int
    n_dynamic: int
    n_frames: int
    camera: Camera
    rest_head: np.ndarray
    rest_torso: np.ndarray
    head_centre: np.ndarray
    yaw_range: tuple[float, float]
    pitch_range: tuple[float, float]
    ranks: dict[str, int]
    limits: dict[str, tuple[np.ndarray, np.ndarray]]
    scales: dict[str, np.ndarray]
    plate_mime: str
    plate_size: tuple[int, int]
    sound: tuple[str, float] | None
    provenance: dict[str, str]
    error: dict[str, float]

    def tensors(self) -> dict[str, tuple[type[np.generic], Shape]]:
        """Tensors that must be there: type and shape."""
        n, m, f = self.n_gaussians, self.n_dynamic, self.n_frames
        wanted: dict[str, tuple[type[np.generic], Shape]] = {
            "means": (np.uint16, (n, 3)), "quats": (np.int8, (n, 4)), "log_scales": (np.uint8, (n, 3)),
            "opacity_logits": (np.uint8, (n,)), "color": (np.uint16, (n, 3)), "bone": (np.uint8, (n,)),
            "plate": (np.uint8, (None,)),
        }  # fmt: skip
        for name in ATTRIBUTES:
            shape = (self.ranks[name], m) + ((WIDTHS[name],) if WIDTHS[name] > 1 else ())
            wanted[f"basis.{name}"] = (np.int8, shape)
        if f:
            wanted["track.coefficients"] = (np.int16, (f, sum(self.ranks.values())))
            wanted |= {f"track.{bone}": (np.float32, (f, 7)) for bone in ("head", "torso")}
        if self.sound is not None:
            wanted["sound"] = (np.uint8, (None,))
        return wanted


def parse_header(data: bytes) -> Header:
    """From the bytes of a safetensors file.

    Raises:
        FormatError: another kind of file, a newer version, or a field out of bounds.
        ValueError, KeyError, TypeError, AttributeError, struct.error: not such a header at all.
    """
    (size,) = struct.unpack("<Q", data[:8])
    if not 2 <= size <= min(MAX_HEADER, len(data) - 8):
        raise ValueError("the header has no sensible length")
    metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    if KEY not in metadata:
        raise FormatError("it is a safetensors file, but no compact avatar.", "Use a file of: splatalk export")
    fields = json.loads(metadata[KEY])
    version = _integer(fields["version"], "version", 1, 1 << 31)
    if version > VERSION:
        raise FormatError(
            f"it has format version {version}, this splatalk reads up to {VERSION}.", "Install a newer splatalk."
        )
    return _header(fields)


def _header(fields: dict[str, Any]) -> Header:
    n = _integer(fields["n_gaussians"], "n_gaussians", 1, MAX_GAUSSIANS)
    ranks = {name: _integer(fields["ranks"][name], f"ranks.{name}", 0, MAX_RANK) for name in ATTRIBUTES}
    n_frames = _integer(fields["n_frames"], "n_frames", 0, MAX_FRAMES)
    quantised, plate, sound = fields["quantised"], fields["plate"], fields["sound"]
    columns = {"means": 3, "log_scales": 3, "opacity_logits": 1, "color": 3}
    limits = {name: _limits(quantised[name], name, count) for name, count in columns.items()}
    scales = {f"basis.{name}": ranks[name] for name in ATTRIBUTES}
    if n_frames:
        scales["track.coefficients"] = sum(ranks.values())
    return Header(
        fps=_number(fields["fps"], "fps", 1.0, 1000.0),
        n_gaussians=n,
        n_dynamic=_integer(fields["n_dynamic"], "n_dynamic", 0, n),
        n_frames=n_frames,
        camera=_camera(fields["camera"]),
        rest_head=_array(fields["rest_head"], "rest_head", (4, 4)),
        rest_torso=_array(fields["rest_torso"], "rest_torso", (4, 4)),
        head_centre=_array(fields["head_centre"], "head_centre", (3,)),
        yaw_range=_range(fields["range"]["yaw"], "range.yaw"),
        pitch_range=_range(fields["range"]["pitch"], "range.pitch"),
        ranks=ranks,
        limits=limits,
        scales={name: _array(quantised[name]["scale"], name, (count,)) for name, count in scales.items()},
        plate_mime=_one_of(plate["mime"], "plate.mime", PLATE_MIMES),
        plate_size=(
            _integer(plate["width"], "plate.width", 1, MAX_SIDE),
            _integer(plate["height"], "plate.height", 1, MAX_SIDE),
        ),
        sound=None
        if sound is None
        else (_one_of(sound["mime"], "sound.mime", SOUND_MIMES), _number(sound["seconds"], "sound.seconds", 0.0, 1e6)),
        provenance={str(key): str(text) for key, text in dict(fields["provenance"]).items()},
        error={str(key): _number(value, f"error.{key}", -1e9, 1e9) for key, value in dict(fields["error"]).items()},
    )


def _camera(fields: dict[str, Any]) -> Camera:
    return Camera(
        width=_integer(fields["width"], "camera.width", 1, MAX_SIDE),
        height=_integer(fields["height"], "camera.height", 1, MAX_SIDE),
        **{name: _number(fields[name], f"camera.{name}", -1e6, 1e6) for name in ("fx", "fy", "cx", "cy")},
        world_to_camera=_array(fields["world_to_camera"], "camera.world_to_camera", (4, 4)),
    )


def _integer(value: Any, name: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise _out_of_bounds(name, f"a whole number from {low} to {high}")
    return value


def _number(value: Any, name: str, low: float, high: float) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
        raise _out_of_bounds(name, f"a number from {low:g} to {high:g}")
    return float(value)


def _array(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all() or (np.abs(array) > 1e6).any():
        raise _out_of_bounds(name, f"finite numbers of shape {shape}")
    return array


def _limits(value: dict[str, Any], name: str, columns: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = (_array(value[end], f"{name}.{end}", (columns,)) for end in ("low", "high"))
    return (low, high) if columns > 1 else (low[0], high[0])


def _range(value: Sequence[Any], name: str) -> tuple[float, float]:
    low, high = _array(value, name, (2,))
    if not -180.0 <= low <= high <= 180.0:
        raise _out_of_bounds(name, "two angles in degrees, in order")
    return float(low), float(high)


def _one_of(value: Any, name: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _out_of_bounds(name, f"one of {', '.join(allowed)}")
    return str(value)


def _out_of_bounds(name: str, wanted: str) -> FormatError:
    return FormatError(f"its header's {name} is not {wanted}.", "Export it again.")
