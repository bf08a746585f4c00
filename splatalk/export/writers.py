"""From what the command line gathered to each format's own writer: one function a format, ``to_NAME``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from splatalk.export.canonical import canonical_splats, provenance, scene_facts
from splatalk.export.clip import Clip
from splatalk.export.sound import Sound

if TYPE_CHECKING:
    from splatalk.avatar.controls import Performance
    from splatalk.avatar.model import Avatar
    from splatalk.render.splats import Splats


@dataclasses.dataclass
class Job:
    """One export.

    Args:
        path: where to.
        avatar: whom.
        performance: what is done; None for the person at rest.
        sound: in the best quality there is, or None.
        frame: for stills: which frame of the performance; None for the canonical Gaussians.
        camera, yaw, pitch: for what is drawn, see ``camera_path.cameras``.
        background: for what is drawn: ``plate``, a colour or ``transparent``.
        size: (width, height) pixels, or None for as recorded.
        backend: see ``render.backends``.
    """

    path: Path
    avatar: Avatar
    performance: Performance | None = None
    sound: Sound | None = None
    frame: int | None = None
    camera: str = "front"
    yaw: float = 0.0
    pitch: float = 0.0
    background: str = "plate"
    size: tuple[int, int] | None = None
    backend: str = "auto"

    def acted(self) -> Performance:
        """The performance, or one frame of rest."""
        from splatalk.export.views import rest

        return rest(self.avatar, 1) if self.performance is None else self.performance

    def still(self) -> tuple[Splats, dict[str, str]]:
        """Gaussians of one moment and what is said about them."""
        if self.frame is None or self.performance is None:
            return canonical_splats(self.avatar), scene_facts(self.avatar, posed=False)
        splats = self.avatar.pose(self.performance.frame(self.frame))
        return splats, {**scene_facts(self.avatar, posed=True), "moment": f"frame {self.frame}"}

    def clip(self, step: Callable[[], object]) -> Clip:
        """Gaussians over time."""
        acted = self.acted()
        posed = (self.avatar.pose(acted.frame(i)) for i in range(len(acted)))
        return Clip(posed, len(acted), acted.fps, scene_facts(self.avatar, posed=True), self.sound, step)

    def pictures(self, step: Callable[[], object]) -> Iterator[np.ndarray]:
        """Drawn frames, (H, W, 3) or (H, W, 4) uint8."""
        from splatalk.export.camera_path import cameras
        from splatalk.export.views import play_from

        acted = self.acted()
        path = cameras(self.avatar, self.camera, len(acted), self.yaw, self.pitch)
        for picture in play_from(self.avatar, acted, path, self.background, self.size, self.backend):
            step()
            yield picture


def _write_still(job: Job, write: Callable[[Path, Splats, Mapping[str, str]], None]) -> dict[str, Any]:
    splats, facts = job.still()
    write(job.path, splats, facts)
    return {"gaussians": len(splats)}


def _write_clip(job: Job, write: Callable[[Path, Clip], int]) -> dict[str, Any]:
    from splatalk import progress

    with progress.bar("Exporting", len(job.acted())) as step:
        return {"frames": write(job.path, job.clip(step)), "fps": job.acted().fps}


def to_ply(job: Job) -> dict[str, Any]:
    from splatalk.export.ply import write_ply

    return _write_still(job, write_ply)


def to_spz(job: Job) -> dict[str, Any]:
    from splatalk.export.spz import write_spz

    return _write_still(job, write_spz)


def to_glb(job: Job) -> dict[str, Any]:
    from splatalk.export.glb import write_glb

    return _write_still(job, write_glb)


def to_ply_seq(job: Job) -> dict[str, Any]:
    from splatalk.export.ply_sequence import write_ply_sequence

    return _write_clip(job, write_ply_sequence)


def to_usd(job: Job) -> dict[str, Any]:
    from splatalk.export.usd import write_usd

    return _write_clip(job, write_usd)


def to_4dgs(job: Job) -> dict[str, Any]:
    from splatalk.export.four_dgs import write_4dgs

    return _write_clip(job, write_4dgs)


def to_splat4d(job: Job) -> dict[str, Any]:
    from splatalk.export.splat4d import write_splat4d

    return _write_clip(job, write_splat4d)


def to_mp4(job: Job) -> dict[str, Any]:
    from splatalk import progress
    from splatalk.export.video import write_video

    fps = job.acted().fps
    with progress.bar("Drawing", len(job.acted())) as step:
        count = write_video(job.path, job.pictures(step), fps, job.sound, provenance(job.avatar))
    return {"frames": count, "fps": fps}


to_webm = to_mp4


def to_png(job: Job) -> dict[str, Any]:
    from splatalk import progress
    from splatalk.export.pictures import write_pictures

    fps, n = job.acted().fps, len(job.acted())
    with progress.bar("Drawing", n) as step:
        count = write_pictures(job.path, job.pictures(step), n, fps, job.sound, provenance(job.avatar))
    return {"frames": count, "fps": fps}


def to_compact(job: Job) -> dict[str, Any]:
    from splatalk import progress
    from splatalk.export.compact import export_compact, export_steps

    with progress.bar("Exporting", export_steps(job.avatar, job.performance), "step") as step:
        return export_compact(job.path, job.avatar, job.performance, job.sound, step)


def to_html(job: Job) -> dict[str, Any]:
    from splatalk import progress
    from splatalk.export.html import html_steps, write_html

    with progress.bar("Exporting", html_steps(job.avatar, job.performance), "step") as step:
        return write_html(job.path, job.avatar, job.performance, job.sound, step)


def to_curves(job: Job) -> dict[str, Any]:
    from splatalk.drive.curves import write_curves

    write_curves(job.path, job.avatar, job.acted())
    return {"frames": len(job.acted()), "fps": job.acted().fps}


def to_performance(job: Job) -> dict[str, Any]:
    from splatalk.drive.performance_file import write_performance

    write_performance(job.path, job.avatar, job.acted())
    return {"frames": len(job.acted()), "fps": job.acted().fps}
