"""Any container, rate, size and rotation comes out upright, at 25 frames/s, with sound in sync."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk.capture.decode import Crop, probe, read_frames, sample_frames
from splatalk.capture.framing import choose_crop
from splatalk.capture.sound import read_sound
from splatalk.capture.tone import to_standard_range
from splatalk.errors import CaptureError
from tests.capture.clips import clock, steady, tone, write_clip


def levels(path: Path) -> np.ndarray:
    """Time that each output frame shows, read from the clock."""
    facts = probe(path)
    frames = list(read_frames(facts, Crop.whole(facts, 512)))
    middle = np.array([frame[20:40, 30:50].mean() for frame in frames])
    return (middle - 16) / 224 * 4.0


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0, 50.0, 60.0])
def test_every_rate_becomes_25(tmp_path: Path, fps: float) -> None:
    shown = levels(write_clip(tmp_path / "a.mp4", clock(), steady(2.0, fps)))
    assert len(shown) == 50
    assert np.abs(shown - np.arange(50) / 25).max() < 0.5 / fps + 0.03


def test_variable_rate_shows_the_nearest_frame(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.02, 0.09, 40))])
    shown = levels(write_clip(tmp_path / "a.mp4", clock(), times))
    wanted = [times[np.argmin(np.abs(times - i / 25))] for i in range(len(shown))]
    assert np.abs(shown - wanted).max() < 0.03


def test_start_leaves_out_exactly_the_first_frames(tmp_path: Path) -> None:
    facts = probe(write_clip(tmp_path / "a.mp4", clock(), steady(1.0, 30.0)))
    crop = Crop.whole(facts, 512)
    everything, later = list(read_frames(facts, crop)), list(read_frames(facts, crop, start=9))
    assert len(later) == len(everything) - 9
    assert all(np.array_equal(a, b) for a, b in zip(everything[9:], later))


@pytest.mark.parametrize(("a", "b", "corner"), [(0, 1, "right top"), (0, -1, "left bottom"), (-1, 0, "right bottom")])
def test_rotation_flag_is_obeyed(tmp_path: Path, a: int, b: int, corner: str) -> None:
    path = write_clip(tmp_path / "a.mp4", clock(), steady(0.4, 25.0))
    turn_file(path, a, b)
    facts = probe(path)
    assert (facts.width, facts.height) == ((64, 48) if a else (48, 64))
    frame = next(read_frames(facts, Crop.whole(facts, 512))).astype(int)
    red = frame[..., 0] - frame[..., 1] > 80
    row, column = np.argwhere(red).mean(axis=0)
    assert ("bottom" if row > frame.shape[0] / 2 else "top") == corner.split()[1]
    assert ("right" if column > frame.shape[1] / 2 else "left") == corner.split()[0]


def turn_file(path: Path, a: int, b: int) -> None:
    """Write the rotation (a b; -b a) into the track header of an MP4, as phones do."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes after the name
    values = (a, b, 0, -b, a, 0, 0, 0, 1)
    for k, value in enumerate(values):
        scaled = value * (1 << 30 if k % 3 == 2 else 1 << 16)
        data[at + 4 * k : at + 4 * k + 4] = int(scaled).to_bytes(4, "big", signed=True)
    path.write_bytes(bytes(data))


def test_colours_survive(tmp_path: Path) -> None:
    colour = np.array([200, 120, 60])
    path = write_clip(tmp_path / "a.mp4", lambda t: np.full((48, 64, 3), colour, np.uint8), steady(0.2, 25.0))
    facts = probe(path)
    assert np.abs(next(read_frames(facts, Crop.whole(facts, 512))).mean((0, 1)) - colour).max() < 4


@pytest.mark.parametrize(("rate", "stereo"), [(16000, False), (48000, True), (44100, False)])
def test_sound_is_in_sync(tmp_path: Path, rate: int, stereo: bool) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, clock(), steady(1.6, 30.0), sound=tone(1.6, rate), rate=rate, stereo=stereo)
    samples = read_sound(probe(path), 40 * 640)
    assert len(samples) == 40 * 640
    onset = np.flatnonzero(np.abs(samples) > 0.1)[0] / 16000
    assert abs(onset - 0.5) < 0.03
    assert abs(np.abs(samples[12000:20000]).max() - 0.5) < 0.1


def test_sound_that_starts_late_is_padded(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_clip(path, clock(), steady(2.0, 25.0), sound=tone(1.0), sound_delay=0.7, sound_codec="pcm_s16le")
    samples = read_sound(probe(path), 32000)
    assert abs(np.flatnonzero(np.abs(samples) > 0.1)[0] / 16000 - 1.2) < 0.03


def test_samples_cover_the_clip(tmp_path: Path) -> None:
    facts = probe(write_clip(tmp_path / "a.mp4", clock(), steady(3.0, 25.0)))
    times = [t for t, _ in sample_frames(facts, Crop.whole(facts, 512), 12)]
    assert len(times) >= 8
    assert max(times) > 2.0


def test_large_pictures_are_cropped_around_the_face(tmp_path: Path) -> None:
    facts = probe(write_clip(tmp_path / "a.mp4", clock(640, 360), steady(0.2, 25.0)))
    boxes = np.tile([400.0, 120.0, 450.0, 180.0], (5, 1))
    crop = choose_crop(boxes, facts, 128)
    assert crop.out_width == crop.out_height == 128
    assert 0 <= crop.x <= 400 - 25
    assert crop.x + crop.width >= 450 + 25
    assert crop.y + crop.height <= 360
    frame = next(read_frames(facts, crop))
    assert frame.shape == (128, 128, 3)


def test_high_dynamic_range_keeps_order_and_white() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for hlg in (True, False):
        mapped = to_standard_range(ramp, hybrid_log_gamma=hlg)[0, :, 0].astype(int)
        assert (np.diff(mapped) >= 0).all()
        assert 215 <= mapped[191 if hlg else 148] <= 255  # the code of diffuse white


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "sound only"])
def test_what_is_no_video_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("this is not a video\n" * 50)
    elif kind == "empty":
        path.touch()
    elif kind == "sound only":
        import wave

        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(8000))
    with pytest.raises(CaptureError) as caught:
        probe(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("fuzz") / "a.mp4"
    return write_clip(path, clock(), steady(0.6, 25.0), sound=tone(0.6)).read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.floats(0, 1),
    hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
)
def test_garbled_files_end_in_frames_or_a_capture_error(
    tmp_path: Path, whole: bytes, cut: float, hits: list[tuple[float, int]]
) -> None:
    data = bytearray(whole[: max(1, round(len(whole) * cut))])
    for place, value in hits:
        data[round(place * (len(data) - 1))] = value
    path = tmp_path / "garbled.mp4"
    path.write_bytes(bytes(data))
    try:
        facts = probe(path)
        if facts.width > 4096 or facts.height > 4096:
            return
        for k, frame in enumerate(read_frames(facts, Crop.whole(facts, 64))):
            assert frame.dtype == np.uint8
            if k > 40:
                break
        if facts.has_audio:
            assert np.isfinite(read_sound(facts, 1000)).all()
    except CaptureError:
        pass
