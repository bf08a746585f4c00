"""Performances as files that people edit, and what editing does to them."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk import avatar as avatars
from splatalk.drive.edit import cut, join, retime, retime_to
from splatalk.drive.from_audio import from_audio
from splatalk.drive.performance_file import read_performance, with_speech, write_performance
from splatalk.errors import FormatError, UserError


@pytest.fixture(scope="module")
def person(tiny_avatar_path):
    return avatars.load(tiny_avatar_path)


@pytest.fixture(scope="module")
def performance(person, sample_capture):
    return from_audio(person, sample_capture.audio[: 3 * 16000], seed=2)


@pytest.fixture
def path(tmp_path, person, performance):
    write_performance(tmp_path / "hello.performance", person, performance)
    return tmp_path / "hello.performance"


def largest_step(poses: np.ndarray) -> float:
    return float(np.abs(np.diff(poses[:, 0, 3])).max())


def test_it_comes_back(path, person, performance):
    back = read_performance(path, person)
    np.testing.assert_allclose(back.head_pose, performance.head_pose, atol=2e-6)
    np.testing.assert_allclose(back.torso_pose, performance.torso_pose, atol=2e-6)
    np.testing.assert_allclose(back.expression, performance.expression, atol=5.1e-4)
    np.testing.assert_allclose(back.gaze, performance.gaze, atol=2e-6)
    np.testing.assert_allclose(back.audio, performance.audio, atol=4e-5)
    assert back.mouth is None and np.corrcoef(back.speech.ravel(), performance.speech.ravel())[0, 1] > 0.999


def test_mouth_codes_belong_to_one_avatar(tmp_path, person, performance):
    codes = np.random.default_rng(0).normal(size=(len(performance), person.mouth_basis.n_components))
    path = tmp_path / "codes.performance"
    write_performance(path, person, dataclasses.replace(performance, mouth=codes.astype(np.float32)))
    np.testing.assert_allclose(read_performance(path, person).mouth, codes, atol=1e-4)
    text = path.read_text()
    path.write_text(text.replace(str(person.meta["created"]), "another"))
    assert read_performance(path, person).mouth is None


def test_people_can_edit_it(path, person, performance):
    data = json.loads(path.read_text())
    yaw = data["columns"].index("head.yaw")
    for row in data["rows"]:
        row[yaw] = 20.0
    path.write_text(json.dumps(data))
    turned = read_performance(path, person)
    forward = turned.head_pose[0, :3, :3] @ np.linalg.inv(person.rest_head[:3, :3]) @ [0.0, 0.0, -1.0]
    assert forward[0] > 0.2  # to the subject's left: to the right in the picture
    assert path.read_text().count("\n") < 5
    assert len(turned) == len(performance)


def test_one_line_a_frame(path, performance):
    lines = path.read_text().splitlines()
    assert sum(line.strip().startswith("[") for line in lines) == len(performance)


@pytest.mark.parametrize("change, said", [
    ({"splatalk_performance": 2}, "version"), ({"fps": 0}, "frame rate"), ({"rows": []}, "no frames"),
    ({"sound": "../other.wav"}, "beside"), ({"sound": "gone.wav"}, "missing"), ({"mouth": "x"}, "mouth"),
    ({"columns": ["head.yaw"]}, "numbers"), ({"columns": "x"}, "columns"),
])  # fmt: skip
def test_what_is_wrong_is_said(path, person, change, said):
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError, match=said):
        read_performance(path, person)


@pytest.mark.parametrize("value", [1e9, "x", None, True])
def test_impossible_numbers_are_refused(path, person, value):
    data = json.loads(path.read_text())
    data["rows"][3][0] = value
    path.write_text(json.dumps(data))
    with pytest.raises(FormatError, match="Frame 3"):
        read_performance(path, person)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_damaged_files_are_refused_or_read(path, person, place, byte, shorten):
    whole = path.read_bytes()
    place %= len(whole)
    damaged = whole[:place] if shorten else whole[:place] + bytes([byte]) + whole[place + 1 :]
    other = path.with_name("damaged.performance")
    other.write_bytes(damaged)
    try:
        assert len(read_performance(other, person)) > 0
    except UserError as error:
        assert error.hint


def test_cutting_keeps_sound_and_picture_together(performance):
    piece = cut(performance, 1.0, 2.0)
    assert len(piece) == 25 and len(piece.audio) == 16000
    np.testing.assert_array_equal(piece.head_pose, performance.head_pose[25:50])
    np.testing.assert_allclose(piece.audio[400:-400], performance.audio[16400 : 32000 - 400])
    with pytest.raises(UserError):
        cut(performance, 5.0)


def test_joints_do_not_jump(performance):
    parts = [cut(performance, 0.0, 1.0), cut(performance, 2.0, 3.0)]
    parts[1].head_pose = parts[1].head_pose.copy()
    parts[1].head_pose[:, 0, 3] += 0.03
    joined = join(parts)
    assert len(joined) == 50 and len(joined.audio) == 32000
    assert largest_step(joined.head_pose) < 0.01 < 0.025 < largest_step(np.concatenate([p.head_pose for p in parts]))
    np.testing.assert_array_equal(joined.head_pose[:20], parts[0].head_pose[:20])


@pytest.mark.parametrize("speed", [0.5, 1.25, 2.0])
def test_retiming_changes_the_length_and_not_the_pitch(performance, speed):
    changed = retime(performance, speed)
    assert len(changed) == round(len(performance) / speed)
    assert len(changed.audio) == round(len(changed) / changed.fps * 16000)

    def centre(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        return (power * np.linspace(0, 8000, len(power))).sum() / power.sum()

    assert centre(changed.audio) == pytest.approx(centre(performance.audio), rel=0.15)
    with pytest.raises(UserError):
        retime(performance, 0.0)


def test_another_frame_rate_lasts_as_long(performance):
    assert len(retime_to(performance, 50.0)) == 2 * len(performance)


def test_edited_sound_is_heard_again(person, performance):
    piece = cut(performance, 0.4, 1.4)
    assert piece.speech is None
    assert with_speech(person, piece).speech.shape[0] == 25
