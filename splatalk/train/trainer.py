"""The training loop: static stage, first motion, then the stage in which sound and curves drive the face."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from splatalk.avatar.controls import Controls, Performance
from splatalk.avatar.gaussians import PARAMETERS
from splatalk.avatar.model import Avatar, Tokens
from splatalk.avatar.network import Offsets
from splatalk.avatar.rig import corrected
from splatalk.capture.dataset import Capture
from splatalk.config import Preset
from splatalk.render.rasterize import rasterize
from splatalk.train.binding import Binding
from splatalk.train.densify import PullStatistics, densify
from splatalk.train.frames import FrameReader, FrameSampler, mean_face
from splatalk.train.losses import LossWeights, PatchPerceptual, Target, photometric, silhouette, thinness
from splatalk.train.optimizer import NamedAdam, Rate
from splatalk.train.poses import PoseRefinement, pose_spacing

GAUSSIAN_RATES = {
    "means": Rate(8e-5, 4e-6),  # metres a step
    "quats": Rate(2e-3, 5e-4),
    "log_scales": Rate(6e-3, 1.5e-3),
    "opacity_logits": Rate(3e-2, 1e-2),
    "sh": Rate(6e-3, 1.2e-3),
    "bone_logits": Rate(2e-2, 2e-3),
}
PLANE_RATE, NETWORK_RATE = Rate(5e-3, 5e-4), Rate(2e-3, 2e-4)
POSE_RATE = Rate(1e-4, 1e-5)  # radians and metres a step; a residual's momentum makes about ten steps of each visit
POSES_FROM = 100
"""Poses are left alone until the picture is roughly there."""
STAGES = ("static", "motion", "speech")
TURNED_OFF = (None, "speech", "mouth")
"""What one step of the speech stage leaves out: nothing, the sound, or the tracked mouth."""


@dataclasses.dataclass
class StepReport:
    """What one step tells the log."""

    step: int
    stage: str
    loss: float
    l1: float
    gaussians: int


class Trainer:
    """Everything that changes during training.

    Args:
        avatar: changed in place.
        binding: of its Gaussians to the tracked face surface.
        performance: the recording's controls.
        preset: how long, how large.
        seed: every random choice follows from it and from the step.
    """

    def __init__(
        self, avatar: Avatar, binding: Binding, capture: Capture, performance: Performance, preset: Preset, seed: int
    ) -> None:
        self.avatar, self.binding, self.capture, self.performance = avatar, binding, capture, performance
        self.preset, self.seed, self.step = preset, seed, 0
        self.weights = LossWeights()
        self.plate = torch.from_numpy(np.ascontiguousarray(avatar.plate)).float() / 255.0
        self.motion = torch.from_numpy((capture.tracks.landmarks_head - mean_face(capture)).astype(np.float32))
        self.pixel = float(np.median(capture.tracks.head_pose[:, 2, 3])) / capture.camera.fx
        self.perceptual = PatchPerceptual(preset.patch)
        self.sampler = FrameSampler(capture, seed)
        self.reader = FrameReader(capture, self.sampler.pick)
        self.pull = PullStatistics(len(avatar.gaussians))
        self.poses = PoseRefinement(
            avatar.pose_inputs(performance), pose_spacing(self.total, len(self.sampler.frames))
        )
        self.head = torch.from_numpy(performance.head_pose.astype(np.float32))
        self.torso = torch.from_numpy(performance.torso_pose.astype(np.float32))
        self.optimizer = NamedAdam(*self.parameters())

    def parameters(self) -> tuple[dict[str, torch.nn.Parameter], dict[str, Rate]]:
        parameters = {f"gaussians/{n}": getattr(self.avatar.gaussians, n) for n in PARAMETERS}
        rates = {f"gaussians/{n}": GAUSSIAN_RATES[n] for n in PARAMETERS}
        modules = {"network": self.avatar.deformation, "speech": self.avatar.audio_encoder, "poses": self.poses}
        for prefix, module in modules.items():
            for name, parameter in module.named_parameters() if module is not None else ():
                parameters[f"{prefix}/{name}"] = parameter
                rates[f"{prefix}/{name}"] = _rate(prefix, name)
        return parameters, rates

    @property
    def total(self) -> int:
        return self.preset.static_iterations + self.preset.motion_iterations + self.preset.speech_iterations

    @property
    def stage(self) -> str:
        if self.step < self.preset.static_iterations:
            return "static"
        return "motion" if self.step < self.preset.static_iterations + self.preset.motion_iterations else "speech"

    def run(self) -> Iterator[StepReport]:
        """Train to the end, from wherever ``step`` stands; one report a step."""
        try:
            while self.step < self.total:
                torch.manual_seed(self.seed * 1_000_003 + self.step)
                yield self._motion_step() if self.stage == "motion" else self._picture_step()
        finally:
            self.reader.close()
        self.finish()

    def finish(self) -> None:
        """Give the avatar what it keeps of the refined poses."""
        self.avatar.forget_features()
        self.avatar.pose_linear.copy_(self.poses.linear.detach())
        refined = [self.controls(int(f)) for f in self.sampler.frames]
        self.avatar.manner["head_pose"] = np.stack([c.head_pose for c in refined]).astype(np.float32)
        self.avatar.manner["torso_pose"] = np.stack([c.torso_pose for c in refined]).astype(np.float32)

    def controls(self, frame: int) -> Controls:
        """The recorded controls of a training frame, with its refined poses."""
        controls = self.performance.frame(frame)
        with torch.no_grad():
            head, torso = self._refined(frame)
        controls.head_pose, controls.torso_pose = head.double().numpy(), torso.double().numpy()
        return controls

    def _rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.step, purpose))

    def _progress(self) -> float:
        return self.step / max(self.total, 1)

    def _motion_step(self) -> StepReport:
        """Teach the network the tracked surface's motion, without drawing anything."""
        frame = self.sampler.pick(self.step)
        rows = self.avatar.gaussians.dynamic
        bound = self.binding.select(rows)
        known = bound.weights.sum(1) > 0.05
        offsets = self._network(frame, self._rng(1).choice(len(TURNED_OFF)))
        wanted = bound.displacement(self.motion[frame])
        # In millimetres, so that the loss is about one.
        loss = ((offsets.means - wanted)[known] * 1e3).square().mean()
        loss = loss + 1e-2 * _size(offsets)
        loss.backward()
        self.optimizer.step(0.0, lambda name: not name.startswith("gaussians/"))
        report = StepReport(self.step, "motion", loss.item(), 0.0, self.avatar.n_gaussians)
        self.step += 1
        return report

    def _picture_step(self) -> StepReport:
        frame, target = self.reader.get(self.step)
        stage = self.stage
        if stage == "static":
            offsets = self._surface_offsets(frame)
        else:
            offsets = self._network(frame, self._rng(1).choice(len(TURNED_OFF)))
        splats = self.avatar.splats(offsets, *self._refined(frame))
        drawn = rasterize(splats, self.capture.camera, self.plate)
        loss = photometric(drawn.image, target, self.weights)
        l1 = (drawn.image.detach() - target.image).abs().mean().item()
        loss = loss + self.weights.matte * silhouette(drawn.alpha, target) + self.weights.thin * thinness(splats.scales)
        loss = loss + self.weights.poses * self.poses.size(frame)
        if stage == "speech":
            loss = loss + self.weights.offsets * _size(offsets)
            loss = loss + self._perceptual(drawn.image, target)
        loss.backward()
        self.pull.add(drawn.means2d_grad.norm(dim=1), drawn.radii > 0)
        self.optimizer.step(self._progress(), self._active(stage))
        self.step += 1
        self._maybe_densify()
        return StepReport(self.step - 1, stage, loss.item(), l1, self.avatar.n_gaussians)

    def _active(self, stage: str):
        refining = self.step >= POSES_FROM

        def active(name: str) -> bool:
            if name.startswith("poses/"):
                return refining
            return stage == "speech" or name.startswith("gaussians/")

        return active

    def _refined(self, frame: int) -> tuple[Tensor, Tensor]:
        """Head and torso pose of a recorded frame with their corrections."""
        head, torso = self.poses.correction(frame)
        return corrected(self.head[frame], head), corrected(self.torso[frame], torso)

    def _surface_offsets(self, frame: int) -> Offsets:
        bound = self.binding.select(self.avatar.gaussians.dynamic)
        means = bound.displacement(self.motion[frame])
        zero = torch.zeros_like(means)
        return Offsets(means, zero, zero, zero[:, 0], zero)

    def _network(self, frame: int, off: int) -> Offsets:
        gaussians = self.avatar.gaussians
        features = self.avatar.deformation.features(gaussians.means[gaussians.dynamic].detach())
        return self.avatar.offsets(self._tokens(frame, TURNED_OFF[off]), features)

    def _tokens(self, frame: int, off: str | None) -> Tokens:
        """Tokens of a recorded frame; without its sound, or with the mouth as heard in place of as tracked."""
        controls = self.performance.frame(frame)
        if off == "mouth" and controls.speech is not None:
            controls.mouth = None
        if off == "speech":
            controls.speech = None
        return self.avatar.tokens(controls)

    def _perceptual(self, image: Tensor, target: Target) -> Tensor | float:
        begin = self.preset.static_iterations + self.preset.motion_iterations
        begin += self.preset.perceptual_from * self.preset.speech_iterations
        if self.step < begin or self.step % self.preset.perceptual_every:
            return 0.0
        x, y = self._rng(2).random(2)
        return self.weights.perceptual * self.preset.perceptual_every * self.perceptual(image, target, (x, y))

    def _maybe_densify(self) -> None:
        p = self.preset
        if self.step % p.densify_every or self.step > p.densify_until * self.total or self.stage == "motion":
            return
        generator = torch.Generator().manual_seed(self.seed * 7919 + self.step)
        self.binding = densify(
            self.avatar.gaussians, self.binding, self.optimizer, self.pull,
            budget=p.max_gaussians, share=p.densify_share, pixel=self.pixel, generator=generator,
        )  # fmt: skip
        self.pull = PullStatistics(len(self.avatar.gaussians))


def _rate(prefix: str, name: str) -> Rate:
    if prefix == "poses":
        return POSE_RATE
    return PLANE_RATE if name.startswith("planes.") else NETWORK_RATE


def _size(offsets: Offsets) -> Tensor:
    """Mean square of the offsets other than positions, so that motion is preferred to repainting."""
    return (
        offsets.rotation.square().mean()
        + offsets.log_scales.square().mean()
        + 0.1 * offsets.opacity_logits.square().mean()
        + 0.5 * offsets.color.square().mean()
    )


def timed(reports: Iterator[StepReport]) -> Iterator[tuple[StepReport, float]]:
    """Each report with the seconds that its step took."""
    before = time.perf_counter()
    for report in reports:
        now = time.perf_counter()
        yield report, now - before
        before = now
