from __future__ import annotations

import resource
import subprocess
import sys
import textwrap

import av
import numpy as np
import pytest

from splatalk.errors import FormatError, UserError
from splatalk.export.sound import Sound, read_sound
from splatalk.export.video import write_video

COLOURS = [(255, 0, 0), (0, 200, 30), (40, 60, 250), (128, 128, 128)]


def bars(n: int, height: int = 64, width: int = 128):
    frame = np.zeros((height, width, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        frame[:, i * width // 4 : (i + 1) * width // 4] = colour
    for _ in range(n):
        yield frame


def clicks(seconds: float, rate: int = 16000) -> np.ndarray:
    samples = np.zeros(round(seconds * rate), np.float32)
    for at in np.arange(0.5, seconds - 0.2, 1.0):
        samples[int(at * rate) : int(at * rate) + 80] = 0.8 * np.sin(np.arange(80) / 3)
    return samples


def test_colours_survive_and_are_tagged(tmp_path):
    write_video(tmp_path / "a.mp4", bars(5), 25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        assert tags == (1, 1, 1, 1), "BT.709 three times, limited range"
        assert context.pix_fmt == "yuv420p" and context.name == "h264"
        frame = next(container.decode(video=0))
        luma = frame.to_ndarray()[:64, :128]
        assert luma[30, 10] == pytest.approx(63, abs=2), "pure red in BT.709 limited range"
        back = frame.to_ndarray(format="rgb24")
    for i, colour in enumerate(COLOURS):
        np.testing.assert_allclose(back[30, 16 + 32 * i], colour, atol=4)


def test_length_rate_and_sound_in_step(tmp_path):
    samples = clicks(3.0)
    assert write_video(tmp_path / "a.mp4", bars(75), 25, Sound.mono(samples)) == 75
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate == 25 and video.frames == 75
        assert [float(f.pts * f.time_base) for f in container.decode(video)] == [i / 25 for i in range(75)]
        assert sound.codec_context.name == "aac"
    heard = read_sound(tmp_path / "a.mp4").samples[0]
    for at in (0.5, 1.5):
        start = int(at * 16000)
        lag = np.correlate(heard[start - 400 : start + 480], samples[start : start + 80], "valid").argmax() - 400
        assert abs(lag) <= 8, "half a millisecond"


def test_sound_longer_than_the_picture_is_cut(tmp_path):
    write_video(tmp_path / "a.mp4", bars(25), 25, Sound.mono(clicks(5.0)))
    assert read_sound(tmp_path / "a.mp4").seconds == pytest.approx(1.0, abs=0.13)


def test_stereo_and_odd_size(tmp_path):
    stereo = Sound(np.stack([clicks(1.0, 44100), -clicks(1.0, 44100)]), 44100)
    write_video(tmp_path / "a.mov", bars(25, 63, 101), 25, stereo)
    assert read_sound(tmp_path / "a.mov").samples.shape[0] == 2
    with av.open(str(tmp_path / "a.mov")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (102, 64)


def test_nothing_is_left_when_the_frames_fail(tmp_path):
    def failing():
        yield from bars(3)
        raise KeyboardInterrupt

    (tmp_path / "a.mp4").write_text("the old film")
    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", failing(), 25)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "the old film"


def test_no_frames_wrong_suffix_changing_size(tmp_path):
    with pytest.raises(UserError, match="no frame"):
        write_video(tmp_path / "a.mp4", iter(()), 25)
    with pytest.raises(UserError, match="suffix"):
        write_video(tmp_path / "a.xyz", bars(1), 25)
    with pytest.raises(ValueError, match="frame 1"):
        write_video(tmp_path / "a.mp4", [np.zeros((4, 4, 3), np.uint8), np.zeros((6, 4, 3), np.uint8)], 25)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_no_more_is_one_sentence(tmp_path):
    script = f"""
        import resource, signal, numpy as np
        from pathlib import Path
        from splatalk.errors import UserError
        from splatalk.export.video import write_video
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, {resource.RLIM_INFINITY}))
        noise = np.random.default_rng(0).integers(0, 255, (60, 128, 128, 3), np.uint8)
        try:
            write_video(Path({str(tmp_path / "a.mp4")!r}), noise, 25)
        except UserError as error:
            print(error.message)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert "Cannot write" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not sound at all", b"RIFF\x24\x00\x00\x00WAVEfmt "])
def test_what_is_not_sound_is_told(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.wav"):
        read_sound(tmp_path / "a.wav")


def test_a_film_without_sound_is_told(tmp_path):
    write_video(tmp_path / "a.mp4", bars(3), 25)
    with pytest.raises(FormatError, match="no sound track"):
        read_sound(tmp_path / "a.mp4")


def discs(n: int, size: int = 64):
    """A red disc, half transparent on its left, on nothing."""
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    frame = np.zeros((size, size, 4), np.uint8)
    frame[..., :3] = (220, 40, 30)
    frame[..., 3] = np.where(x**2 + y**2 < (size / 3) ** 2, np.where(x < 0, 128, 255), 0)
    for _ in range(n):
        yield frame


def frames_of_webm(path) -> list[np.ndarray]:
    """(H, W, 4) each; only libvpx's own decoder reads the alpha."""
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
        return [f.to_ndarray(format="rgba") for p in packets for f in decoder.decode(p if p.size else None)]


def test_webm_has_alpha_colours_and_sound(tmp_path):
    write_video(tmp_path / "a.webm", discs(10), 25, Sound.mono(clicks(1.0, 44100), 44100), {"consent": "Said yes."})
    with av.open(str(tmp_path / "a.webm")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, sound.codec_context.name) == ("vp9", "opus")
        assert video.metadata["ALPHA_MODE" if "ALPHA_MODE" in video.metadata else "alpha_mode"] == "1"
        assert "Said yes." in str(container.metadata)
    frames = frames_of_webm(tmp_path / "a.webm")
    assert len(frames) == 10 and frames[0].shape == (64, 64, 4)
    for frame in (frames[0], frames[9]):
        assert frame[2, 2, 3] <= 2 and abs(int(frame[32, 20, 3]) - 128) <= 4 and frame[32, 44, 3] >= 252
        np.testing.assert_allclose(frame[32, 44, :3], (220, 40, 30), atol=6)


def test_webm_without_alpha_and_sound_in_step(tmp_path):
    samples = clicks(2.0, 48000)
    assert write_video(tmp_path / "a.webm", bars(50), 25, Sound.mono(samples, 48000)) == 50
    with av.open(str(tmp_path / "a.webm")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        back = next(container.decode(video=0)).to_ndarray(format="rgb24")
    for i, colour in enumerate(COLOURS):
        np.testing.assert_allclose(back[30, 16 + 32 * i], colour, atol=6)
    heard = read_sound(tmp_path / "a.webm").samples[0]
    lag = np.correlate(heard[24000 - 1200 : 24000 + 1440], samples[24000:24240], "valid").argmax() - 1200
    assert abs(lag) <= 48, "a millisecond"


def test_frames_with_alpha_are_not_flattened_silently(tmp_path):
    with pytest.raises(ValueError, match="alpha"):
        write_video(tmp_path / "a.mp4", discs(1), 25)
    assert list(tmp_path.iterdir()) == []
