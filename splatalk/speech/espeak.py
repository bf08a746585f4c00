"""Text to sound with eSpeak NG, loaded as a shared library: a small formant synthesiser for about a hundred languages.

The library and its data come with the PyPI package ``espeakng-loader`` (GPL-3.0-or-later, the extra ``text``) or with
the system's ``libespeak-ng``. It keeps one global state, so calls take turns.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import threading
from typing import Any

import av
import numpy as np

from splatalk.errors import UserError
from splatalk.speech.audio import SAMPLE_RATE
from splatalk.speech.synthesis import Mark, Spoken

# Values of espeak-ng's public header speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEMES_IPA, _DO_NOT_EXIT = 0x1, 0x2, 0x8000
_UTF8 = 1
_RATE = 1
_WORD, _END, _PHONEME = 1, 5, 7
_OK = 0


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    )  # fmt: skip


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)  # fmt: skip
_turn = threading.Lock()


class Espeak:
    """One loaded library. ``voice`` is a language such as ``en``, ``en-us``, ``de`` or a voice's name."""

    name = "espeak"

    def __init__(self) -> None:
        self._library, data = _load()
        self._rate = int(self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _PHONEMES_IPA | _DO_NOT_EXIT
        ))  # fmt: skip
        if self._rate <= 0:
            raise UserError("eSpeak NG could not be started: its data were not found.", _INSTALL)

    def say(self, text: str, voice: str = "en", words_a_minute: int = 165) -> Spoken:
        """See ``synthesis.say``."""
        heard = _Heard()
        encoded = text.encode("utf-8")
        with _turn:
            if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
                raise UserError(f"eSpeak NG has no voice {voice!r}.", "Use a language code: en, en-us, de, fr, es …")
            self._library.espeak_SetParameter(_RATE, words_a_minute, 0)
            callback = _Callback(heard.receive)
            self._library.espeak_SetSynthCallback(callback)
            done = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
        if done != _OK or not heard.chunks:
            raise UserError("eSpeak NG made no sound of this text.", "Give at least one word it can pronounce.")
        return heard.spoken(text, self._rate)


class _Heard:
    """What the library calls back with."""

    def __init__(self) -> None:
        self.chunks: list[np.ndarray] = []
        self.events: list[tuple[int, float, int, int, str]] = []

    def receive(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self.chunks.append(np.ctypeslib.as_array(wave, (count,)).astype(np.float32) / 32768.0)
        i = 0
        while events and events[i].type != 0:
            e = events[i]
            sound = bytes(e.id.string).decode("utf-8", "ignore") if e.type == _PHONEME else ""
            self.events.append((e.type, e.audio_position / 1000.0, e.text_position, e.length, sound))
            i += 1
        return 0

    def spoken(self, text: str, rate: int) -> Spoken:
        samples = _resampled(np.concatenate(self.chunks), rate)
        end = len(samples) / SAMPLE_RATE
        stops = [time for kind, time, *_ in self.events if kind in (_WORD, _END)] + [end]
        words = [
            Mark(text[position - 1 : position - 1 + length], time, min(t for t in stops if t > time))
            for kind, time, position, length, _ in self.events
            if kind == _WORD and time < end
        ]
        sounds = [(sound, time) for kind, time, _, _, sound in self.events if kind == _PHONEME and time < end]
        ends = [time for _, time in sounds[1:]] + [end]
        phonemes = [Mark(sound, time, stop) for (sound, time), stop in zip(sounds, ends) if stop > time]
        return Spoken(samples, words, phonemes)


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """(S,) float32 at 16 kHz."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([p.to_ndarray()[0] for p in pieces]).astype(np.float32)


_INSTALL = "Install it with: pip install 'splatalk[text]'"


@functools.cache
def _load() -> tuple[ctypes.CDLL, bytes | None]:
    """The library, and where its data are; None where it knows itself."""
    try:
        import espeakng_loader

        path, data = espeakng_loader.get_library_path(), str(espeakng_loader.get_data_path()).encode()
    except ImportError:
        path, data = ctypes.util.find_library("espeak-ng"), None
    if path is None:
        raise UserError("Speaking text needs the synthesiser eSpeak NG, which is not installed.", _INSTALL)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(f"The synthesiser eSpeak NG cannot be loaded: {error}.", _INSTALL) from error
    library.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    library.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
    library.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
    library.espeak_SetSynthCallback.argtypes = (_Callback,)
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    )  # fmt: skip
    return library, data
