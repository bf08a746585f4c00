"""A performance as ``.4dgs``, one file with sound and provenance, written by the format's own library ``fourdgs``.

Every frame's Gaussians live in a window of one frame and move towards the next, so slow motion is smooth too. Axes are
y up, quaternions xyzw, colours sRGB. The library builds the file in memory: half a kilobyte a Gaussian and frame.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.axes import half_turn, stated
from splatalk.export.clip import Clip
from splatalk.export.wav import wav_bytes
from splatalk.render.sh import C0
from splatalk.render.splats import Splats

MAX_GAUSSIAN_FRAMES = 16_000_000
"""About 8 GB of memory: 20 seconds of 30,000 Gaussians."""
_SH_REACH = 4.0  # the format keeps harmonics as bytes from -4 to 4
_METADATA = {"coordinate_system": "y-up-right-handed", "color_space": "srgb-rec709-display", "meters_per_unit": "1"}


def write_4dgs(path: Path, clip: Clip) -> int:
    """Write a file that plays.

    Args:
        path: ends in ``.4dgs``.
        clip: at least one frame.

    Returns:
        number of frames.

    Raises:
        UserError: another suffix, no frame, too long for this machine's memory, or it cannot be written.
    """
    import fourdgs

    if path.suffix.lower() != ".4dgs":
        raise UserError(f"{path} does not end in .4dgs.", "Name the file something.4dgs.")
    windows = []
    for i, (splats, following) in enumerate(_with_next(half_turn(s) for s in clip.frames)):
        if len(splats) * clip.n_frames > MAX_GAUSSIAN_FRAMES:
            limit = MAX_GAUSSIAN_FRAMES / len(splats) / clip.fps
            raise UserError(
                f"{clip.seconds:.0f} seconds are too long for .4dgs.", f"Use at most {limit:.0f}, or --to usd."
            )
        windows.append(_window(splats, following, i, clip.fps))
        clip.step()
    if not windows:
        raise UserError(f"There is no frame to write into {path}.", "Give a longer sound.")
    fields: dict[str, Any] = {name: np.concatenate([w[name] for w in windows]) for name in windows[0]}
    if "sh" in fields:
        fields["sh_degree"] = {9: 1, 24: 2, 45: 3}[fields["sh"].shape[1]]
    gaussians = fourdgs.GaussianSet(**fields)
    options = fourdgs.WriteOptions(
        profile="fine", library="splatalk", verify=False,
        metadata={**stated(clip.facts, y_up=True, quaternions="xyzw"), **_METADATA, "fps": f"{clip.fps:g}"},
    )  # fmt: skip
    out = io.BytesIO()
    fourdgs.write(out, gaussians, clip.seconds, options=options, audio_sources=_voice(clip))
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(out.getbuffer())
    return len(windows)


def _with_next(frames: Iterator[Splats]) -> Iterator[tuple[Splats, Splats]]:
    """Every frame with the one after it; the last with itself."""
    before: Splats | None = None
    for splats in frames:
        if before is not None:
            yield before, splats
        before = splats
    if before is not None:
        yield before, before


def _window(splats: Splats, following: Splats, frame: int, fps: float) -> dict[str, np.ndarray]:
    """One frame's Gaussians as arrays of ``fourdgs.GaussianSet``, alive from this frame's time to the next one's."""
    n, rest = splats.sh.shape[0], splats.sh.shape[1] - 1
    quats = splats.quats.double()
    xyzw = (quats / quats.norm(dim=-1, keepdim=True))[:, [1, 2, 3, 0]]
    colour = (0.5 + C0 * splats.sh[:, 0]).clamp(0, 1)
    window = {
        "positions": _numpy(splats.means),
        "scales": _numpy(splats.scales),
        "rotations": _numpy(xyzw),
        "colors": np.concatenate((_numpy(colour), _numpy(splats.opacities)[:, None]), 1),
        "motions": _numpy((following.means - splats.means) * fps),
        "mu_t": np.full(n, frame / fps, np.float32),
        "sigma_t": np.full(n, np.inf, np.float32),
        "win_lo": np.full(n, frame / fps),
        "win_hi": np.full(n, (frame + 1) / fps),
    }
    if not all(np.isfinite(window[name]).all() for name in ("positions", "scales", "rotations", "colors")):
        raise UserError("The avatar holds values that are not finite.", "Train it again.")
    if rest:
        bytes_ = (_numpy(splats.sh[:, 1:]).transpose(0, 2, 1).reshape(n, 3 * rest) + _SH_REACH) / (2 * _SH_REACH) * 255
        window["sh"] = np.clip(np.rint(bytes_), 0, 255).astype(np.uint8)
    return window


def _numpy(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float32)


def _voice(clip: Clip) -> list[Any]:
    from fourdgs import AudioSource

    if clip.sound is None:
        return []
    layout = "mono" if clip.sound.samples.shape[0] == 1 else "stereo"
    return [
        AudioSource(
            source_id=0, codec="wav", data=wav_bytes(clip.sound), name="voice", channel_layout=layout,
            duration_sec=min(clip.sound.seconds, clip.seconds), spatial=False,
        )
    ]  # fmt: skip
