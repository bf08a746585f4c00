"""Any container, rate, size and rotation comes out upright, at 25 frames/s, with sound in sync."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
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


def flash_and_click(
    path: Path, fps: float, *, rate: int, stereo: bool = False, delay: float = 0.0
) -> tuple[float, float]:
    """When a flash of the picture and a click of the sound, both at 1.5 s of the recording, come out, in seconds."""

    def flash(t: float) -> np.ndarray:
        return np.full((48, 64, 3), 230 if 1.5 - 1e-6 <= t < 1.7 else 20, np.uint8)

    sound = np.zeros(round((3.0 - delay) * rate), np.float32)
    sound[round((1.5 - delay) * rate) :][: rate // 20] = 0.8
    write_clip(path, flash, steady(3.0, fps), sound=sound, rate=rate, stereo=stereo, sound_delay=delay)
    facts = probe(path)
    frames = [frame.mean() for frame in read_frames(facts, Crop.whole(facts, 512))]
    samples = read_sound(facts, len(frames) * 640)
    return int(np.argmax(np.array(frames) > 120)) / 25, int(np.argmax(np.abs(samples) > 0.3)) / 16000


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 30.0, 50.0, 60.0])
def test_flash_and_click_stay_together(tmp_path: Path, fps: float) -> None:
    flash, click = flash_and_click(tmp_path / "a.mp4", fps, rate=48000, stereo=True)
    assert abs(click - 1.5) < 0.002
    assert abs(flash - click) <= 0.5 / 25 + 0.5 / fps  # frames start at either's own steps


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_late_sound_stays_with_the_picture(tmp_path: Path, suffix: str) -> None:
    flash, click = flash_and_click(tmp_path / f"a.{suffix}", 30.0, rate=44100, delay=0.8)
    assert abs(click - 1.5) < 0.002 and abs(flash - click) <= 0.5 / 25 + 0.5 / 30


def test_a_phone_in_portrait_with_another_rate_and_size(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", clock(640, 360), steady(0.5, 30.0), sound=tone(0.5, 48000), rate=48000)
    turn_file(path, 0, 1)
    facts = probe(path)
    assert (facts.width, facts.height) == (360, 640)
    crop = choose_crop(np.tile([120.0, 200.0, 230.0, 330.0], (5, 1)), facts, 512)
    assert crop.out_width == crop.out_height and crop.x + crop.width <= 360 and crop.y + crop.height <= 640
    assert crop.y < 200 - 40 and crop.y + crop.height > 330 + 60  # hair above, shoulders below
    assert next(read_frames(facts, crop)).shape == (crop.out_height, crop.out_width, 3)


def test_sides_come_out_even(tmp_path: Path) -> None:
    facts = probe(write_clip(tmp_path / "a.mp4", clock(62, 46), steady(0.2, 25.0)))
    odd = dataclasses.replace(facts, width=61, height=45, stored_width=61, stored_height=45)
    crop = Crop.whole(odd, 512)
    assert (crop.out_width, crop.out_height, crop.scale) == (60, 44, 1.0)
    assert Crop.whole(odd, 33).out_width % 2 == 0


@pytest.mark.parametrize(("transfer", "code"), [("arib-std-b67", 0.75), ("smpte2084", 0.58)])
def test_high_dynamic_range_files_come_out_in_their_colours(tmp_path: Path, transfer: str, code: float) -> None:
    """Ten bits, BT.2020: a neutral ramp up to diffuse white stays neutral and reaches nearly white."""
    if "libx265" not in av.codecs_available:
        pytest.skip("PyAV was built without x265")
    path = tmp_path / "a.mp4"
    ramp = np.linspace(0, code, 128)
    luma = np.repeat(np.round(64 + 876 * ramp)[None], 96, axis=0).astype("<u2")
    with av.open(str(path), "w") as container:
        options = {
            "x265-params": f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited"
        }
        stream = container.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p10le"
        for k in range(6):
            frame = av.VideoFrame(128, 96, "yuv420p10le")
            for plane, values in zip(frame.planes, (luma, np.full((48, 64), 512), np.full((48, 64), 512))):
                rows = np.zeros((values.shape[0], plane.line_size // 2), "<u2")
                rows[:, : values.shape[1]] = values
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    facts = probe(path)
    assert facts.high_dynamic_range
    shown = next(read_frames(facts, Crop.whole(facts, 512))).astype(int)[48]
    assert np.abs(np.diff(shown, axis=1)).max() <= 4
    assert shown[0].max() < 12 and 215 <= shown[-4].min() <= 255
    assert (np.diff(shown[:, 1]) >= -3).all() and len(np.unique(shown[:, 1])) > 90  # no steps of 8 bits
