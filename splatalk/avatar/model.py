"""An avatar: canonical Gaussians, the network that moves them, the rig, and what was recorded with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from splatalk.avatar.audio_encoder import AudioEncoder
from splatalk.avatar.controls import UPPER_SHAPES, Controls, Performance
from splatalk.avatar.face_rig import FaceRig
from splatalk.avatar.gaussians import Gaussians
from splatalk.avatar.mouth_basis import MouthBasis
from splatalk.avatar.network import Deformation, Offsets
from splatalk.avatar.rig import corrected
from splatalk.kernels.posing import pose
from splatalk.render.camera import Camera
from splatalk.render.splats import Splats

POSE_INPUTS = 12
"""Tracked quantities other than the mouth from which a tracker's error is predicted."""
GAZE_SCALE = 2.0
BLINK = (8, 9)
"""Rows of eyeBlinkLeft and eyeBlinkRight among the 52."""


@dataclasses.dataclass
class Tokens:
    """The conditioning of one frame: mouth (C,), upper (23,), eyes (6,), pose (9,), speech (T, dim) or None."""

    mouth: Tensor
    upper: Tensor
    eyes: Tensor
    pose: Tensor
    speech: Tensor | None


@dataclasses.dataclass
class Motion:
    """What one frame does to the canonical Gaussians before the bones.

    Args:
        values: (M, 13) offsets of the dynamic ones as ``Offsets.of`` takes them apart, or None.
        surface: (478, 3) displacement of the face surface that carries them besides, metres, or None.
    """

    values: Tensor | None
    surface: Tensor | None


