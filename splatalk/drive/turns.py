"""Whose turn it is in a conversation: speaking, listening or idle, frame by frame, from the voices of both sides."""

from __future__ import annotations

import dataclasses

import numpy as np

SPEAKING, LISTENING, IDLE = range(3)
HOLD_S = (0.6, 1.6)
"""A speaker's pause, and that of the other, that does not end the turn."""
INTERRUPTED_S = 0.3
"""The speaker's pause that does, when the other speaks in it."""
BLEND_S = 0.5
"""In which one state has become the other, all but a twentieth."""
PHRASE_S, PAUSE_S = 0.8, 0.28
"""Voice that makes a phrase, and the pause after it that ends it."""
HEARD = 0.5
"""Voice activity (0..1, as in ``speech.PROSODY``) from which somebody speaks."""

_POLES = 3
_SETTLED = 6.3  # time constants in which three poles in a row reach 95 %


@dataclasses.dataclass(frozen=True)
class Turn:
    """One frame: how much of each state (3,), summing to 1, and whether the other has just ended a phrase."""

    weights: np.ndarray
    phrase_ended: bool


class Turns:
    """Follows both voices. Nothing depends on what comes later.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._silent = [np.inf, np.inf]  # seconds since either side was heard
        self._phrase = 0.0  # seconds of the other's voice in this phrase
        # Low-pass filters in a row: convex, so weights stay weights, and smooth to the second derivative.
        self._poles = np.tile(np.eye(3)[IDLE], (_POLES, 1))
        self._gain = 1.0 - np.exp(-_SETTLED / (BLEND_S * fps))

    def next(self, own: float, other: float) -> Turn:
        """Args: own, other: voice activity in this frame, 0..1."""
        for side, voice in enumerate((own, other)):
            self._silent[side] = 0.0 if voice > HEARD else self._silent[side] + 1.0 / self._fps
        state = self._state()
        value = np.eye(3)[state]
        for pole in self._poles:
            pole += self._gain * (value - pole)
            value = pole
        return Turn(value.copy(), self._phrase_ended() and state == LISTENING)

    def _state(self) -> int:
        own, other = self._silent
        if own == 0.0:
            return SPEAKING
        if other == 0.0:
            return SPEAKING if own < INTERRUPTED_S else LISTENING
        if own < HOLD_S[SPEAKING]:
            return SPEAKING
        return LISTENING if other < HOLD_S[LISTENING] else IDLE

    def _phrase_ended(self) -> bool:
        pause = self._silent[LISTENING]
        if pause == 0.0:
            self._phrase += 1.0 / self._fps
            return False
        if pause < PAUSE_S:
            return False
        ended, self._phrase = self._phrase >= PHRASE_S, 0.0
        return ended
