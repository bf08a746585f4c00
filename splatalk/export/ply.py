"""Splats ↔ PLY in the layout that Gaussian-splatting viewers read (Kerbl et al. 2023, section 7's released format).

Per Gaussian, float32, little-endian: ``x y z``, ``nx ny nz`` (zero), ``f_dc_0..2``, ``f_rest_*`` (all of red, then
green, then blue), ``opacity`` as a logit, ``scale_0..2`` as natural logarithms, ``rot_0..3`` as wxyz.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import plyfile
import torch

from splatalk import files
from splatalk.errors import FormatError, UserError
from splatalk.export.axes import stated
from splatalk.render.splats import Splats

MAX_SCALE = 1e4
_REST_COUNTS = {0: 1, 9: 4, 24: 9, 45: 16}  # f_rest properties → coefficients a channel
_OPACITY_RANGE = (1e-7, 1 - 2.0**-24)  # float32 values whose logits are finite
_SCALE_FLOOR = 1e-20
_HEADER_LIMIT = 64 * 1024


def write_ply(path: Path, splats: Splats, facts: Mapping[str, str] | None = None) -> None:
    """Write one set of Gaussians.

    Positions, rotations and colours are kept bit for bit. Opacities and scales pass through a logit and a logarithm in
    float32, as the format demands, which moves them by less than 1e-6 of their value.

    Args:
        path: ends in ``.ply``.
        splats: N Gaussians.
        facts: provenance for the header's comments: name → one line of text.

    Raises:
        UserError: another suffix, values that are not finite, or the file cannot be written.
    """
    if path.suffix.lower() != ".ply":
        raise UserError(f"{path} does not end in .ply.", "Name the file something.ply.")
    rows = _rows(splats)
    if not all(np.isfinite(rows[name]).all() for name in rows.dtype.names or ()):
        raise UserError("The avatar holds values that are not finite.", "Train it again.")
    header = stated(facts or {}, y_up=False, quaternions="wxyz")
    comments = [f"{_one_line(key)}: {_one_line(text)}" for key, text in header.items()]
    element = plyfile.PlyElement.describe(rows, "vertex")
    with files.atomic_path(path) as temporary:
        plyfile.PlyData([element], text=False, byte_order="<", comments=comments).write(str(temporary))


def read_ply(path: Path) -> Splats:
    """Read Gaussians from a PLY that this or another tool wrote (binary or text).

    Raises:
        FormatError: not a PLY, truncated, properties missing, or values that cannot be Gaussians.
    """
    _check_header(path)
    try:
        data = plyfile.PlyData.read(str(path), mmap=False)
        rows = data["vertex"].data
    except (plyfile.PlyParseError, KeyError, ValueError, UnicodeDecodeError, OverflowError, TypeError) as error:
        raise FormatError(f"{path} is not a readable PLY: {error}.", "Export it again.") from error
    return _splats(path, rows)


def read_facts(path: Path) -> dict[str, str]:
    """The header comments that ``write_ply`` wrote."""
    _check_header(path)
    with path.open("rb") as file:
        lines = file.read(_HEADER_LIMIT).split(b"end_header")[0].decode("ascii", "replace").splitlines()
    pairs = [line.removeprefix("comment ").split(": ", 1) for line in lines if line.startswith("comment ")]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _rows(splats: Splats) -> np.ndarray:
    """(N,) structured array in the order of the format."""
    n, coefficients = splats.sh.shape[0], splats.sh.shape[1]
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    names += [f"f_rest_{i}" for i in range(3 * (coefficients - 1))]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    sh = _numpy(splats.sh)
    opacity = np.clip(_numpy(splats.opacities).astype(np.float64), *_OPACITY_RANGE)
    scales = np.maximum(_numpy(splats.scales).astype(np.float64), _SCALE_FLOOR)
    columns = np.concatenate(
        [
            _numpy(splats.means),
            np.zeros((n, 3), np.float32),
            sh[:, 0],
            sh[:, 1:].transpose(0, 2, 1).reshape(n, 3 * (coefficients - 1)),
            (np.log(opacity) - np.log1p(-opacity)).astype(np.float32)[:, None],
            np.log(scales).astype(np.float32),
            _numpy(splats.quats),
        ],
        axis=1,
    )
    return np.ascontiguousarray(columns).view([(name, "<f4") for name in names]).reshape(n)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32, copy=False)


def _one_line(text: str) -> str:
    """Header lines are ASCII and end at a line break."""
    return " ".join(text.split()).encode("ascii", "replace").decode()


def _check_header(path: Path) -> None:
    """Refuse files whose header promises more than the file holds, before anything is allocated for them."""
    if not path.is_file():
        raise UserError(f"There is no file {path}.", "Check the path.")
    with files.explained(path, "read"), path.open("rb") as file:
        head = file.read(_HEADER_LIMIT)
    size = path.stat().st_size
    if not head.startswith(b"ply") or b"end_header" not in head:
        raise FormatError(f"{path} is not a PLY file.", "Give a file made by `splatalk export --to ply`.")
    header = head[: head.index(b"end_header")]
    text = b"format ascii" in header
    if b"property list" in header.split(b"element vertex")[-1].split(b"element")[0]:
        raise FormatError(
            f"{path} has lists among its vertices, so it is a mesh or damaged.", "Give a PLY of Gaussians."
        )
    counts = [int(m) for m in re.findall(rb"^element vertex (\d{1,18})\s*$", header, re.MULTILINE)]
    if len(counts) != 1:
        raise FormatError(f"{path} does not say how many vertices it has.", "Export it again.")
    properties = len(re.findall(rb"^property ", header, re.MULTILINE))
    if counts[0] * max(properties, 1) * (2 if text else 1) > size:
        raise FormatError(f"{path} is truncated: its header promises {counts[0]} vertices.", "Copy or export it again.")


def _splats(path: Path, rows: np.ndarray) -> Splats:
    names = set(rows.dtype.names or ())
    rest = len([name for name in names if name.startswith("f_rest_")])
    needed = ["x", "y", "z", "opacity", *_numbered("f_dc_", 3), *_numbered("scale_", 3), *_numbered("rot_", 4)]
    missing = [name for name in [*needed, *_numbered("f_rest_", rest)] if name not in names]
    if missing or rest not in _REST_COUNTS:
        what = f"{missing[0]} is missing" if missing else f"{rest} f_rest values"
        raise FormatError(f"{path} is not a PLY of Gaussians: {what}.", "Give a file made by a splatting tool.")

    def columns(wanted: Iterable[str]) -> np.ndarray:
        return np.stack([rows[name].astype(np.float32) for name in wanted], axis=-1)

    coefficients = _REST_COUNTS[rest]
    sh = np.empty((len(rows), coefficients, 3), np.float32)
    sh[:, 0] = columns(_numbered("f_dc_", 3))
    if rest:
        sh[:, 1:] = columns(_numbered("f_rest_", rest)).reshape(len(rows), 3, coefficients - 1).transpose(0, 2, 1)
    raw = {"means": columns("xyz"), "quats": columns(_numbered("rot_", 4)), "sh": sh}
    log_scales, logits = columns(_numbered("scale_", 3)), columns(["opacity"])[:, 0]
    if not all(np.isfinite(values).all() for values in (*raw.values(), log_scales)) or np.isnan(logits).any():
        raise FormatError(f"{path} holds values that are not finite.", "Export it again.")
    if log_scales.size and log_scales.max() > np.log(MAX_SCALE):
        raise FormatError(f"{path} holds Gaussians larger than {MAX_SCALE:g} metres.", "Export it again.")
    raw["scales"] = np.exp(log_scales.astype(np.float64)).astype(np.float32)
    raw["opacities"] = (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))).astype(np.float32)
    return Splats(**{name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in raw.items()})


def _numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]
