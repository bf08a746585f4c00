"""What the writers of animated formats are given: posed Gaussians over time, with their sound."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from splatalk.export.sound import Sound
from splatalk.render.splats import Splats


def _nothing() -> None:
    pass


@dataclasses.dataclass
class Clip:
    """A performance as Gaussians. It is consumed once, frame by frame, so it may be long.

    Args:
        frames: posed Gaussians in the world frame, y down; the same number in the same order in every frame.
        n_frames: how many frames there are.
        fps: frames per second; frame i is at i / fps seconds.
        facts: provenance and camera, see ``canonical.scene_facts``.
        sound: starts with the first frame; or None.
        step: to be called after each frame.
    """

    frames: Iterable[Splats]
    n_frames: int
    fps: float
    facts: Mapping[str, str]
    sound: Sound | None = None
    step: Callable[[], object] = _nothing

    @property
    def seconds(self) -> float:
        return self.n_frames / self.fps
