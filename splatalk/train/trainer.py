"""The training loop: a static stage, then the stage in which the network learns to follow sound and curves."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from splatalk.avatar.controls import Controls, Performance
from splatalk.avatar.gaussians import PARAMETERS
from splatalk.avatar.model import Avatar, Motion, Tokens
from splatalk.avatar.rig import corrected
from splatalk.capture.dataset import Capture
from splatalk.config import Preset
from splatalk.render.rasterize import rasterize
from splatalk.train.densify import PullStatistics, densify
from splatalk.train.depth import depth_prior
from splatalk.train.frames import FrameReader, FrameSampler
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
RELIEF_TRAVEL, RELIEF_FALL = 0.12, 20.0
"""How far the guessed depth would move if every step agreed on where to, metres, and how much slower it ends."""
PLANE_RATE, NETWORK_RATE = Rate(5e-3, 5e-4), Rate(2e-3, 2e-4)
POSE_RATE = Rate(1e-4, 1e-5)  # radians and metres a step; a residual's momentum makes about ten steps of each visit
HIDDEN_SHARE = 0.05
"""Of a step, that the person's back takes part in."""
ELSEWHERE = 0.4
"""Share of the perceptual patches that look anywhere; the others look at the face."""
POSES_FROM = 100
"""Poses are left alone until the picture is roughly there."""
TURNED_OFF = (0.45, 0.45, 0.1)
"""How often a step leaves out nothing, the sound, or the tracked mouth."""
_CENTIMETRES = 1e2
_OFFSET_SCALE = tuple(
    (weight / count) ** 0.5 * unit
    for count, weight, unit in ((3, 1.0, _CENTIMETRES), (3, 1.0, 1.0), (3, 1.0, 1.0), (1, 0.1, 1.0), (3, 0.5, 1.0))
    for _ in range(count)
)
"""Of the 13 offsets, so that the sum of squares is the weighted sum of the mean squares of each kind."""
TOKEN_NOISE = {"mouth": 0.1, "upper": 0.02, "eyes": 0.03, "pose": 0.1}


@dataclasses.dataclass
class StepReport:
    """What one step tells the log."""

    step: int
    stage: str
    loss: float
    l1: float
    psnr: float
    """Of this step's frame, full picture, dB."""
    gaussians: int


