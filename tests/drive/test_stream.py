"""Live driving: the pieces in which sound comes do not matter, nothing jumps, words can be cut off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk import avatar as avatars
from splatalk.avatar.controls import Controls
from splatalk.drive.adjust import Adjust
from splatalk.drive.stream import FADE_S, Stream
from splatalk.errors import UserError
from splatalk.speech import live, read_audio
from splatalk.speech.features import feature_groups
from tests.conftest import SAMPLE_SPEECH

NAMES = ("mouth", "head_pose", "torso_pose", "expression", "gaze")


@pytest.fixture(scope="module")
def person(tiny_avatar_path):
    return avatars.load(tiny_avatar_path)


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    return read_audio(SAMPLE_SPEECH)[: round(1.53 * 16000)]


def spoken(stream: Stream, pieces: list[np.ndarray]) -> list[Controls]:
    return [c for piece in pieces for c in stream.feed(piece)] + stream.finish()


def mouths(frames: list[Controls]) -> np.ndarray:
    return np.stack([c.mouth for c in frames])


def same(a: list[Controls], b: list[Controls]) -> bool:
    return len(a) == len(b) and all(np.array_equal(getattr(x, n), getattr(y, n)) for x, y in zip(a, b) for n in NAMES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, round(1.53 * 16000)), max_size=40), lookahead=st.sampled_from(live.LOOKAHEADS_S))
def test_pieces_of_any_size_give_the_same_frames(person, words, cuts, lookahead):
    whole = spoken(Stream(person, lookahead_s=lookahead), [words])
    assert same(whole, spoken(Stream(person, lookahead_s=lookahead), np.split(words, sorted(cuts))))
    assert len(whole) == 39  # 1.53 s at 25 frames per second


@pytest.mark.parametrize("lookahead", live.LOOKAHEADS_S)
def test_a_frame_comes_as_soon_as_its_lookahead_is_there(person, words, lookahead):
    stream, given = Stream(person, lookahead_s=lookahead), 0
    assert stream.lookahead_s == lookahead
    for k in range(60):
        given += len(stream.feed(words[k * 320 : (k + 1) * 320]))
        heard = (k + 1) * 0.02
        assert given == max(int((heard - lookahead) * 25 + 1e-6) + 1, 0) * (heard >= lookahead - 1e-9)
        assert stream.frame == given


def test_the_mouth_is_that_of_the_fitted_encoder(person, words):
    import torch

    frames = spoken(Stream(person, lookahead_s=0.16), [words])
    windows = live.live_windows(live.heard(words, 25.0, 39), 25.0, 39, 0.16)
    closed = windows[:, live.CONTEXT, feature_groups(live.DIM, live.VISEMES)["closed"]]
    assert closed.max() > 0.5 and closed.min() < 0.1, "lips that close and lips that do not"
    with torch.no_grad():
        codes = person.live_encoder["160"](torch.from_numpy(windows))[0].numpy()
    settled = round(FADE_S * 25)
    assert np.abs(mouths(frames)[settled:] - codes[settled:]).max() < 1e-5


def test_silence_keeps_the_mouth_at_rest(person):
    frames = spoken(Stream(person), [np.zeros(3 * 16000, np.float32)])
    assert np.abs(mouths(frames) - person.live_encoder["160"].rest.numpy()).max() < 1e-6


def test_nothing_freezes_and_nothing_jumps_between_the_states(person, words):
    stream = Stream(person, seed=3)
    frames = [stream.idle() for _ in range(20)] + spoken(stream, [words])
    for piece in np.split(words[:16000], 25):
        stream.overhear(piece)
        frames.append(stream.idle())
    frames += [stream.idle() for _ in range(60)]
    head = np.stack([c.head_pose[:3].ravel() for c in frames])
    assert (np.abs(np.diff(head, axis=0)).max(1) > 0).all(), "every frame moves, be it by a breath"
    recorded = np.abs(np.diff(person.manner["head_pose"][:, :3].reshape(-1, 12), 2, axis=0)).max()
    assert np.abs(np.diff(head, 2, axis=0)).max() < 2.5 * recorded + 0.01
    assert stream.frame == len(frames)


def test_the_other_side_is_attended_to_while_it_is_heard(person, words):
    stream = Stream(person)
    for piece in np.split(words[:24000], 50):
        stream.overhear(piece[:100])  # pieces of any size
        stream.overhear(piece[100:])
        stream.idle()
    listening = stream._given[-1][0][1]
    for _ in range(70):
        stream.idle()
    assert listening > 0.5 and stream._given[-1][0][1] < 0.05


def test_interrupted_words_are_gone_and_nothing_jumps(person, words):
    stream = Stream(person)
    shown = stream.feed(words[:12000])
    step = np.abs(np.diff(mouths(shown), axis=0)).max()
    stream.interrupt()
    rest = [stream.idle() for _ in range(10)]
    path = mouths(shown[-1:] + rest)
    assert np.abs(np.diff(path, axis=0)).max() <= max(step, 0.5 * np.abs(path[0] - path[-1]).max()) + 1e-6
    assert np.array_equal(path[-1], person.live_encoder["160"].rest.numpy())
    again = spoken(stream, [words])
    fresh = spoken(Stream(person), [words])
    assert np.allclose(mouths(again), mouths(fresh), atol=1e-6), "nothing of the first words is left"


def test_frames_that_were_not_shown_are_taken_back(person, words):
    stream = Stream(person)
    given = spoken(stream, [words])
    stream.interrupt(frame=12)
    assert stream.frame == 12
    after = stream.idle()
    assert np.array_equal(after.head_pose, given[12].head_pose), "the head goes on from the frame that was seen"
    before, resting = given[11].mouth, person.live_encoder["160"].rest.numpy()
    assert np.abs(after.mouth - before).max() <= 0.2 * np.abs(before - resting).max() + 1e-6


def test_new_words_begin_without_a_jump(person, words):
    stream = Stream(person)
    stream.feed(words[:12000])
    last = stream.feed(words[12000:13000])[-1].mouth
    stream.interrupt()
    first = stream.feed(words)[0].mouth
    assert np.abs(first - last).max() < 0.2 * np.abs(last - person.live_encoder["160"].rest.numpy()).max() + 1e-3


def test_still_head_and_knobs(person, words):
    frames = spoken(Stream(person, head="still"), [words])
    assert all(np.array_equal(c.head_pose, person.rest_head) for c in frames)
    stream = Stream(person)
    stream.adjust = Adjust(lip_scale=0.0)
    resting = mouths(spoken(stream, [words]))
    assert np.ptp(resting, axis=0).max() < 1e-5


def test_broken_samples_do_no_harm(person):
    frames = Stream(person).feed(np.array([np.nan, np.inf, -np.inf] * 4000, np.float32))
    assert frames and np.isfinite(mouths(frames)).all()


def test_an_avatar_of_old_follows_sound_with_its_ordinary_encoder(tiny_avatar_path, words):
    old = avatars.load(tiny_avatar_path)
    old.set_live_encoder(None)
    stream = Stream(old)
    assert stream.stand_in
    assert np.ptp(mouths(spoken(stream, [words])), axis=0).max() > 0.3
    assert (
        np.abs(mouths(spoken(Stream(old), [np.zeros(9000, np.float32)])) - old.audio_encoder.rest.numpy()).max() < 1e-6
    )


def test_what_cannot_be_driven_live(person, tiny_avatar_path):
    with pytest.raises(UserError, match="lookahead"):
        Stream(person, lookahead_s=0.1)
    old = avatars.load(tiny_avatar_path)
    old.set_live_encoder(None)
    old.audio_encoder = None
    with pytest.raises(UserError, match="cannot be driven by sound"):
        Stream(old)
