"""Emotions as curves: what faces do that are commonly read as one.

After the action units that the Facial Action Coding System names for each (Ekman and Friesen, EMFACS), written in
ARKit's curves and at strengths that leave the mouth free to speak.
"""

from __future__ import annotations


def _both(**values: float) -> dict[str, float]:
    """Curves that exist left and right."""
    return {f"{name}{side}": value for name, value in values.items() for side in ("Left", "Right")}


EMOTIONS: dict[str, dict[str, float]] = {
    "happy": _both(mouthSmile=0.6, cheekSquint=0.5, eyeSquint=0.25, mouthDimple=0.2),
    "sad": {**_both(mouthFrown=0.5, browDown=0.15, eyeSquint=0.15), "browInnerUp": 0.7, "mouthShrugLower": 0.25},
    "angry": {**_both(browDown=0.8, eyeSquint=0.35, noseSneer=0.3, mouthPress=0.3), "jawForward": 0.1},
    "surprised": {**_both(browOuterUp=0.7, eyeWide=0.6), "browInnerUp": 0.7, "jawOpen": 0.15},
    "afraid": {**_both(browOuterUp=0.3, eyeWide=0.7, mouthStretch=0.4), "browInnerUp": 0.8},
    "disgusted": {**_both(noseSneer=0.7, mouthUpperUp=0.4, browDown=0.4, eyeSquint=0.3), "mouthShrugUpper": 0.2},
    "thoughtful": {**_both(browDown=0.25, eyeSquint=0.3, mouthPress=0.25), "browInnerUp": 0.2},
}
"""Name → ARKit curve → value at strength 1."""
