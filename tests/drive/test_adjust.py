"""The knobs of a performance."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splatalk import avatar as avatars
from splatalk.avatar.controls import BLENDSHAPES
from splatalk.drive.adjust import Adjust, Cue, adjusted, adjusted_controls, mouth_of_curves, parse_cue
from splatalk.drive.emotion import EMOTIONS
from splatalk.drive.from_audio import from_audio
from splatalk.errors import UserError

BROW = BLENDSHAPES.index("browInnerUp")


@pytest.fixture(scope="module")
def person(tiny_avatar_path):
    return avatars.load(tiny_avatar_path)


@pytest.fixture(scope="module")
def performance(person, sample_capture):
    return from_audio(person, sample_capture.audio[: 2 * 16000], head="still")


def test_nothing_turned_changes_nothing(person, performance):
    assert adjusted(person, performance, Adjust()) is performance


def test_lip_scale_is_about_rest(person, performance):
    rest = person.audio_encoder.rest.numpy()
    single, double = (adjusted(person, performance, Adjust(lip_scale=s)).mouth for s in (1.001, 1.4))
    free = np.abs(double) < 3.9
    np.testing.assert_allclose(((double - rest) * 1.001)[free], ((single - rest) * 1.4)[free], atol=1e-3)
    closed = adjusted(person, performance, Adjust(lip_scale=0.0)).mouth
    np.testing.assert_allclose(closed, np.broadcast_to(rest, closed.shape), atol=1e-6)


def test_a_frame_is_adjusted_as_the_whole_is(person, performance):
    adjust = Adjust(1.2, {"jawOpen": 0.3}, {"happy": 0.5}, [Cue("sad", 0.7, 0.5, 1.2)])
    whole = adjusted(person, performance, adjust)
    for i in (0, 20, 40):
        alone = adjusted_controls(person, performance.frame(i), adjust, i / performance.fps)
        np.testing.assert_allclose(alone.expression, whole.expression[i], atol=1e-6)
        np.testing.assert_allclose(alone.mouth, whole.mouth[i], atol=1e-5)


def test_a_cue_comes_and_goes_smoothly(person, performance):
    curve = adjusted(person, performance, Adjust(cues=[Cue("browInnerUp", 0.8, 0.5, 1.5)])).expression[:, BROW]
    change = curve - performance.expression[:, BROW]
    assert change[:12].max() == 0 and change[39:].max() == 0 and change[25] == pytest.approx(0.8)
    assert np.abs(np.diff(change)).max() < 0.2


def test_curves_make_a_mouth(person):
    open_jaw = np.zeros((1, 52), np.float32)
    open_jaw[0, BLENDSHAPES.index("jawOpen")] = 0.5
    mouth = mouth_of_curves(person, open_jaw)
    assert mouth.shape == (1, person.mouth_basis.n_components)
    assert np.abs(mouth - mouth_of_curves(person, 0 * open_jaw)).max() > 0


@pytest.mark.parametrize("text, cue", [
    ("browInnerUp=0.6", Cue("browInnerUp", 0.6)),
    ("jawOpen=0.5@1-2.5", Cue("jawOpen", 0.5, 1.0, 2.5)),
    ("jawOpen=-0.2@-2", Cue("jawOpen", -0.2, 0.0, 2.0)),
])  # fmt: skip
def test_cues_are_read(text, cue):
    assert parse_cue(text, "=") == cue


@given(st.text(max_size=30))
def test_any_text_is_a_cue_or_an_explained_error(text):
    for separator in "=:":
        try:
            cue = parse_cue(text, separator)
        except UserError as error:
            assert error.hint
        else:
            assert math.isfinite(cue.strength) and cue.start < cue.end


@pytest.mark.parametrize("wrong", [
    {"expression": {"browUp": 1.0}}, {"emotion": {"hapy": 1.0}}, {"lip_scale": -1.0}, {"lip_scale": math.nan},
    {"expression": {"jawOpen": 9.0}}, {"emotion": {"happy": math.nan}},
])  # fmt: skip
def test_impossible_knobs_are_refused(wrong):
    with pytest.raises(UserError):
        Adjust(**wrong)


def test_emotions_use_known_curves_within_range():
    for recipe in EMOTIONS.values():
        assert set(recipe) <= set(BLENDSHAPES) and all(0 < v <= 1 for v in recipe.values())
