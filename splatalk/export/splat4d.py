"""A performance as ``.splat4d``, small and streamable, encoded by the program of the package ``splats4d``.

That program takes a folder of antimatter15's ``.splat`` frames: 32 bytes a Gaussian, colours and rotations in bytes, no
harmonics (the colours are those that the capture camera sees). Axes stay y down, as in PLY. Sound and facts have no
place in the file, so they stand beside it in ``NAME.splat4d.wav`` and ``.json``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
import torch

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.axes import camera_of, stated
from splatalk.export.clip import Clip
from splatalk.export.wav import write_wav
from splatalk.render.sh import sh_to_color
from splatalk.render.splats import Splats

# Far below a pixel at the sizes avatars have; the program's own bounds are for rooms.
BOUNDS = ("--pos-mm", "0.1", "--color-levels", "1", "--scale-pct", "1", "--rot-steps", "0")
_ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])


def program() -> Path | None:
    """The installed encoder, beside this Python or on the path."""
    found = shutil.which("splat4d", path=sysconfig.get_path("scripts")) or shutil.which("splat4d")
    return Path(found) if found else None


def write_splat4d(path: Path, clip: Clip) -> int:
    """Write a file that plays, its sound and its facts.

    Args:
        path: ends in ``.splat4d``.
        clip: at least one frame.

    Returns:
        number of frames.

    Raises:
        UserError: another suffix, no frame, no encoder, or it cannot be written.
    """
    if path.suffix.lower() != ".splat4d":
        raise UserError(f"{path} does not end in .splat4d.", "Name the file something.splat4d.")
    encoder = program()
    if encoder is None:
        raise UserError("The encoder of .splat4d is not installed.", "Install it with: pip install splatalk[export]")
    with (
        files.atomic_path(path) as temporary,
        tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=".splat4d-") as name,
    ):
        count = _write_frames(Path(name), path, clip)
        command = [str(encoder), "encode", "-i", name, "-o", str(temporary), *BOUNDS]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0 or not temporary.is_file():
            problem = (done.stderr.strip().splitlines() or ["it gave no reason"])[0].removeprefix("Error: ")
            raise files.explain(OSError(problem), path) or UserError(
                f"The encoder could not write {path}: {problem}.", "Use --to usd or --to compact."
            )
        _write_beside(path, clip)
    return count


def _write_frames(folder: Path, final: Path, clip: Clip) -> int:
    camera = camera_of(clip.facts)
    eye = np.zeros(3) if camera is None else -camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]
    listed = []
    for i, splats in enumerate(clip.frames):
        rows = _rows(splats, torch.as_tensor(eye, dtype=splats.means.dtype))
        if i == 0:
            files.require_space(final, rows.nbytes * clip.n_frames)
        file = f"frame_{i:06d}.splat"
        rows.tofile(folder / file)
        listed.append({"file": file, "timestamp": i / clip.fps})
        clip.step()
    if not listed:
        raise UserError(f"There is no frame to write into {final}.", "Give a longer sound.")
    (folder / "frames.json").write_text(json.dumps({"fps": clip.fps, "frames": listed}), encoding="utf-8")
    return len(listed)


def _rows(splats: Splats, eye: torch.Tensor) -> np.ndarray:
    """(N,) records of the ``.splat`` layout."""
    colours = sh_to_color(splats.sh, splats.means - eye)
    rgba = torch.cat((colours, splats.opacities[:, None]), 1)
    quats = splats.quats / splats.quats.norm(dim=-1, keepdim=True)
    if not all(torch.isfinite(values).all() for values in (splats.means, splats.scales, rgba, quats)):
        raise UserError("The avatar holds values that are not finite.", "Train it again.")
    rows = np.zeros(len(splats), _ROW)
    rows["mean"], rows["scale"] = splats.means.detach().numpy(), splats.scales.detach().numpy()
    rows["rgba"] = (rgba.detach() * 255).round().clamp(0, 255).numpy()
    rows["rotation"] = (quats.detach() * 128 + 128).round().clamp(0, 255).numpy()
    return rows


def _write_beside(path: Path, clip: Clip) -> None:
    told = {
        **stated(clip.facts, y_up=False, quaternions="wxyz, a component is (byte - 128) / 128"),
        "fps": clip.fps,
        "sound": None if clip.sound is None else f"{path.name}.wav",
    }
    if clip.sound is not None:
        with files.atomic_path(path.with_name(path.name + ".wav")) as beside:
            write_wav(beside, clip.sound)
    with files.atomic_path(path.with_name(path.name + ".json")) as beside:
        beside.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
