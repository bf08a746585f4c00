"""What drives an avatar: the Controls of one frame, and a Performance, which is Controls over time."""

from __future__ import annotations

import dataclasses

import numpy as np

BLENDSHAPES: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""The ARKit names in the order in which MediaPipe lists them (its ``_neutral`` left out, ``tongueOut`` added last)."""

MOUTH_SHAPES: tuple[int, ...] = tuple(
    i for i, name in enumerate(BLENDSHAPES) if name.startswith(("jaw", "mouth", "tongue", "cheekPuff"))
)
UPPER_SHAPES: tuple[int, ...] = tuple(i for i in range(len(BLENDSHAPES)) if i not in MOUTH_SHAPES)
SMILE_SHAPES: tuple[int, ...] = tuple(BLENDSHAPES.index(name) for name in ("mouthSmileLeft", "mouthSmileRight"))


@dataclasses.dataclass
class Controls:
    """Everything that drives one frame.

    Args:
        head_pose: (4, 4) canonical to world for the head bone, metres, OpenCV axes.
        torso_pose: (4, 4) canonical to world for the torso bone.
        expression: (52,) ARKit-named values 0..1; its upper-face part is always used.
        gaze: (4,) yaw and pitch of the left, then of the right eye, radians.
        speech: (W, D) speech features around the frame, or None when the sound does not drive it.
        mouth: (C,) coefficients in the avatar's mouth basis, or None when only the sound drives the mouth.

    With both ``speech`` and ``mouth`` the mouth follows ``mouth`` and the sound adds detail.
    """

    head_pose: np.ndarray
    torso_pose: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray
    speech: np.ndarray | None = None
    mouth: np.ndarray | None = None


@dataclasses.dataclass
class Performance:
    """Controls over time, with their sound.

    Args:
        fps: frames per second.
        head_pose, torso_pose: (N, 4, 4).
        expression: (N, 52).
        gaze: (N, 4).
        speech: (N, W, D) or None.
        mouth: (N, C) or None.
        audio: (S,) float32, 16 kHz mono, or None.
    """

    fps: float
    head_pose: np.ndarray
    torso_pose: np.ndarray
    expression: np.ndarray
    gaze: np.ndarray
    speech: np.ndarray | None = None
    mouth: np.ndarray | None = None
    audio: np.ndarray | None = None

    def __len__(self) -> int:
        return self.head_pose.shape[0]

    def frame(self, i: int) -> Controls:
        """The Controls of frame ``i``."""
        return Controls(
            head_pose=self.head_pose[i],
            torso_pose=self.torso_pose[i],
            expression=self.expression[i],
            gaze=self.gaze[i],
            speech=None if self.speech is None else self.speech[i],
            mouth=None if self.mouth is None else self.mouth[i],
        )

    def select(self, rows: np.ndarray) -> Performance:
        """The frames ``rows`` (indices), in that order; without sound, which belongs to the whole."""
        return Performance(
            fps=self.fps,
            head_pose=self.head_pose[rows],
            torso_pose=self.torso_pose[rows],
            expression=self.expression[rows],
            gaze=self.gaze[rows],
            speech=None if self.speech is None else self.speech[rows],
            mouth=None if self.mouth is None else self.mouth[rows],
        )
