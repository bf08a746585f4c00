"""Moments from which the bases are made: those of a performance, or samples of all that an avatar can do."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from splatalk.avatar.controls import BLENDSHAPES, MOUTH_SHAPES, UPPER_SHAPES, Controls, Performance
from splatalk.avatar.model import Avatar, Tokens
from splatalk.speech.prosody import PROSODY

MAX_EXAMPLES = 240
"""Most moments of a performance that are looked at."""
EVERY = 3
"""Frames of a performance from one such moment to the next: motion is smooth at 25 frames a second."""
HELD_OUT = 16
SPEAKING, SILENT = 170, 24
"""Sampled moments with and without a voice."""
BLINKS = (0.25, 0.5, 0.75, 1.0)
GAZES, GAZE_RADIANS = 8, 0.35
"""Directions of a look, and how far it turns from the usual one."""

_PROSODY_RANGE = {
    "energy": (0.2, 1.2), "energy_slope": (-0.4, 0.4), "voicing": (0.0, 1.0), "pitch": (-0.5, 0.5),
    "tilt": (-0.5, 0.5), "sibilance": (0.0, 0.5), "activity": (0.6, 1.0),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class State:
    """One moment: the network's input, and the bones (4, 4)."""

    tokens: Tokens
    head: np.ndarray
    torso: np.ndarray


@dataclasses.dataclass(frozen=True)
class States:
    """Moments to make bases from, and others to judge them by."""

    examples: list[State]
    held_out: list[State]


