"""Turning the knobs of a performance: how far the lips go, single curves, emotions; for whole performances and live."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from splatalk.avatar.controls import BLENDSHAPES, MOUTH_SHAPES, Controls, Performance
from splatalk.avatar.model import Avatar
from splatalk.drive.emotion import EMOTIONS
from splatalk.errors import UserError

EASE_S = 0.3
"""Seconds in which a cue comes and goes."""
MOUTH_LIMIT = 4.0
"""Standard deviations of the recorded mouth beyond which a mouth code is not driven."""

_INDEX = {name: i for i, name in enumerate(BLENDSHAPES)}
_MOUTH = list(MOUTH_SHAPES)


@dataclasses.dataclass(frozen=True)
class Cue:
    """One curve or emotion for a while: ``strength`` from ``start`` to ``end`` seconds, eased in and out."""

    name: str
    strength: float
    start: float = 0.0
    end: float = math.inf

    def at(self, times: np.ndarray) -> np.ndarray:
        """Strength at times (N,) seconds, smoothed at the ends that lie within the performance."""
        rise = np.ones_like(times) if self.start <= 0.0 else _smooth((times - self.start) / EASE_S)
        fall = np.ones_like(times) if math.isinf(self.end) else _smooth((self.end - times) / EASE_S)
        return np.asarray(self.strength * np.minimum(rise, fall))


@dataclasses.dataclass(frozen=True)
class Adjust:
    """What is changed about a performance.

    Args:
        lip_scale: how far the mouth goes from rest, as a multiple of what drives it.
        expression: ARKit name → value that is added to that curve.
        emotion: name in ``EMOTIONS`` → strength 0..1.
        cues: curves and emotions that come and go.

    Raises:
        UserError: an unknown name, or a lip scale that is no number in 0..3.
    """

    lip_scale: float = 1.0
    expression: Mapping[str, float] = dataclasses.field(default_factory=dict)
    emotion: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cues: Sequence[Cue] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.lip_scale <= 3.0:
            raise UserError(f"A lip scale of {self.lip_scale:g} is not possible.", "Use 0 to 3; 1 changes nothing.")
        for cue in self.all_cues():
            if cue.name not in _INDEX and cue.name not in EMOTIONS:
                raise UserError(f"There is no curve or emotion called {cue.name!r}.", _names_hint(cue.name))
            if not abs(cue.strength) <= 2.0:
                raise UserError(f"{cue.name} of {cue.strength:g} is not possible.", "Use a strength from -1 to 1.")

    @property
    def idle(self) -> bool:
        """Whether it changes nothing."""
        return self.lip_scale == 1.0 and not self.all_cues()

    def all_cues(self) -> list[Cue]:
        constant = [Cue(name, value) for group in (self.expression, self.emotion) for name, value in group.items()]
        return [*constant, *self.cues]

    def curves(self, times: np.ndarray) -> np.ndarray:
        """(N, 52) float32, what is added to the curves at times (N,) seconds."""
        added = np.zeros((len(times), len(BLENDSHAPES)), np.float32)
        for cue in self.all_cues():
            recipe = EMOTIONS.get(cue.name) or {cue.name: 1.0}
            strength = cue.at(times)
            for name, value in recipe.items():
                added[:, _INDEX[name]] += value * strength
        return added


def adjusted(avatar: Avatar, performance: Performance, adjust: Adjust) -> Performance:
    """A performance with the knobs turned. Curves stay within 0..1, the mouth within what the person can do."""
    if adjust.idle:
        return performance
    added = adjust.curves(np.arange(len(performance)) / performance.fps)
    expression = np.clip(performance.expression + added, 0.0, 1.0).astype(np.float32)
    mouth = performance.mouth
    if adjust.lip_scale != 1.0 or added[:, _MOUTH].any():
        mouth = _mouth(avatar, mouth, performance.speech, len(performance), added, adjust.lip_scale)
    return dataclasses.replace(performance, expression=expression, mouth=mouth)


def adjusted_controls(avatar: Avatar, controls: Controls, adjust: Adjust, time: float = 0.0) -> Controls:
    """The same for one frame at ``time`` seconds: what live driving uses."""
    if adjust.idle:
        return controls
    added = adjust.curves(np.array([time]))
    expression = np.clip(controls.expression + added[0], 0.0, 1.0).astype(np.float32)
    mouth = controls.mouth
    if adjust.lip_scale != 1.0 or added[:, _MOUTH].any():
        given = None if mouth is None else mouth[None]
        speech = None if controls.speech is None else controls.speech[None]
        mouth = _mouth(avatar, given, speech, 1, added, adjust.lip_scale)[0]
    return dataclasses.replace(controls, expression=expression, mouth=mouth)


def mouth_of_curves(avatar: Avatar, expression: np.ndarray) -> np.ndarray:
    """Mouth codes (N, C) float32 of curves (N, 52), by the linear map that was fitted to the person's recording."""
    weights = avatar.curves_to_mouth.numpy()
    code = expression.astype(np.float32) @ weights[:-1] + weights[-1]
    return np.clip(code, -MOUTH_LIMIT, MOUTH_LIMIT).astype(np.float32)


