from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError, UserError
from splatalk.export.camera_path import Keyframe, along, cameras, check, orbit_keyframes, read_keyframes
from splatalk.render import Camera

FILE_FUZZ = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
HEAD = np.array([0.02, -0.05, 0.7])
SOMEBODY = SimpleNamespace(camera=Camera(100, 100, 250.0, 250.0, 50.0, 50.0), head_centre=HEAD, fps=25.0)


def place(camera: Camera) -> np.ndarray:
    """(3,) the camera in the world."""
    pose = camera.world_to_camera
    return -pose[:3, :3].T @ pose[:3, 3]


def shown_at(camera: Camera) -> np.ndarray:
    """(2,) where the head's centre is in the picture."""
    x, y, z = camera.world_to_camera[:3, :3] @ HEAD + camera.world_to_camera[:3, 3]
    return np.array([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy])


def test_the_head_stays_where_it_is_in_the_picture():
    keyframes = [Keyframe(0.0), Keyframe(1.0, 40.0, -10.0, 0.5), Keyframe(2.0, -60.0, 20.0, 3.0)]
    for camera in along(SOMEBODY, keyframes, 51, 25.0):
        np.testing.assert_allclose(shown_at(camera), shown_at(SOMEBODY.camera), atol=1e-6)


def test_keyframes_are_met_and_nothing_overshoots_or_jumps():
    keyframes = [
        Keyframe(0.0),
        Keyframe(1.0, 30.0, 5.0, 0.5),
        Keyframe(2.0, 30.0, 5.0, 0.5),
        Keyframe(3.0, 10.0, 0.0, 2.0),
    ]
    path = along(SOMEBODY, keyframes, 101, 25.0)
    away = np.array([np.linalg.norm(place(c) - HEAD) for c in path]) / np.linalg.norm(HEAD)
    np.testing.assert_allclose(away[[0, 25, 50, 75, 100]], [1.0, 0.5, 0.5, 2.0, 2.0], atol=1e-6)
    assert away.min() > 0.5 - 1e-9 and away.max() < 2.0 + 1e-9
    speed = np.linalg.norm(np.diff([place(c) for c in path], axis=0), axis=1)
    assert speed[24] < 0.1 * speed[:25].max() and speed[50] < 0.1 * speed[50:75].max(), "slow into a halt and out of it"
    np.testing.assert_array_equal(path[-1].world_to_camera, path[76].world_to_camera)


def test_front_and_orbit():
    front = cameras(SOMEBODY, "front", 5, yaw=20.0)
    assert len(front) == 5 and place(front[0])[0] > 0.1
    assert all(np.array_equal(c.world_to_camera, front[0].world_to_camera) for c in front)
    orbit = cameras(SOMEBODY, "orbit", 150)
    sideways = [place(c)[0] - HEAD[0] for c in orbit]
    np.testing.assert_allclose(max(sideways), np.linalg.norm(HEAD) * np.sin(np.radians(35)), rtol=0.06)
    assert min(sideways) < -0.3 and abs(place(orbit[0])).max() < 1e-9
    assert max(k.yaw for k in orbit_keyframes(60.0, swing=10.0)) == pytest.approx(10.0)


def test_a_file_of_keyframes(tmp_path):
    path = tmp_path / "path.json"
    path.write_text(json.dumps({"keyframes": [{"time": 0}, {"time": 2, "yaw": 25, "pitch": -5, "distance": 0.8}]}))
    assert read_keyframes(path) == [Keyframe(0.0), Keyframe(2.0, 25.0, -5.0, 0.8)]
    path.write_text('[{"time": 1.5, "yaw": 3}]')
    assert read_keyframes(path) == [Keyframe(1.5, 3.0)]
    assert len(cameras(SOMEBODY, str(path), 7)) == 7


@pytest.mark.parametrize(
    "text",
    ["", "[", "null", "{}", "[]", "[1]", '[{"yaw": 1}]', '[{"time": 0, "roll": 1}]', '[{"time": true}]',
     '[{"time": "0"}]', '[{"time": NaN}]',
     '[{"time": 0, "pitch": 90}]', '[{"time": 0, "distance": 0}]', '[{"time": 1}, {"time": 1}]',
     '[{"time": 1e400}]', "[" * 100_000, '[{"time": ' + "9" * 5000 + "}]"],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_no_camera_path_is_told(tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(FormatError, match=r"p\.json"):
        read_keyframes(tmp_path / "p.json")


@FILE_FUZZ
@given(data=st.binary(max_size=200) | st.text('[]{}:,"timeyawpitchdsnc0123456789.-+ ').map(str.encode))
def test_any_bytes_are_read_or_told(tmp_path, data):
    (tmp_path / "p.json").write_bytes(data)
    try:
        assert read_keyframes(tmp_path / "p.json")
    except FormatError as error:
        assert error.hint


def test_a_missing_file_is_told_early(tmp_path):
    check("front")
    check("orbit")
    with pytest.raises(UserError, match="no camera file"):
        check(str(tmp_path / "none.json"))
