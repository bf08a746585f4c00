"""Curves of ARKit names in and out, and faces copied from others."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk import avatar as avatars
from splatalk.avatar.controls import BLENDSHAPES, MOUTH_SHAPES
from splatalk.drive.curves import from_curves, onto, read_curves, write_curves
from splatalk.drive.from_audio import from_audio
from splatalk.drive.from_video import from_video, retargeted
from splatalk.errors import FormatError, UserError

JAW, BROW = BLENDSHAPES.index("jawOpen"), BLENDSHAPES.index("browInnerUp")


@pytest.fixture(scope="module")
def person(tiny_avatar_path):
    return avatars.load(tiny_avatar_path)


@pytest.fixture(scope="module")
def spoken(person, sample_capture):
    return from_audio(person, sample_capture.audio[: 2 * 16000], seed=1)


def test_what_is_written_is_read(tmp_path, person, spoken):
    write_curves(tmp_path / "c.csv", person, spoken)
    track = read_curves(tmp_path / "c.csv")
    np.testing.assert_allclose(track.expression, spoken.expression, atol=1e-4)
    back = from_curves(person, track)
    np.testing.assert_allclose(back.head_pose, spoken.head_pose, atol=1e-5)
    np.testing.assert_allclose(back.gaze, spoken.gaze, atol=1e-5)
    assert back.mouth.shape == (len(spoken), person.mouth_basis.n_components)


def test_a_phones_table_is_read(tmp_path, person):
    lines = ["Timecode,BlendshapeCount,JawOpen,BrowInnerUp,HeadYaw,HeadPitch,HeadRoll"]
    lines += [f"10:59:{58 + i // 60:02d}:{i % 60:02d}.000,61,{i / 120:.3f},0.5,0.1,0,0" for i in range(120)]
    (tmp_path / "phone.csv").write_text("\n".join(lines))
    track = read_curves(tmp_path / "phone.csv")
    assert track.times[-1] == pytest.approx(119 / 60) and track.head is not None and track.gaze is None
    performance = from_curves(person, track)
    assert len(performance) == 51
    np.testing.assert_allclose(performance.expression[25, JAW], 0.5, atol=0.01)
    np.testing.assert_allclose(performance.expression[:, BROW], 0.5)


def test_curves_move_the_face_and_sound_the_mouth(person, spoken):
    track_expression = np.ones((len(spoken), 52), np.float32)
    import dataclasses

    face = dataclasses.replace(spoken, expression=track_expression, head_pose=spoken.head_pose + 1.0)
    mixed = onto(spoken, face, head=False, gaze=True)
    assert mixed.expression[:, BROW].min() == 1.0 and mixed.mouth is None and mixed.speech is not None
    np.testing.assert_array_equal(mixed.expression[:, list(MOUTH_SHAPES)], spoken.expression[:, list(MOUTH_SHAPES)])
    np.testing.assert_array_equal(mixed.head_pose, spoken.head_pose)


@pytest.mark.parametrize("text, said", [
    ("", "no frames"), ("time,jawOpen", "no frames"), ("time,x\n0,1", "no curve"), ("jawOpen\n1", "no time"),
    ("time,jawOpen\n0,1\n0,1", "increase"), ("time,jawOpen\n0", "values"), ("time,jawOpen\n0,x", "no number"),
    ("time,jawOpen\n0,nan", "finite"), ("timecode,jawOpen\nx,1", "timecode"),
])  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, text, said):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(FormatError, match=said):
        read_curves(tmp_path / "x.csv")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(alphabet="time,jawOpn0123456789.-\n\"eE+ia", max_size=200)))
def test_any_file_is_read_or_refused(tmp_path, content):
    path = tmp_path / "fuzz.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        assert np.isfinite(read_curves(path).expression).all()
    except UserError as error:
        assert error.hint


def test_habits_are_not_copied_and_ranges_fit():
    rng = np.random.default_rng(0)
    own = np.zeros((100, 52), np.float32)
    own[:, BROW] = rng.uniform(0, 0.6, 100)
    other = np.zeros((100, 52), np.float32)
    other[:, BROW] = 0.3 + rng.uniform(0, 0.28, 100)  # always a little raised, moving half as far
    copied = retargeted(other, own)[:, BROW]
    assert np.quantile(copied, 0.05) < 0.05
    assert np.quantile(copied, 0.99) == pytest.approx(np.quantile(own[:, BROW], 0.99), abs=0.06)


def test_another_face_is_copied(person, sample_clip, sample_capture):
    copied = from_video(person, sample_clip)
    assert abs(len(copied) - len(sample_capture)) <= 1 and copied.audio is not None
    moved = np.abs(np.diff(copied.head_pose[:, :3], axis=0)).max()
    assert 0 < moved < 0.05
    tracked = sample_capture.tracks.blendshapes[: len(copied), JAW]
    assert np.corrcoef(copied.expression[:, JAW][: len(tracked)], tracked)[0, 1] > 0.9
