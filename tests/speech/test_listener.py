"""Hearing step by step: nothing of the future, nothing of the pieces, silence in silence."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quiet import FPS, SECONDS, sounds
from splatalk.errors import UserError
from splatalk.speech import PROSODY, listener, live, read_audio, speech_windows
from splatalk.speech.features import feature_groups
from splatalk.speech.synthesis import say
from tests.conftest import SAMPLE_SPEECH

GROUPS = feature_groups(live.DIM, live.VISEMES)
VOICE = GROUPS["prosody"].start
ACTIVITY = VOICE + PROSODY.index("activity")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return read_audio(SAMPLE_SPEECH)[: 6 * 16000]


def test_it_knows_nothing_of_the_future(speech: np.ndarray) -> None:
    changed = speech.copy()
    changed[2 * 16000 :] = 0.3
    a, b = listener.listen(speech, 150), listener.listen(changed, 150)
    assert np.array_equal(a[:101], b[:101]) and not np.array_equal(a[101:], b[101:])


def test_rows_are_what_single_steps_give(speech: np.ndarray) -> None:
    state = listener.begin()
    rows = [listener.hear(state, block) for block in speech[: 50 * listener.STEP].reshape(50, -1)]
    assert np.array_equal(np.stack(rows), listener.listen(speech, 50)[1:])


@pytest.mark.parametrize("lookahead", live.LOOKAHEADS_S)
def test_it_hears_what_the_whole_recording_says(speech: np.ndarray, lookahead: float) -> None:
    n = 150
    got = live.live_windows(live.heard(speech, 25.0, n), 25.0, n, lookahead)
    assert got.shape == (n, 7, live.DIM) and got.dtype == np.float32
    truth = speech_windows("mel", speech, 25.0, n)[:, 3:10]
    column = feature_groups(truth.shape[-1])["prosody"].start + PROSODY.index("activity")
    least = 0.6 if lookahead == 0.0 else 0.8
    assert np.corrcoef(got[:, 3, ACTIVITY], truth[:, 3, column])[0, 1] > least


def test_more_lookahead_hears_better(speech: np.ndarray) -> None:
    n = 150
    known = live.heard(speech, 25.0, n)
    truth = speech_windows("mel", speech, 25.0, n)[:, 6, 80]
    found = [np.corrcoef(live.live_windows(known, 25.0, n, s)[:, 3, VOICE], truth)[0, 1] for s in (0.0, 0.16)]
    assert found[1] > found[0]


def noises() -> dict[str, np.ndarray]:
    rng, n = np.random.default_rng(5), 8 * 16000
    t = np.arange(n) / 16000
    white = rng.normal(size=n)
    brown = np.fft.irfft(np.fft.rfft(white) / np.maximum(np.arange(n // 2 + 1), 50), n)
    hum = np.sin(2 * np.pi * 100 * t) + 0.5 * np.sin(2 * np.pi * 200 * t)
    mains = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 6)) + 1e-3 * white
    made = {"nothing": 0 * white, "white": white, "brown": brown, "hum": hum, "mains": mains}
    return {name: (0.03 * x / max(x.std(), 1e-9)).astype(np.float32) for name, x in made.items()}


@pytest.mark.parametrize("name", noises())
def test_noise_is_not_speech(name: str) -> None:
    n = 190
    got = live.live_windows(live.heard(noises()[name], 25.0, n), 25.0, n, 0.16)
    assert (got[25:, :, ACTIVITY] > 0).mean() <= 0.01


OTHERS = {
    "room noise -20 dB": 0.02, "swelling noise": 0.05, "breath": 0.05, "mains hum": 0.05, "organ, four chords": 0.05,
    "piano, two chords a second": 0.05, "claps, two a second": 0.05,
}  # fmt: skip
"""Share of the frames in which the mouth may move."""


@pytest.mark.parametrize("name", OTHERS)
def test_music_knocks_and_breath_are_not_speech(name: str) -> None:
    n = round(SECONDS * FPS)
    got = live.live_windows(live.heard(sounds()[name], FPS, n), FPS, n, live.DEFAULT_LOOKAHEAD_S)
    assert (got[:, :, ACTIVITY].max(1) > 0.02).mean() <= OTHERS[name]


@pytest.mark.parametrize("before", ["digital silence", "room noise -50 dB", "claps, two a second"])
def test_the_first_word_is_not_swallowed(speech: np.ndarray, before: str) -> None:
    lead, n = sounds()[before][: 2 * 16000], 100
    voice = [
        live.live_windows(live.heard(sound, 25.0, n), 25.0, n, live.DEFAULT_LOOKAHEAD_S)[:, :, ACTIVITY].max(1)
        for sound in (np.concatenate((lead, speech)), speech)
    ]
    begins, alone = int(np.argmax(voice[0][45:] > 0.5)) - 5, int(np.argmax(voice[1] > 0.5))
    assert voice[0][45:].max() > 0.5 and begins - alone <= 2, f"{40 * (begins - alone)} ms later than without it"
    assert (voice[0][52 + alone :] > 0.5).mean() > 0.95 * (voice[1][2 + alone : 50] > 0.5).mean()


def test_a_quiet_speaker_is_heard_like_a_loud_one(speech: np.ndarray) -> None:
    n = 150
    loud, quiet = (
        live.live_windows(live.heard(speech * np.float32(g), 25.0, n), 25.0, n, 0.16)[50:, 3, ACTIVITY]
        for g in (1.0, 0.12)
    )
    assert np.corrcoef(loud, quiet)[0, 1] > 0.9


@pytest.mark.parametrize(("lookahead", "share"), [(0.08, 0.7), (0.16, 0.7), (0.32, 0.7)])
def test_lips_close_where_p_b_or_m_is_said(lookahead: float, share: float) -> None:
    try:
        spoken = say("My mother bought a big paper boat, and Bob made a map of the bay.", "en-us", 150)
    except UserError as error:
        pytest.skip(f"NOT TESTED: {error}")
    n = int(len(spoken.samples) / 640)
    closed = live.live_windows(live.heard(spoken.samples, 25.0, n), 25.0, n, lookahead)[:, 3, GROUPS["closed"].start]
    times = np.arange(n) / 25.0

    def found(viseme: str) -> np.ndarray:
        marks = [m for m in spoken.visemes if m.text == viseme]
        return np.array([closed[(times > m.start - 0.04) & (times < m.end + 0.04)].max(initial=0.0) for m in marks])

    assert (found("PP") > 0.5).mean() >= share
    open_wide = np.zeros(n, bool)
    for mark in spoken.visemes:
        open_wide |= (mark.text == "aa") & (times > mark.start + 0.03) & (times < mark.end - 0.03)
    assert open_wide.sum() > 5 and (closed[open_wide] > 0.5).mean() <= 0.2


def test_rumble_is_not_heard(speech: np.ndarray) -> None:
    n = 150
    rumble = 0.1 * np.sin(2 * np.pi * 12 * np.arange(len(speech)) / 16000).astype(np.float32)
    plain, shaken = (live.live_windows(live.heard(s, 25.0, n), 25.0, n, 0.16)[:, 3] for s in (speech, speech + rumble))
    assert np.abs(plain - shaken).mean() < 0.05 * plain.std()


def test_unknown_lookahead() -> None:
    with pytest.raises(ValueError, match="lookahead"):
        live.lookahead_steps(0.1)