class Avatar(nn.Module):
    """A person who can be posed and drawn.

    Args:
        gaussians: canonical Gaussians.
        face_rig: coarse motion of the face.
        deformation: the network that adds the rest.
        mouth_basis: linear basis of mouth shapes; ``Controls.mouth`` holds its coefficients.
        audio_encoder: speech features to mouth coefficients and speech tokens, or None for a silent avatar.
        curves_to_mouth: (53, C) linear map from the 52 curves and 1 to mouth coefficients.
        camera: the capture camera, which defines the world frame.
        rest_head, rest_torso: (4, 4) canonical to world, the person looking ahead.
        plate: (H, W, 3) uint8 background.
        manner: how the person moves when speaking: head_pose and torso_pose (M, 4, 4), expression (M, 52) without
            the mouth, gaze (M, 4), and, unless it is of old, voice (M,), voice activity 0..1; float32.
        meta: JSON-able facts: version, preset, consent, provenance, training summary.
        live_encoder: lookahead in milliseconds, as text → encoder of ``speech.live.live_windows`` at that lookahead;
            None when it was not fitted.
    """

    def __init__(
        self,
        gaussians: Gaussians,
        face_rig: FaceRig,
        deformation: Deformation,
        mouth_basis: MouthBasis,
        audio_encoder: AudioEncoder | None,
        curves_to_mouth: Tensor,
        camera: Camera,
        rest_head: np.ndarray,
        rest_torso: np.ndarray,
        plate: np.ndarray,
        manner: dict[str, np.ndarray],
        meta: dict[str, Any],
        live_encoder: Mapping[str, AudioEncoder] | None = None,
    ) -> None:
        super().__init__()
        self.gaussians = gaussians
        self.face_rig = face_rig
        self.deformation = deformation
        self.mouth_basis = mouth_basis
        self.audio_encoder = audio_encoder
        self.set_live_encoder(live_encoder)
        self.camera = camera
        self.rest_head, self.rest_torso = rest_head, rest_torso
        self.plate = plate
        self.manner = manner
        self.meta = meta
        self.register_buffer("curves_to_mouth", curves_to_mouth.float())
        self.curves_to_mouth: Tensor
        self.register_buffer("pose_linear", torch.zeros(12, POSE_INPUTS + mouth_basis.n_components))
        self.pose_linear: Tensor
        self._features: Tensor | None = None

    @property
    def fps(self) -> float:
        return float(self.meta["fps"])

    @property
    def device(self) -> torch.device:
        """Where the Gaussians and the network are."""
        return self.curves_to_mouth.device

    @property
    def n_gaussians(self) -> int:
        return len(self.gaussians)

    @property
    def head_centre(self) -> np.ndarray:
        """(3,) where the head is in the world at rest, metres: what an orbit turns around."""
        return np.asarray(self.rest_head[:3, 3], dtype=np.float64)

    def pose(self, controls: Controls) -> Splats:
        """The person as ``controls`` say, in the world frame. No gradient; features are computed once and kept."""
        with torch.no_grad():
            if self._features is None:
                self._features = self.deformation.features(self.gaussians.means[self.gaussians.dynamic])
            motion = self.motion(self.tokens(controls), self._features)
            return self.splats(motion, controls.head_pose, controls.torso_pose)

    def set_live_encoder(self, encoders: Mapping[str, AudioEncoder] | None) -> None:
        """Take encoders for live driving, from ``train.live.fit_live``; None leaves it without."""
        self.live_encoder = None if encoders is None else nn.ModuleDict(encoders)

    def forget_features(self) -> None:
        """Call after changing the Gaussians or the network."""
        self._features = None

    def tokens(self, controls: Controls) -> Tokens:
        """Controls as tensors. Without ``controls.mouth`` the mouth comes from the sound, or rests."""
        speech, heard = None, None
        if controls.speech is not None and self.audio_encoder is not None:
            code, tokens = self.audio_encoder(self._tensor(controls.speech)[None])
            heard, speech = code[0], tokens[0]
        if controls.mouth is not None:
            mouth = self._tensor(controls.mouth)
        else:
            mouth = heard if heard is not None else self._tensor(self.mouth_basis.rest)
        return self.conditioning(mouth, speech, controls)

    def conditioning(self, mouth: Tensor, speech: Tensor | None, controls: Controls) -> Tokens:
        """The tokens other than the mouth's own come straight from ``controls``."""
        return Tokens(
            mouth=mouth,
            upper=self._tensor(controls.expression[list(UPPER_SHAPES)]),
            eyes=self._tensor(np.concatenate((controls.expression[list(BLINK)], controls.gaze * GAZE_SCALE))),
            pose=self._tensor(self._pose_code(controls.head_pose, controls.torso_pose)),
            speech=speech,
        )

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=self.device)

    def motion(self, tokens: Tokens, features: Tensor | None = None) -> Motion:
        """What the face rig and the network make of ``tokens``.

        Args:
            features: kept query features (M, dim) of the dynamic Gaussians; without them they are computed from the
                present positions, with gradients to the network but not to the positions.
        """
        t = self.deformation.tokens(tokens.mouth, tokens.upper, tokens.eyes, tokens.pose, tokens.speech)
        if features is not None:
            values = self.deformation(features, t)
        else:
            values = self.deformation.at(self.gaussians.means.detach()[self.gaussians.dynamic], t)
        return Motion(values, self.surface(tokens))

    def surface(self, tokens: Tokens) -> Tensor:
        """(478, 3) metres, displacement of the face surface by the face rig."""
        return self.face_rig(tokens.mouth, tokens.upper, tokens.eyes[2:] / GAZE_SCALE)

    def carried(self, tokens: Tokens) -> Tensor:
        """(M, 3) metres, what the face rig alone moves the dynamic Gaussians by."""
        return self.gaussians.carried(self.surface(tokens))

    def offsets(self, tokens: Tokens, features: Tensor) -> Offsets:
        """Everything that moves the dynamic Gaussians in the canonical frame, the face rig's share included.

        ``features`` (M, dim) are their query features.
        """
        t = self.deformation.tokens(tokens.mouth, tokens.upper, tokens.eyes, tokens.pose, tokens.speech)
        offsets = Offsets.of(self.deformation(features, t))
        return dataclasses.replace(offsets, means=offsets.means + self.carried(tokens))

    def splats(self, motion: Motion | None, head_pose: np.ndarray | Tensor, torso_pose: np.ndarray | Tensor) -> Splats:
        """Canonical Gaussians, moved as ``motion`` says, carried into the world by the two bones."""
        g = self.gaussians
        head = torch.as_tensor(head_pose, dtype=torch.float32)
        torso = torch.as_tensor(torso_pose, dtype=torch.float32)
        values, surface = (motion.values, motion.surface) if motion is not None else (None, None)
        means, quats, scales, opacities, color = pose(g.canonical(), values, surface, head, torso)
        sh = color[:, None] if g.sh.shape[1] == 1 else torch.cat((color[:, None], g.sh[:, 1:]), 1)
        return Splats(means, quats, scales, opacities, sh)

    def corrected(self, performance: Performance) -> Performance:
        """Tracked poses without what this person's tracker always gets wrong, as training found it."""
        corrections = (self.pose_inputs(performance) @ self.pose_linear.T.cpu()).view(-1, 2, 6)
        poses = []
        for bone, tracked in enumerate((performance.head_pose, performance.torso_pose)):
            matrices = torch.from_numpy(np.asarray(tracked, dtype=np.float32))
            moved = [corrected(m, c) for m, c in zip(matrices, corrections[:, bone], strict=True)]
            poses.append(torch.stack(moved).double().numpy())
        return dataclasses.replace(performance, head_pose=poses[0], torso_pose=poses[1])

    def pose_inputs(self, performance: Performance) -> Tensor:
        """(N, F) what a tracker's errors are predicted from: pose, torso and mouth, about -1..1, zero at rest."""
        codes = [
            np.concatenate((self._pose_code(head, torso), (torso[:3, 3] - self.rest_torso[:3, 3]) / 0.1))
            for head, torso in zip(performance.head_pose, performance.torso_pose, strict=True)
        ]
        mouth = performance.mouth if performance.mouth is not None else self.mouth_basis.rest
        mouth = np.broadcast_to(0.3 * mouth, (len(performance), self.mouth_basis.n_components))
        return torch.from_numpy(np.concatenate((np.stack(codes), mouth), 1).astype(np.float32))

    def _pose_code(self, head_pose: np.ndarray, torso_pose: np.ndarray) -> np.ndarray:
        """(9,) float32: head turned and moved from rest, and head turned from the torso; about -1..1."""
        turned = _rotation_vector(head_pose[:3, :3] @ self.rest_head[:3, :3].T)
        moved = (head_pose[:3, 3] - self.rest_head[:3, 3]) / 0.1
        neck = _rotation_vector(torso_pose[:3, :3].T @ head_pose[:3, :3])
        return np.concatenate((turned * 2.0, moved, neck * 2.0)).astype(np.float32)


def _rotation_vector(r: np.ndarray) -> np.ndarray:
    """Sine-weighted rotation axis (3,) of a rotation below 90 degrees; smooth at zero."""
    return 0.5 * np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