def _mouth(
    avatar: Avatar, mouth: np.ndarray | None, speech: np.ndarray | None, n: int, added: np.ndarray, scale: float
) -> np.ndarray:
    """(N, C) codes: what would drive the mouth, scaled about its rest, with the added curves on top."""
    rest = avatar.mouth_basis.rest if avatar.audio_encoder is None else avatar.audio_encoder.rest.numpy()
    if mouth is None and speech is not None and avatar.audio_encoder is not None:
        mouth = spoken_mouth(avatar, speech)
    code = np.broadcast_to(rest, (n, len(rest))) if mouth is None else mouth
    linear = avatar.curves_to_mouth.numpy()[_MOUTH]
    moved = rest + scale * (code - rest) + added[:, _MOUTH] @ linear
    return np.clip(moved, -MOUTH_LIMIT, MOUTH_LIMIT).astype(np.float32)


def spoken_mouth(avatar: Avatar, speech: np.ndarray) -> np.ndarray:
    """Mouth codes (N, C) of speech windows (N, W, D), for an avatar that can hear."""
    assert avatar.audio_encoder is not None
    with torch.no_grad():
        return np.asarray(avatar.audio_encoder(torch.as_tensor(speech, dtype=torch.float32))[0].numpy())


def parse_cue(text: str, separator: str) -> Cue:
    """``NAME=VALUE`` or ``NAME:STRENGTH``, each with ``@FROM-TO`` in seconds if it is to come and go.

    Raises:
        UserError: it is written in another way.
    """
    name, _, rest = text.partition(separator)
    value, _, span = rest.partition("@")
    try:
        start, _, end = span.partition("-")
        cue = Cue(name.strip(), float(value or ("nan" if separator == "=" else "1")),
                  float(start) if start else 0.0, float(end) if end else math.inf)  # fmt: skip
    except ValueError:
        cue = Cue(name, math.nan)
    if not math.isfinite(cue.strength) or not cue.start < cue.end or cue.start < 0:
        example = "browInnerUp=0.6 or jawOpen=0.5@1-2.5" if separator == "=" else "happy:0.7 or sad:0.5@2-4"
        raise UserError(f"{text!r} cannot be understood.", f"Write it like {example}; times are seconds.")
    return cue


def _smooth(x: np.ndarray) -> np.ndarray:
    """0 to 1 without a corner."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _names_hint(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*BLENDSHAPES, *EMOTIONS], 3, 0.5)
    known = f"emotions {', '.join(EMOTIONS)}, or an ARKit curve such as jawOpen"
    return f"Did you mean {' or '.join(near)}?" if near else f"Known are the {known}."
