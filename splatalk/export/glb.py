"""Splats ↔ binary glTF with the extension KHR_gaussian_splatting: stills, y up, quaternions xyzw.

A viewer that does not know the extension still shows coloured points. The colour space of the splats is named as sRGB,
as they were trained; ``COLOR_0`` of the fallback is linear, as glTF demands. Provenance stands in ``asset.extras``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from splatalk import files
from splatalk.errors import FormatError, UserError
from splatalk.export.axes import half_turn, stated
from splatalk.export.ply import MAX_SCALE
from splatalk.render.sh import C0
from splatalk.render.splats import Splats

EXTENSION = "KHR_gaussian_splatting"
COLOUR_SPACE = "srgb_rec709_display"
_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _POINTS = 5126, 0
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
_JSON_LIMIT = 16 << 20
_DAMAGE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, struct.error)


def _sh_names(count: int) -> list[str]:
    """Attribute names of ``count`` coefficients, in the order of ``render.sh``."""
    degrees = [(degree, i) for degree in range(4) for i in range(2 * degree + 1)]
    return [f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{i}" for degree, i in degrees[:count]]


def write_glb(path: Path, splats: Splats, facts: Mapping[str, str] | None = None) -> None:
    """Write Gaussians as one primitive.

    Args:
        path: ends in ``.glb``.
        splats: N > 0 Gaussians, y down.
        facts: see ``axes.stated``.

    Raises:
        UserError: another suffix, values that are not finite, or the file cannot be written.
    """
    if path.suffix.lower() != ".glb":
        raise UserError(f"{path} does not end in .glb.", "Name the file something.glb.")
    told = stated(facts or {}, y_up=True, quaternions="xyzw")
    columns = _columns(half_turn(splats))
    if not len(splats) or not all(np.isfinite(values).all() for values in columns.values()):
        raise UserError("The avatar holds values that are not finite.", "Train it again.")
    document, binary = _document(columns, told)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<III", _MAGIC, 2, 12 + 8 + len(text) + 8 + len(binary))
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(
            head + struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(binary), _BIN) + binary
        )


def _columns(splats: Splats) -> dict[str, np.ndarray]:
    """Attribute name → (N, 1, 3 or 4) float32."""
    quats = torch.nn.functional.normalize(splats.quats.double(), dim=-1)
    opacity = splats.opacities.clamp(0, 1)[:, None]
    srgb = (0.5 + C0 * splats.sh[:, 0]).clamp(0, 1)
    linear = torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    tensors = {
        "POSITION": splats.means,
        "COLOR_0": torch.cat((linear, opacity), 1),
        f"{EXTENSION}:ROTATION": quats[:, [1, 2, 3, 0]],
        f"{EXTENSION}:SCALE": splats.scales,
        f"{EXTENSION}:OPACITY": opacity,
        **{name: splats.sh[:, i] for i, name in enumerate(_sh_names(splats.sh.shape[1]))},
    }
    return {name: np.ascontiguousarray(t.detach().cpu().numpy(), dtype="<f4") for name, t in tensors.items()}


def _document(columns: Mapping[str, np.ndarray], told: Mapping[str, str]) -> tuple[dict[str, Any], bytes]:
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    offset = 0
    for name, values in columns.items():
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": values.nbytes})
        accessor: dict[str, Any] = {"bufferView": len(views) - 1, "componentType": _FLOAT, "count": len(values)}
        accessor["type"] = _KINDS[values.shape[1]]
        if name == "POSITION":
            accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        accessors.append(accessor)
        offset += values.nbytes
    extension = {"kernel": "ellipse", "colorSpace": COLOUR_SPACE, "projection": "perspective"}
    primitive = {
        "mode": _POINTS,
        "attributes": {name: i for i, name in enumerate(columns)},
        "extensions": {EXTENSION: extension},
    }
    document = {
        "asset": {"version": "2.0", "generator": told.get("generator", "splatalk"), "extras": {"splatalk": dict(told)}},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "Avatar"}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }
    return document, b"".join(values.tobytes() for values in columns.values())


def read_glb(path: Path) -> tuple[Splats, dict[str, str]]:
    """Read the first primitive of Gaussians (y down) and its facts.

    Float attributes in the file's own buffer are read, without a transform of the node; other files that the extension
    allows are refused.

    Raises:
        FormatError: not such a file, truncated, or holding what is not read here.
    """
    with files.explained(path, "read"):
        data = path.read_bytes()
    try:
        document, binary = _chunks(data)
        primitive = _primitive(document)
        columns = {name: _accessor(document, binary, i) for name, i in primitive["attributes"].items()}
        splats = _splats(columns)
        facts = document["asset"].get("extras", {}).get("splatalk", {})
        told = {str(k): v for k, v in facts.items() if isinstance(v, str)}
    except _DAMAGE as error:
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} {error}"
        raise FormatError(f"{path} is not a readable GLB of Gaussians: {why}.", "Export it again.") from error
    return half_turn(splats), told


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, _ = struct.unpack_from("<III", data)
    if magic != _MAGIC or version != 2:
        raise ValueError("it is something else")
    length, kind = struct.unpack_from("<II", data, 12)
    if kind != _JSON or length > min(_JSON_LIMIT, len(data) - 20):
        raise ValueError("its description is damaged")
    document = json.loads(data[20 : 20 + length])
    if not isinstance(document, dict):
        raise ValueError("its description is damaged")
    size, kind = struct.unpack_from("<II", data, 20 + length)
    binary = data[28 + length : 28 + length + size]
    if kind != _BIN or len(binary) < size:
        raise ValueError("it is truncated")
    return document, binary


def _primitive(document: dict[str, Any]) -> dict[str, Any]:
    for node in document["nodes"]:
        if "mesh" not in node:
            continue
        for primitive in document["meshes"][node["mesh"]]["primitives"]:
            extension = primitive.get("extensions", {}).get(EXTENSION)
            if extension is None:
                continue
            moved = {"matrix", "rotation", "scale", "translation"} & set(node)
            if moved or set(document.get("extensionsRequired", [])) - {EXTENSION}:
                raise ValueError("its Gaussians are moved or compressed, which is not read here")
            if extension.get("colorSpace") != COLOUR_SPACE:
                raise ValueError(f"its colours are {extension.get('colorSpace')!r}, not {COLOUR_SPACE}")
            return dict(primitive)
    raise ValueError(f"it holds nothing of {EXTENSION}")


def _accessor(document: dict[str, Any], binary: bytes, index: int) -> np.ndarray:
    """(count, width) float32, without copying."""
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = {kind: n for n, kind in _KINDS.items()}[accessor["type"]]
    count, start = accessor["count"], view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    if accessor["componentType"] != _FLOAT or "sparse" in accessor or view.get("byteStride", 4 * width) != 4 * width:
        raise ValueError("its attributes are not plain floats")
    if index < 0 or view["buffer"] != 0 or start < 0 or count <= 0 or start + 4 * width * count > len(binary):
        raise ValueError("its attributes do not fit into its buffer")
    return np.frombuffer(binary, "<f4", width * count, start).reshape(count, width)


def _splats(columns: Mapping[str, np.ndarray]) -> Splats:
    present = [name in columns for name in _sh_names(16)]
    count = max(n for n in (0, 1, 4, 9, 16) if all(present[:n]))
    if not count:
        raise ValueError("it has no colours")
    names = ["POSITION", *(f"{EXTENSION}:{name}" for name in ("ROTATION", "SCALE", "OPACITY")), *_sh_names(count)]
    values = [torch.from_numpy(columns[name].astype(np.float32)) for name in names]
    if not all(torch.isfinite(v).all() for v in values):
        raise ValueError("it holds values that are not finite")
    means, xyzw, scales, opacities, *sh = values
    if scales.min() < 0 or scales.max() > MAX_SCALE or opacities.min() < 0 or opacities.max() > 1:
        raise ValueError("it holds scales or opacities out of range")
    return Splats(means, xyzw[:, [3, 0, 1, 2]], scales, opacities[:, 0], torch.stack(sh, 1))
