"""What drives an avatar: the Controls of one frame, and a Performance, which is Controls over time."""

from __future__ import annotations

import dataclasses
from typing import Literal

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

MouthSource = Literal["audio", "expression", "both"]
