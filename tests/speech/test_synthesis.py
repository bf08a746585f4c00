"""Text to sound, with the times of what is said."""

import itertools

import numpy as np
import pytest

from splatalk.errors import UserError
from splatalk.speech import synthesis
from splatalk.speech.synthesis import MAX_TEXT, Mark, Spoken, register, say
from splatalk.speech.visemes import VISEMES, viseme

needs_espeak = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("espeakng_loader"),
    reason="NOT TESTED: the extra `text` is not installed",
)


@needs_espeak
def test_words_and_sounds_have_their_times():
    spoken = say("Baby people make pumpkins, slowly.")
    assert [w.text for w in spoken.words] == ["Baby", "people", "make", "pumpkins", "slowly"]
    end = len(spoken.samples) / 16000
    for marks in (spoken.words, spoken.phonemes, spoken.visemes):
        assert all(0 <= m.start < m.end <= end + 1e-6 for m in marks)
        assert all(a.end <= b.start + 1e-6 for a, b in itertools.pairwise(marks))
    assert spoken.phonemes[0].text == "b" and sum(m.text == "PP" for m in spoken.visemes) >= 6
    lips_closed = np.abs(spoken.samples[: round(spoken.phonemes[0].start * 16000)]).max(initial=0.0)
    assert lips_closed < 0.1 < np.abs(spoken.samples).max() <= 1.0


@needs_espeak
def test_speed_and_language():
    assert len(say("one two three", words_a_minute=300).samples) < 0.8 * len(say("one two three").samples)
    assert [w.text for w in say("Grüße an alle", "de").words] == ["Grüße", "an", "alle"]


@needs_espeak
@pytest.mark.parametrize("text", ["…", "<break time='5s'/>", "[[x]]", "\0\0a", "𝄞", "a" * 400])
def test_any_text_is_spoken_or_refused(text):
    try:
        assert np.isfinite(say(text).samples).all()
    except UserError as error:
        assert error.hint


@pytest.mark.parametrize("wrong", [
    {"text": ""}, {"text": "a" * (MAX_TEXT + 1)}, {"text": "a", "words_a_minute": 5},
    {"text": "a", "synthesiser": "choir"},
])  # fmt: skip
def test_what_cannot_be_spoken_is_explained(wrong):
    with pytest.raises(UserError) as error:
        say(**wrong)
    assert error.value.hint


def test_another_synthesiser_can_be_registered(monkeypatch):
    class Beep:
        name = "beep"

        def say(self, text, voice, words_a_minute):
            return Spoken(np.ones(len(text), np.float32), [Mark(text, 0.0, 1.0)], [])

    monkeypatch.setattr(synthesis, "_makers", dict(synthesis._makers))
    register("beep", Beep)
    assert say("hello", synthesiser="beep").words[0].text == "hello"


@pytest.mark.parametrize("sound, shape", [
    ("p", "PP"), ("ˈb", "PP"), ("f", "FF"), ("tʃ", "CH"), ("ˈɑː", "aa"), ("əʊ", "E"), ("uː", "ou"), ("", "sil"),
])  # fmt: skip
def test_phonemes_have_shapes(sound, shape):
    assert viseme(sound) == shape and shape in VISEMES
