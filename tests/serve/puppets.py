"""Stand-ins: a body whose frames say what drove them, an ear that answers at once, a clock that is moved by hand."""

from __future__ import annotations

import numpy as np

from splatalk.avatar.controls import Controls, Performance
from splatalk.serve.person import Knobs
from splatalk.speech import SAMPLE_RATE

FPS = 25.0
LOOKAHEAD_S = 0.2


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def controls(mouth: float, turn: float = 0.0) -> Controls:
    head = np.eye(4)
    head[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return Controls(head, np.eye(4), np.zeros(52, np.float32), np.zeros(4, np.float32), mouth=np.array([mouth]))


class Body:
    """Two coefficients: the mouth, and the value of browInnerUp on the sliders. ``cost`` seconds a frame."""

    fps = FPS

    def __init__(self, clock: Clock | None = None, cost: float = 0.0) -> None:
        self.clock, self.cost, self.count = clock, cost, 0

    def values(self, one: Controls, knobs: Knobs) -> np.ndarray:
        self.count += 1
        if self.clock is not None:
            self.clock.time += self.cost
        assert one.mouth is not None
        turn = np.arctan2(one.head_pose[1, 0], one.head_pose[0, 0]) / 2
        head = [np.cos(turn), 0.0, 0.0, np.sin(turn), *one.head_pose[:3, 3]]
        brow = knobs.adjust.expression.get("browInnerUp", 0.0)
        return np.array([one.mouth[0], brow, *head, 1, 0, 0, 0, 0, 0, 0], np.float32)


class Ear:
    """The mouth is the mean of a frame's sound; frames come ``LOOKAHEAD_S`` late."""

    lookahead_s = LOOKAHEAD_S

    def __init__(self) -> None:
        self.samples = np.zeros(0, np.float32)
        self.overheard = np.zeros(0, np.float32)
        self.interrupts = 0

    def feed(self, samples: np.ndarray) -> list[Controls]:
        self.samples = np.concatenate((self.samples, samples))
        return self._frames(round(LOOKAHEAD_S * SAMPLE_RATE))

    def finish(self) -> list[Controls]:
        return self._frames(0)

    def interrupt(self) -> None:
        self.samples = self.samples[:0]
        self.interrupts += 1

    def overhear(self, samples: np.ndarray) -> None:
        self.overheard = np.concatenate((self.overheard, samples))

    def idle(self) -> Controls:
        return controls(0.0)

    def _frames(self, kept: int) -> list[Controls]:
        width = round(SAMPLE_RATE / FPS)
        count = max((len(self.samples) - kept) // width, 0)
        pieces, self.samples = self.samples[: count * width], self.samples[count * width :]
        return [controls(float(piece.mean())) for piece in pieces.reshape(count, width)]


def performance(n: int, mouth: float = 0.5) -> Performance:
    eyes = np.tile(np.eye(4), (n, 1, 1))
    return Performance(
        FPS, eyes, eyes, np.zeros((n, 52), np.float32), np.zeros((n, 4), np.float32), mouth=np.full((n, 1), mouth)
    )