def frames_of(n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Which frames of a performance are examples, and which are held out: midway between two examples if possible."""
    count = min(max(n_frames // EVERY, 1), MAX_EXAMPLES)
    examples = np.unique(np.rint((np.arange(count) + 0.5) * n_frames / count - 0.5).astype(int))
    free = np.setdiff1d(np.arange(n_frames), examples)
    if len(free) == 0:
        free = examples
    count = min(HELD_OUT, len(free))
    return examples, free[np.rint((np.arange(count) + 0.5) * len(free) / count - 0.5).astype(int)]


@torch.no_grad()
def of_performance(avatar: Avatar, performance: Performance) -> States:
    """What a performance shows."""
    examples, held_out = frames_of(len(performance))

    def at(frame: int) -> State:
        controls = performance.frame(frame)
        return State(avatar.tokens(controls), controls.head_pose, controls.torso_pose)

    return States([at(i) for i in examples], [at(i) for i in held_out])


@torch.no_grad()
def of_avatar(avatar: Avatar, seed: int) -> States:
    """All that an avatar can do: recorded head motion with a mouth that speaks anything, silence, every curve, gaze.

    What it would say is not known, so its speech tokens are made of random mouth codes and random prosody.
    """
    rng = np.random.default_rng(seed)
    speaking = [_speaking(avatar, rng) for _ in range(SPEAKING)]
    silent = [_silent(avatar, rng) for _ in range(SILENT)]
    held_out = [_speaking(avatar, rng) for _ in range(HELD_OUT - 6)] + [_silent(avatar, rng) for _ in range(2)]
    held_out += [_expressive(avatar, rng) for _ in range(4)]
    return States(speaking + silent + _one_by_one(avatar), held_out)


@torch.no_grad()
def at_rest(avatar: Avatar) -> State:
    """Looking ahead in silence."""
    controls = _rest(avatar)
    controls.speech = _silence(avatar)
    return _state(avatar, controls)


def sampled_counts() -> tuple[int, int]:
    """How many examples and held-out states ``of_avatar`` gives."""
    return SPEAKING + SILENT + len(BLENDSHAPES) + len(BLINKS) + GAZES, HELD_OUT


def _state(avatar: Avatar, controls: Controls) -> State:
    return State(avatar.tokens(controls), controls.head_pose, controls.torso_pose)


def _rest(avatar: Avatar) -> Controls:
    gaze = np.median(avatar.manner["gaze"], 0)
    return Controls(avatar.rest_head, avatar.rest_torso, np.zeros(len(BLENDSHAPES), np.float32), gaze)


def _recorded(avatar: Avatar, rng: np.random.Generator) -> Controls:
    """Head, eyes and brows of any recorded frame."""
    manner = avatar.manner
    row = rng.integers(len(manner["head_pose"]))
    return Controls(
        manner["head_pose"][row], manner["torso_pose"][row], manner["expression"][row].copy(), manner["gaze"][row]
    )


def _speaking(avatar: Avatar, rng: np.random.Generator) -> State:
    state = _state(avatar, _recorded(avatar, rng))
    codes = _mouth_codes(avatar, rng)
    speech = None if avatar.audio_encoder is None else _speech_tokens(avatar, codes, rng)
    return dataclasses.replace(
        state, tokens=dataclasses.replace(state.tokens, mouth=codes[len(codes) // 2], speech=speech)
    )


def _mouth_codes(avatar: Avatar, rng: np.random.Generator) -> Tensor:
    """(T, C): a mouth that moves between three random shapes. Codes are standard deviations of the recording."""
    steps = 7 if avatar.audio_encoder is None else avatar.audio_encoder.config.tokens
    strength = rng.choice((0.5, 1.0, 1.0, 1.8))
    shapes = strength * rng.standard_normal((3, avatar.mouth_basis.n_components)).clip(-2.5, 2.5)
    return _between(shapes, steps)


def _between(values: np.ndarray, steps: int) -> Tensor:
    """(3, C) -> (steps, C), through all three."""
    place = np.linspace(0.0, 2.0, steps)
    columns = [np.interp(place, np.arange(3), column) for column in values.T]
    return torch.from_numpy(np.stack(columns, 1).astype(np.float32))


def _speech_tokens(avatar: Avatar, codes: Tensor, rng: np.random.Generator) -> Tensor:
    """(T, dim) of a voice that says ``codes`` (T, C), loud or soft, high or low."""
    encoder = avatar.audio_encoder
    assert encoder is not None
    low, high = np.array([_PROSODY_RANGE[name] for name in PROSODY]).T
    voice = _between(rng.uniform(low, high, (3, len(PROSODY))), len(codes))
    return encoder.project(torch.cat((codes, voice), 1)) + encoder.time_code


def _silent(avatar: Avatar, rng: np.random.Generator) -> State:
    """Between words: no voice at all, or nothing that speaks."""
    controls = _recorded(avatar, rng)
    controls.speech = _silence(avatar) if rng.random() < 0.7 else None
    return _state(avatar, controls)


def _silence(avatar: Avatar) -> np.ndarray | None:
    """(W, D) features of no sound, for an avatar that hears."""
    encoder = avatar.audio_encoder
    return None if encoder is None else np.zeros((encoder.config.window, encoder.config.dim), np.float32)


def _expressive(avatar: Avatar, rng: np.random.Generator) -> State:
    """Several curves at once."""
    controls = _recorded(avatar, rng)
    rows = rng.choice(len(BLENDSHAPES), 4, replace=False)
    controls.expression[rows] = rng.uniform(0.2, 0.8, 4)
    controls.mouth = _mouth_of(avatar, controls.expression)
    return _state(avatar, controls)


def _one_by_one(avatar: Avatar) -> list[State]:
    """Every curve alone, both eyes closing, and a look into eight directions."""
    states = []
    for i in (*UPPER_SHAPES, *MOUTH_SHAPES):
        controls = _rest(avatar)
        controls.expression[i] = 0.8
        controls.mouth = _mouth_of(avatar, controls.expression) if i in MOUTH_SHAPES else None
        states.append(_state(avatar, controls))
    blinks = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    for closed in BLINKS:
        controls = _rest(avatar)
        controls.expression[blinks] = closed
        states.append(_state(avatar, controls))
    for turn in np.arange(GAZES) * 2 * np.pi / GAZES:
        controls = _rest(avatar)
        look = GAZE_RADIANS * np.array([np.cos(turn), np.sin(turn)])
        controls.gaze = controls.gaze + np.concatenate((look, look))
        states.append(_state(avatar, controls))
    return states


def _mouth_of(avatar: Avatar, expression: np.ndarray) -> np.ndarray:
    """(C,) mouth codes of curves (52,)."""
    inputs = torch.from_numpy(np.append(expression, 1.0).astype(np.float32))
    return np.asarray((inputs @ avatar.curves_to_mouth).numpy())
