"""Texts and sounds become Recitals."""

from __future__ import annotations

import numpy as np

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.drive.from_audio import from_audio
from splatalk.errors import UserError
from splatalk.export.sound import Sound
from splatalk.export.wav import wav_bytes
from splatalk.serve.puppet import Recital
from splatalk.serve.sounds import decode
from splatalk.speech import SAMPLE_RATE
from splatalk.speech.synthesis import say


class Studio:
    """What it takes to make ``avatar`` speak; called from one thread at a time."""

    def __init__(self, avatar: Avatar) -> None:
        self._avatar = avatar

    @property
    def has_speech(self) -> bool:
        return self._avatar.audio_encoder is not None

    def require_speech(self) -> None:
        """Raise UserError when sound cannot drive this avatar."""
        if not self.has_speech:
            raise UserError("This avatar cannot be driven by sound.", "Enrol it again from a recording with speech.")

    def heard(self, number: int, data: bytes, name: str) -> Recital:
        """A sound file's bytes.

        Raises:
            UserError: it is no sound, or too long.
        """
        samples, sound = decode(data, name)
        return Recital(number, from_audio(self._avatar, samples, seed=number), wav_bytes(sound))

    def spoken(self, number: int, text: str, voice: str) -> Recital:
        """A text, in a synthetic voice.

        Raises:
            UserError: it cannot be spoken here.
        """
        samples = say(text, voice).samples
        performance = from_audio(self._avatar, samples, seed=number)
        return Recital(number, performance, wav_bytes(Sound.mono(samples, SAMPLE_RATE)), text)

    def given(self, performance: Performance, sound: Sound | None) -> Recital:
        """What the command line asked for, as the first utterance of every page."""
        seconds = len(performance) / performance.fps
        silence = Sound.mono(np.zeros(round(seconds * SAMPLE_RATE)))
        return Recital(1, performance, wav_bytes(silence if sound is None else sound))
