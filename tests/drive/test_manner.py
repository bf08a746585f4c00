"""Head motion taken from a recording neither jumps nor visibly loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from splatalk.drive.manner import MannerWalk

FPS = 25.0


def manner(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A smooth made-up recording: the head sways, the eyes blink now and then."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / FPS
    angles = np.stack([0.1 * np.sin(t * rng.uniform(0.5, 2.0) + k) for k in range(3)], 1)
    head = np.tile(np.eye(4), (n, 1, 1))
    head[:, :3, :3] = Rotation.from_rotvec(angles).as_matrix()
    head[:, 2, 3] = 0.6 + 0.01 * np.sin(t)
    torso = np.tile(np.eye(4), (n, 1, 1))
    torso[:, 2, 3] = 0.6
    expression = np.zeros((n, 52), np.float32)
    expression[:, 8] = expression[:, 9] = np.clip(3 * np.sin(1.7 * t) - 2, 0, 1)
    return {"head_pose": head, "torso_pose": torso, "expression": expression, "gaze": np.zeros((n, 4), np.float32)}


def walk(n_recorded: int, seed: int = 0, amplitude: float = 1.0) -> MannerWalk:
    rest = np.eye(4)
    rest[2, 3] = 0.6
    return MannerWalk(manner(n_recorded), rest, rest, FPS, seed, amplitude)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(0, 99))
def test_motion_is_as_smooth_as_recorded(recorded, seed):
    steps = np.linalg.norm(np.diff(walk(recorded, seed).take(300)["head_pose"][:, :3], axis=0), axis=(1, 2))
    original = np.linalg.norm(np.diff(manner(recorded)["head_pose"][:, :3], axis=0), axis=(1, 2))
    assert steps.max(initial=0.0) <= 2.5 * original.max(initial=0.0) + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_no_piece_begins_with_a_stop(seed):
    moved = np.diff(walk(500, seed).take(1500)["head_pose"][:, :3].reshape(1500, -1), axis=0)
    fastest, jerk = np.abs(moved).max(0), np.abs(np.diff(moved, axis=0)).max(0)
    assert (jerk <= 0.4 * fastest + 1e-9).all()


def test_it_does_not_loop():
    turned = walk(500).take(3000)["head_pose"][:, 0, 2]
    for period in range(100, 1500):
        alike = np.abs(turned[period:] - turned[:-period]) < 1e-6
        assert alike.mean() < 0.5, f"repeats every {period} frames"


def test_the_seed_chooses_the_walk_and_repeats_it():
    first = walk(500, 1).take(100)["head_pose"]
    np.testing.assert_array_equal(first, walk(500, 1).take(100)["head_pose"])
    assert np.abs(first - walk(500, 2).take(100)["head_pose"]).max() > 1e-3


def test_taking_in_pieces_is_the_same_walk():
    whole, pieces = walk(300, 3), walk(300, 3)
    parts = [pieces.take(k)["head_pose"] for k in (1, 30, 169)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.take(200)["head_pose"])


@pytest.mark.parametrize("amplitude", [0.0, 0.5, 1.5])
def test_amplitude_scales_the_head_and_not_the_blinks(amplitude):
    usual, other = walk(300, 5).take(200), walk(300, 5, amplitude).take(200)

    def angles(poses):
        return Rotation.from_matrix(poses["head_pose"][:, :3, :3]).as_rotvec()

    np.testing.assert_allclose(angles(other), amplitude * angles(usual), atol=1e-9)
    np.testing.assert_array_equal(other["expression"][:, 8], usual["expression"][:, 8])
