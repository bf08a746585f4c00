"""Exported files read by programs of others, as Splats; most of them y up, as the files are."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import fourdgs
import gsply
import numpy as np
import torch

from splatalk.export.splat4d import program
from splatalk.render import Splats
from splatalk.render.sh import C0

gsply.use_backend("cpp")  # its other one compiles at first use


def _f32(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float32))


def _gsply(data: Any) -> Splats:
    rest = [] if data.shN is None or data.shN.size == 0 else [np.asarray(data.shN)]
    sh = np.concatenate([np.asarray(data.sh0).reshape(-1, 1, 3), *rest], 1)
    logits = _f32(data.opacities).reshape(-1)
    return Splats(_f32(data.means), _f32(data.quats), _f32(data.scales).exp(), logits.sigmoid(), _f32(sh))


def ply_by_gsply(path: Path) -> Splats:
    """y down."""
    return _gsply(gsply.plyread(str(path)))


def spz_by_gsply(path: Path) -> Splats:
    """y up."""
    return _gsply(gsply.read_spz(path))


def glb_by_fourdgs(path: Path) -> Splats:
    """y up; that program keeps constant colours within 0..1, and we look at those only."""
    g = fourdgs.from_gltf(str(path)).gaussians
    sh = (_f32(g.colors[:, :3]) - 0.5) / C0
    return Splats(
        _f32(g.positions), _f32(g.rotations[:, [3, 0, 1, 2]]), _f32(g.scales), _f32(g.colors[:, 3]), sh[:, None]
    )


def usd_at(prim: Any, time: Any) -> Splats:
    """A prim of OpenUSD at a time; y up."""

    def read(name: str) -> torch.Tensor:
        return _f32(prim.GetAttribute(name).Get(time))

    quats = torch.tensor([[q.GetReal(), *q.GetImaginary()] for q in prim.GetAttribute("orientations").Get(time)])
    degree = prim.GetAttribute("radiance:sphericalHarmonicsDegree").Get()
    sh = read("radiance:sphericalHarmonicsCoefficients").reshape(len(quats), (degree + 1) ** 2, 3)
    return Splats(read("positions"), quats, read("scales"), read("opacities"), sh)


def four_dgs_at(scene: Any, time: float) -> Splats:
    """A scene that ``fourdgs.read`` gave, at a time; y up."""
    now, g = scene.gaussians.state_at(time), scene.gaussians
    rows = now["indices"]
    sh = (_f32(g.colors[rows, :3])[:, None] - 0.5) / C0
    if g.sh is not None and g.sh_degree:
        rest = _f32(g.sh[rows]).reshape(len(rows), 3, -1).transpose(1, 2) / 255.0 * 8 - 4
        sh = torch.cat((sh, rest), 1)
    quats = _f32(g.rotations[rows][:, [3, 0, 1, 2]])
    return Splats(_f32(now["centers"]), quats, _f32(g.scales[rows]), _f32(now["opacity"]), sh)


def splat4d_frame(path: Path, frame: int) -> Splats:
    """A frame as the format's own program decodes it; y down. Leaves the decoded file beside ``path``."""
    out = path.with_suffix(f".{frame}.splat")
    command = [str(program()), "decode", str(path), "--frame", str(frame), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    raw = np.fromfile(out, np.uint8).reshape(-1, 32)
    floats, small = raw[:, :24].copy().view("<f4"), _f32(raw[:, 24:])
    sh = (small[:, :3] / 255 - 0.5) / C0
    return Splats(_f32(floats[:, :3]), (small[:, 4:] - 128) / 128, _f32(floats[:, 3:]), small[:, 3] / 255, sh[:, None])
