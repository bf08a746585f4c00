"""Turns are told from both voices; what follows is smooth, looks at who speaks, nods after phrases, and breathes."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from splatalk.avatar.controls import BLENDSHAPES
from splatalk.drive import conversation
from splatalk.drive.conversation import Conversation, camera_direction, silent_rows, smile_code
from splatalk.drive.manner import MannerWalk, relative
from splatalk.drive.turns import BLEND_S, IDLE, LISTENING, SPEAKING, Turns
from tests.drive.test_manner import manner

FPS = 25.0


def person(n: int = 500, **more: np.ndarray) -> types.SimpleNamespace:
    """An avatar as far as a conversation needs one: a metre away, looking at the camera."""
    rest = np.eye(4)
    rest[2, 3] = 0.6
    linear = torch.zeros(53, 3)
    linear[[BLENDSHAPES.index("mouthSmileLeft"), BLENDSHAPES.index("mouthSmileRight")], 1] = 0.2
    return types.SimpleNamespace(
        rest_head=rest, rest_torso=rest, fps=FPS, manner=manner(n) | more, curves_to_mouth=linear
    )


def voices(*spans: tuple[int, int], n: int) -> np.ndarray:
    out = np.zeros(n)
    for start, end in spans:
        out[start:end] = 1.0
    return out


def run(own: np.ndarray, other: np.ndarray, seed: int = 0, avatar: types.SimpleNamespace | None = None) -> dict:
    talk = Conversation(avatar or person(), seed)
    frames = [talk.next(a, b) for a, b in zip(own, other)]
    out = {key: np.stack([moved[key] for moved, _ in frames]) for key in frames[0][0]}
    return out | {"listens": np.array([listens for _, listens in frames])}


# --- turns


def weights(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    turns = Turns(FPS)
    return np.stack([turns.next(a, b).weights for a, b in zip(own, other)])


def test_who_speaks_when() -> None:
    n = 300
    found = weights(voices((25, 100), n=n), voices((110, 200), n=n))
    assert found[10, IDLE] > 0.99 and found[60, SPEAKING] > 0.99
    assert found[180, LISTENING] > 0.99 and found[-1, IDLE] > 0.99
    settled = 110 + round(0.3 * FPS) + round(BLEND_S * FPS)
    assert found[settled, LISTENING] > 0.9


def test_a_short_pause_ends_no_turn() -> None:
    n = 200
    found = weights(voices((10, 60), (70, 120), n=n), np.zeros(n))
    assert found[40:120, SPEAKING].min() > 0.97
    found = weights(np.zeros(n), voices((10, 60), (90, 140), n=n))
    assert found[40:140, LISTENING].min() > 0.97


def test_speaking_wins_when_both_speak() -> None:
    assert weights(np.ones(60), np.ones(60))[-1, SPEAKING] > 0.99


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=200))
def test_weights_are_weights_and_change_smoothly(heard: list[tuple[bool, bool]]) -> None:
    found = weights(*np.array(heard, float).T)
    np.testing.assert_allclose(found.sum(1), 1)
    assert found.min() >= 0
    assert np.abs(np.diff(found, axis=0)).max(initial=0) < 0.2
    assert np.abs(np.diff(found, 2, axis=0)).max(initial=0) < 0.12


def test_a_phrase_ends_once_and_only_if_it_was_one() -> None:
    n = 200
    other = voices((10, 60), (90, 95), (120, 160), n=n)
    turns = Turns(FPS)
    ended = [i for i in range(n) if turns.next(0.0, other[i]).phrase_ended]
    assert len(ended) == 2 and 66 <= ended[0] <= 70 and 166 <= ended[1] <= 170


# --- what moves


def turned(poses: np.ndarray) -> np.ndarray:
    """(N, 3) degrees."""
    return np.degrees(Rotation.from_matrix(poses[:, :3, :3]).as_rotvec())


@pytest.mark.parametrize("seed", range(3))
def test_nothing_jumps_between_states(seed: int) -> None:
    n = 500
    rng = np.random.default_rng(seed)
    own, other = (np.repeat(rng.random(n // 20) > 0.6, 20).astype(float) for _ in range(2))
    avatar = person()
    moved = run(own, other, seed, avatar)
    walks = [MannerWalk(avatar.manner, avatar.rest_head, avatar.rest_torso, FPS, seed + k).take(n) for k in (0, 1)]
    nod = 4 * conversation.NOD_RAD[1] * (np.pi / (conversation.NOD_S[0] * FPS)) ** 2  # a sine's fourth power at its top
    for key, room in (("head_pose", nod), ("torso_pose", 0.0)):
        usual = max(np.abs(np.diff(walk[key][:, :3], 2, axis=0)).max() for walk in walks)
        assert np.abs(np.diff(moved[key][:, :3], 2, axis=0)).max() < 1.5 * usual + room + 3e-3
    assert np.abs(np.diff(moved["gaze"], 2, axis=0)).max() < 0.02
    assert np.isfinite(moved["expression"]).all()


def test_speaking_is_the_recorded_manner_as_it_was() -> None:
    avatar = person()
    moved = run(np.ones(200), np.zeros(200), seed=4, avatar=avatar)
    walk = MannerWalk(avatar.manner, avatar.rest_head, avatar.rest_torso, FPS, 4).take(200)
    np.testing.assert_allclose(moved["head_pose"][60:], walk["head_pose"][60:], atol=1e-6)
    np.testing.assert_allclose(moved["gaze"][60:], walk["gaze"][60:], atol=1e-6)


def test_idling_breathes_and_moves_less() -> None:
    idle, speaking = run(np.zeros(400), np.zeros(400)), run(np.ones(400), np.zeros(400))
    assert turned(idle["head_pose"]).std(0).sum() < 0.8 * turned(speaking["head_pose"]).std(0).sum()
    lift = idle["torso_pose"][:, 1, 3]
    spectrum = np.abs(np.fft.rfft(lift - lift.mean()))
    strongest = np.fft.rfftfreq(len(lift), 1 / FPS)[spectrum.argmax()]
    assert strongest == pytest.approx(conversation.BREATH_HZ, abs=0.06)
    assert np.ptp(lift) == pytest.approx(2 * conversation.BREATH_M, rel=0.1)


def test_a_listener_keeps_looking_at_the_camera() -> None:
    recorded = manner(500)
    recorded["gaze"] = np.random.default_rng(0).normal(0, 0.1, (500, 4)).astype(np.float32)
    moved = run(np.zeros(400), np.ones(400), avatar=person(gaze=recorded["gaze"]))
    off = np.stack([camera_direction(pose) for pose in moved["head_pose"]]) - moved["gaze"][:, :2]
    idle = run(np.zeros(400), np.zeros(400), avatar=person(gaze=recorded["gaze"]))
    away = np.stack([camera_direction(pose) for pose in idle["head_pose"]]) - idle["gaze"][:, :2]
    assert np.abs(off[50:]).mean() < 0.5 * np.abs(away[50:]).mean()


def test_the_camera_is_seen_where_it_is() -> None:
    pose = np.eye(4)
    pose[:3, 3] = (0.0, 0.0, 1.0)
    np.testing.assert_allclose(camera_direction(pose), 0)
    left = pose.copy()
    left[:3, :3] = Rotation.from_euler("y", -20, degrees=True).as_matrix()  # the face turns to the subject's left
    face = left[:3, :3] @ (0, 0, -1)
    assert face[0] > 0
    assert camera_direction(left)[0] == pytest.approx(-np.radians(20))
    low = pose.copy()
    low[1, 3] = 0.3  # below the camera, y is down
    assert camera_direction(low)[1] > 0


def test_the_end_of_a_phrase_gets_a_nod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "NOD_CHANCE", 1.0)
    other = voices((10, 100), n=160)
    with_nod = run(np.zeros(160), other)
    monkeypatch.setattr(conversation, "NOD_CHANCE", 0.0)
    without = run(np.zeros(160), other)
    extra = turned(with_nod["head_pose"])[:, 0] - turned(without["head_pose"])[:, 0]
    assert np.abs(extra[:104]).max() < 1e-9 and np.abs(extra[140:]).max() < 0.5
    low, high = np.degrees(conversation.NOD_RAD)
    assert 0.8 * low < extra.max() < 1.2 * high, "downwards"


def test_listeners_blink_less() -> None:
    def blinks(moved: dict) -> int:
        return int((np.diff((moved["expression"][:, 8] > 0.5).astype(int)) > 0).sum())

    n = 600
    often = manner(500)["expression"]
    often[:, 8] = often[:, 9] = np.clip(3 * np.sin(6.1 * np.arange(500) / FPS) - 2, 0, 1)
    listening, idle = (run(np.zeros(n), voice, avatar=person(expression=often)) for voice in (np.ones(n), np.zeros(n)))
    assert 0.25 * blinks(idle) < blinks(listening) < 0.75 * blinks(idle)


def test_the_same_seed_gives_the_same_and_nothing_loops() -> None:
    own, other = np.zeros(500), voices((0, 250), n=500)
    first, again, different = (run(own, other, seed)["head_pose"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - different).max() > 1e-3
    way = first[:, 0, 2]
    assert all((np.abs(way[k:] - way[:-k]) < 1e-6).mean() < 0.3 for k in range(50, 400, 7))


def test_listening_walks_through_silence_only_when_there_is_enough() -> None:
    voice = np.ones(500)
    assert silent_rows(manner(500), FPS) is None
    voice[100:180] = voice[300:400] = 0
    rows = silent_rows({"voice": voice}, FPS)
    assert rows is not None and set(np.flatnonzero(rows)) == {*range(100, 180), *range(300, 400)}
    voice[300:400] = 1
    assert silent_rows({"voice": voice}, FPS) is None
    avatar = person()
    walk = MannerWalk(avatar.manner, avatar.rest_head, avatar.rest_torso, FPS, 0, 1.0, rows)
    seen = []
    for _ in range(400):
        seen.append(walk._row)
        walk.take(1)
    assert rows[seen].all() and len(set(seen)) > 60
    steps = np.abs(np.diff(relative(walk.take(400)["head_pose"], avatar.rest_head), axis=0)).max()
    recorded = np.abs(np.diff(relative(avatar.manner["head_pose"], avatar.rest_head), axis=0)).max()
    assert steps < 2.5 * recorded


def test_a_smile_is_slight_and_only_what_was_recorded() -> None:
    np.testing.assert_allclose(smile_code(person()), (0, 0.12, 0), atol=1e-6)
    wide = person()
    wide.curves_to_mouth *= 100
    assert np.abs(smile_code(wide)).max() == pytest.approx(1)


def test_a_trained_avatar_knows_where_its_recording_had_a_voice(tiny_avatar_path) -> None:
    from splatalk import avatar as avatars

    voice = avatars.load(tiny_avatar_path).manner["voice"]
    assert len(voice) == len(avatars.load(tiny_avatar_path).manner["gaze"])
    assert voice.min() >= 0 and voice.max() > 0.9