class Trainer:
    """Everything that changes during training.

    Args:
        avatar: changed in place.
        performance: the recording's controls.
        preset: how long, how large.
        seed: every random choice follows from it and from the step.
        device: where pictures are drawn and the avatar learns; poses, which are a few numbers, stay on the CPU.
    """

    def __init__(
        self, avatar: Avatar, capture: Capture, performance: Performance, preset: Preset, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.avatar, self.capture, self.performance = avatar.to(device), capture, performance
        self.preset, self.seed, self.step, self.device = preset, seed, 0, device
        self.weights = LossWeights()
        self.plate = (torch.from_numpy(np.ascontiguousarray(avatar.plate)).float() / 255.0).to(device)
        self.pixel = float(np.median(capture.tracks.head_pose[:, 2, 3])) / capture.camera.fx
        self.depth = depth_prior(capture, device)
        self.perceptual = PatchPerceptual(preset.patch, device)
        self.sampler = FrameSampler(capture, seed)
        self.reader = FrameReader(capture, self.sampler.pick, device)
        self.pull = PullStatistics(len(avatar.gaussians), device)
        self.poses = PoseRefinement(avatar.pose_inputs(performance), pose_spacing(self.total, len(self.sampler.frames)))
        self.head = torch.from_numpy(performance.head_pose.astype(np.float32))
        self.torso = torch.from_numpy(performance.torso_pose.astype(np.float32))
        self.optimizer = NamedAdam(*self.parameters())

    def parameters(self) -> tuple[dict[str, torch.nn.Parameter], dict[str, Rate]]:
        parameters = {f"gaussians/{n}": getattr(self.avatar.gaussians, n) for n in PARAMETERS}
        rates = {f"gaussians/{n}": GAUSSIAN_RATES[n] for n in PARAMETERS}
        modules = {
            "network": self.avatar.deformation,
            "speech": self.avatar.audio_encoder,
            "poses": self.poses,
            "depth": self.depth,
        }
        for prefix, module in modules.items():
            for name, parameter in module.named_parameters() if module is not None else ():
                parameters[f"{prefix}/{name}"] = parameter
                rates[f"{prefix}/{name}"] = self._rate(prefix, name)
        return parameters, rates

    def _rate(self, prefix: str, name: str) -> Rate:
        if prefix == "poses":
            return POSE_RATE
        if prefix == "depth":
            start = RELIEF_TRAVEL * math.log(RELIEF_FALL) / max(self.total, 1)
            return Rate(start, start / RELIEF_FALL)
        return PLANE_RATE if name.startswith("planes.") else NETWORK_RATE

    @property
    def total(self) -> int:
        return self.preset.static_iterations + self.preset.speech_iterations

    @property
    def stage(self) -> str:
        return "static" if self.step < self.preset.static_iterations else "speech"

    def run(self) -> Iterator[StepReport]:
        """Train to the end, from wherever ``step`` stands; one report a step."""
        try:
            while self.step < self.total:
                torch.manual_seed(self.seed * 1_000_003 + self.step)
                yield self._step()
        finally:
            self.reader.close()
        self.finish()

    def finish(self) -> None:
        """Give the avatar what it keeps of the refined poses."""
        self.depth.tidy(self.avatar.gaussians)
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

    def _step(self) -> StepReport:
        frame, target = self.reader.get(self.step)
        stage = self.stage
        tokens = self._tokens(frame)
        motion = Motion(None, self.avatar.surface(tokens)) if stage == "static" else self.avatar.motion(tokens)
        splats = self.avatar.splats(motion, *self._refined(frame))
        drawn = rasterize(splats, self.capture.camera, self.plate)
        loss = photometric(drawn.image, target, self.weights)
        difference = drawn.image.detach() - target.image
        l1, squared = difference.abs().mean(), difference.square().mean()
        loss = loss + self.weights.matte * silhouette(drawn.alpha, target) + self.weights.thin * thinness(splats.scales)
        held = self.depth.look(self.avatar.gaussians)
        loss = loss + self.weights.depth * self.depth(self.avatar.gaussians.means, held)
        loss = loss + self.weights.poses * self.poses.size(frame).to(self.device)
        if motion.values is not None:
            loss = loss + self.weights.offsets * offset_size(motion.values)
            loss = loss + self._perceptual(drawn.image, target)
        loss.backward()
        self.pull.add(drawn.means2d_grad.norm(dim=1), drawn.radii > 0)
        self.depth.gather(self.avatar.gaussians.means, held)
        relief = self.depth.relief.detach().clone()
        with self._slowly(held.hidden):
            self.optimizer.step(self._progress(), self._active(stage))
        self.depth.carry(self.avatar.gaussians.means, held, relief)
        self.step += 1
        self._maybe_densify()
        # The only time that a step waits for a GPU.
        told, l1_told, squared_told = torch.stack((loss.detach(), l1, squared)).tolist()
        psnr = -10.0 * math.log10(max(squared_told, 1e-10))
        return StepReport(self.step - 1, stage, told, l1_told, psnr, self.avatar.n_gaussians)

    @contextlib.contextmanager
    def _slowly(self, rows: Tensor) -> Iterator[None]:
        """Let the Gaussians of ``rows`` learn only a little of what they are asked to in here.

        What shines through from behind would be painted to mend the picture in front, and be seen as that from aside.
        """
        before = [getattr(self.avatar.gaussians, name).detach()[rows] for name in PARAMETERS]
        yield
        with torch.no_grad():
            for name, old in zip(PARAMETERS, before, strict=True):
                parameter = getattr(self.avatar.gaussians, name)
                parameter[rows] = old.lerp(parameter[rows], HIDDEN_SHARE)

    def _active(self, stage: str):
        refining = self.step >= POSES_FROM

        def active(name: str) -> bool:
            if name.startswith(("poses/", "depth/")):
                return refining
            return stage == "speech" or name.startswith("gaussians/")

        return active

    def _refined(self, frame: int) -> tuple[Tensor, Tensor]:
        """Head and torso pose of a recorded frame with their corrections."""
        head, torso = self.poses.correction(frame)
        return corrected(self.head[frame], head), corrected(self.torso[frame], torso)

    def _tokens(self, frame: int) -> Tokens:
        """Tokens of a recorded frame, at random without its sound or with the mouth as heard in place of as tracked.

        Noise on the rest keeps the network from recognising frames by their pose.
        """
        rng = self._rng(1)
        controls = self.performance.frame(frame)
        off = rng.choice(["nothing", "speech", "mouth"], p=TURNED_OFF)
        if off == "mouth" and controls.speech is not None:
            controls.mouth = None
        if off == "speech":
            controls.speech = None
        tokens = self.avatar.tokens(controls)
        for name, amount in TOKEN_NOISE.items():
            value = getattr(tokens, name)
            noise = torch.from_numpy(rng.standard_normal(value.shape[0])).float().to(self.device)
            setattr(tokens, name, value + amount * noise)
        return tokens

    def _perceptual(self, image: Tensor, target: Target) -> Tensor | float:
        begin = self.preset.static_iterations + self.preset.perceptual_from * self.preset.speech_iterations
        if self.step < begin or self.step % self.preset.perceptual_every:
            return 0.0
        x, y, chance = self._rng(2).random(3)
        distance = self.perceptual(image, target, (x, y), anywhere=chance < ELSEWHERE)
        return self.weights.perceptual * self.preset.perceptual_every * distance

    def _maybe_densify(self) -> None:
        p = self.preset
        if self.step % p.densify_every:
            return
        self.depth.tidy(self.avatar.gaussians)
        if self.step > p.densify_until * self.total:
            return
        generator = torch.Generator().manual_seed(self.seed * 7919 + self.step)
        densify(
            self.avatar.gaussians, self.optimizer, self.pull,
            budget=p.max_gaussians, share=p.densify_share, pixel=self.pixel, generator=generator,
        )  # fmt: skip
        self.pull = PullStatistics(len(self.avatar.gaussians), self.device)


def offset_size(values: Tensor) -> Tensor:
    """How much the network (M, 13) adds, in a Gaussian's mean square: the rig comes first, motion before repainting."""
    return (values * values.new_tensor(_OFFSET_SCALE)).square().sum() / max(len(values), 1)
