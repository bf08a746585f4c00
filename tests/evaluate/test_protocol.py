"""The measurement finds what is known to be wrong with a fake avatar: noise, delay, a mouth that moves in silence."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from splatalk.errors import UserError
from splatalk.evaluate import leakage, motion, protocol
from splatalk.evaluate.mouth import Lips
from splatalk.evaluate.phonemes import Closures
from splatalk.evaluate.report import Report
from splatalk.evaluate.tracking import LIPS, Faces
from splatalk.render.camera import Camera

N, SIZE, FIRST = 60, 64, 40
CLOSURES = np.array([[1.74, 1.78], [2.05, 2.10]])
"""Seconds: frames 43 to 45, where the fake mouth is wide open, and 51 to 53, where it is closed."""


def opening(i: int) -> int:
    """How far the fake mouth is open in frame i, pixels."""
    return round(8 + 4 * np.sin(i / 2.2) + 2 * np.sin(i * 1.3))


def picture(i: int) -> np.ndarray:
    """A flat face whose top left pixel tells the mouth's opening."""
    image = np.full((SIZE, SIZE, 3), 100, np.uint8)
    image[16:48, 16:48] = 160
    image[0, 0] = opening(i) * 10
    return image


class FakeCapture:
    path, fps, n_frames = Path("fake.capture"), 25.0, N
    camera = Camera(SIZE, SIZE, 100, 100, 32, 32)
    audio = np.ones(N * 640, np.float32)

    @functools.cached_property
    def tracks(self) -> types.SimpleNamespace:
        faces = track(self.frame(i) for i in range(N))
        return types.SimpleNamespace(
            face_box=np.tile((12.0, 12, 52, 52), (N, 1)), valid=np.ones(N, bool), landmarks=faces.landmarks,
            blendshapes=faces.blendshapes, landmarks_head=faces.landmarks / 1e4,
        )  # fmt: skip

    def frame(self, i: int) -> np.ndarray:
        return picture(int(i))

    def matte(self, i: int) -> np.ndarray:
        return (picture(int(i))[..., 0] == 160).astype(np.float32)

    def train_frames(self) -> np.ndarray:
        return np.arange(FIRST)

    def test_frames(self) -> np.ndarray:
        return np.arange(FIRST, N)


class FakeAvatar:
    meta = types.MappingProxyType({"name": "Fake", "speech": "mel"})
    camera, n_gaussians, audio_encoder, fps = FakeCapture.camera, 7, object(), 25.0
    forgotten = False

    def forget_features(self) -> None:
        self.forgotten = True


@dataclasses.dataclass
class FakePerformance:
    frames: Sequence[int]
    draw: str = "draw"
    audio: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(10, np.float32))
    fps: float = 25.0
    speech: object = None

    def __post_init__(self) -> None:
        self.draw = "other_voice" if self.speech == "other voice" else self.draw

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


class OtherVoice:
    """Features of the other voice."""

    def __getitem__(self, frames: np.ndarray) -> str:
        return "other voice"


def track(images: Iterable[np.ndarray], step: Callable[[], object] | None = None) -> Faces:
    """Reads the opening from the picture; a face of 100 pixels' height."""
    points, shapes = [], []
    for image in images:
        gap = float(image[0, 0, 0]) / 10
        face = np.zeros((478, 2))
        face[motion.FOREHEAD_TOP], face[motion.LEFT_EYE_OUTER] = (0, 100), (50, 0)
        for upper, lower in ((81, 178), (82, 87), (13, 14), (312, 317), (311, 402)):
            face[upper], face[lower] = (upper, 10), (upper, 10 + gap)
        points.append(face)
        shapes.append(np.full(52, gap / 100))
        if step is not None:
            step()
    return Faces(np.array(points), np.array(shapes))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[int], np.ndarray]]:
    """Replaces drive and the tracker; ``draw`` is what the fake avatar shows in a frame, ``silence`` in silence."""
    draws: dict[str, Callable[[int], np.ndarray]] = {
        "draw": picture, "silence": lambda i: picture(0), "noise": lambda i: picture(0), "other_voice": picture,
    }  # fmt: skip

    def play(avatar: object, performance: FakePerformance, backend: str) -> Iterator[np.ndarray]:
        return (draws[performance.draw](i) for i in performance)

    def resting(avatar: object, samples: np.ndarray, seed: int, head: str) -> FakePerformance:
        return FakePerformance(range(50), "noise" if samples.any() else "silence")

    for module in (protocol, leakage):
        monkeypatch.setattr(module, "play", play)
        monkeypatch.setattr(module, "track_faces", track)
    monkeypatch.setattr(protocol, "from_capture", lambda avatar, capture, frames, mouth: FakePerformance(frames))
    monkeypatch.setattr(leakage, "from_audio", resting)
    monkeypatch.setattr(leakage, "predicted_lips", lambda avatar, samples, n: Lips(np.zeros(n), np.ones(n)))
    monkeypatch.setattr(protocol, "another_voice", lambda samples: samples)
    monkeypatch.setattr(protocol, "speech_windows", lambda *_: OtherVoice())
    monkeypatch.setattr(protocol, "closures_of", lambda path, samples: Closures(CLOSURES, "times made up"))
    monkeypatch.setattr(protocol, "machine_facts", lambda n, backend: {"Gaussians": str(n)})
    return draws


def measure(**options: object) -> Report:
    return protocol.evaluate(FakeAvatar(), FakeCapture(), perceptual=False, fit=False, **options)  # type: ignore[arg-type]


def test_a_perfect_avatar(world: dict) -> None:
    report = measure()
    assert report.frames == list(range(FIRST, N)) and report.mouth == "audio" and len(report.notes) == 1
    assert report.avatar["psnr_full"] is None  # infinite
    assert report.avatar["ssim_full"] == pytest.approx(1)
    assert report.avatar["lmd_px"] == 0 and abs(report.avatar["opening_lag_ms"]) < 4
    assert report.avatar["opening_correlation"] == pytest.approx(1)
    assert report.avatar["silence_moving"] == report.avatar["noise_moving"] == 0 and report.avatar["face_found"] == 100
    assert report.recording["opening_correlation"] > 0.95 and "psnr_full" not in report.recording


def test_a_known_error_inside_the_person_only(world: dict) -> None:
    world["draw"] = lambda i: np.where(picture(i) == 160, 170, picture(i)).astype(np.uint8)
    report = measure()
    person = 20 * np.log10(255 / 10)
    assert report.avatar["psnr_person"] == pytest.approx(person, abs=1e-3)
    assert report.avatar["psnr_full"] == pytest.approx(person + 10 * np.log10(4), abs=1e-3)
    assert len(report.curves["psnr_full"]) == N - FIRST


def test_a_late_mouth_is_told(world: dict) -> None:
    world["draw"] = lambda i: picture(i - 2)
    report = measure()
    assert report.avatar["opening_lag_ms"] == pytest.approx(80, abs=4)
    assert report.avatar["opening_best"] == pytest.approx(1, abs=0.01)
    assert report.avatar["opening_correlation"] < 0.9 and report.avatar["lmd_px"] > 0


def test_a_mouth_that_moves_in_silence_is_told(world: dict) -> None:
    world["silence"] = lambda i: picture(i)
    assert measure().avatar["silence_moving"] > 50


def test_a_mouth_that_moves_in_noise_is_told(world: dict) -> None:
    world["noise"] = lambda i: picture(i)
    moving = measure().avatar
    assert moving["noise_moving"] > 50 and moving["silence_moving"] == 0


def test_another_voice_is_told(world: dict) -> None:
    world["other_voice"] = lambda i: picture(i + 5)
    report = measure()
    assert report.avatar["other_voice_correlation"] < 0.5
    assert report.avatar["other_voice_loss"] == pytest.approx(1 - report.avatar["other_voice_correlation"])
    assert len(report.curves["opening_other_voice"]) == N - FIRST
    assert "other_voice_loss" not in measure(voices=False).avatar


def test_lips_that_close_are_counted(world: dict) -> None:
    report = measure()
    assert report.avatar["closed_pbm"] == report.recording["closed_pbm"] == 50
    world["draw"] = lambda i: picture(0)
    assert measure().avatar["closed_pbm"] == 0


def test_a_mouth_driven_by_curves_is_not_asked_about_silence(world: dict) -> None:
    assert "silence_moving" not in measure(mouth="expression").avatar


def test_an_avatar_without_sound_is_driven_by_the_tracked_mouth(world: dict) -> None:
    avatar = FakeAvatar()
    avatar.audio_encoder = None  # type: ignore[assignment]
    report = protocol.evaluate(avatar, FakeCapture(), perceptual=False, fit=False)  # type: ignore[arg-type]
    assert report.mouth == "expression" and "silence_moving" not in report.avatar
    assert avatar.forgotten


def test_training_frames_and_gaps_are_told(world: dict) -> None:
    notes = " ".join(measure(frames=np.array([5, 6, 9, 10])).notes)
    assert "4 of these frames belong to the training part" in notes and "2 frames in the range are left out" in notes


@pytest.mark.parametrize("frames", [np.array([], int), np.array([3, 3, 4]), np.array([-1, 0]), np.array([N])])
def test_bad_frames_are_told(world: dict, frames: np.ndarray) -> None:
    with pytest.raises(UserError):
        measure(frames=frames)


def test_another_size_is_told(world: dict) -> None:
    avatar = FakeAvatar()
    avatar.camera = avatar.camera.resized(32, 32)
    with pytest.raises(UserError, match="32×32"):
        protocol.evaluate(avatar, FakeCapture(), perceptual=False, fit=False)  # type: ignore[arg-type]


def test_output(world: dict, tmp_path: Path) -> None:
    report = measure(out=tmp_path / "out")
    assert Report.from_json((tmp_path / "out" / "report.json").read_text()) == report
    assert len(list((tmp_path / "out" / "frames").glob("*.jpg"))) == 8  # seven frames and the mouths
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        measure(out=tmp_path / "file")


def test_faces_never_found_give_no_figures(world: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def blind(images: Iterable[np.ndarray], step: object = None) -> Faces:
        n = sum(1 for _ in images)
        return Faces(np.full((n, 478, 2), np.nan), np.full((n, 52), np.nan))

    for module in (protocol, leakage):
        monkeypatch.setattr(module, "track_faces", blind)
    report = measure(out=tmp_path / "out")
    assert report.avatar["face_found"] == 0 and report.avatar["lmd_px"] is None
    assert report.avatar["opening_correlation"] is None and report.avatar["silence_moving"] is None


def test_speed_is_of_the_steady_frames() -> None:
    figures = protocol.speed_figures([1.0, 0.02, 0.02, 0.02, 0.06])
    assert figures["first_frame_ms"] == 1000 and figures["frame_ms_p50"] == pytest.approx(20)
    assert figures["fps"] == pytest.approx(1 / 0.03) and figures["frame_ms_p99"] > 55
    assert protocol.speed_figures([0.5])["fps"] == 2


def test_forty_lip_landmarks() -> None:
    assert len(set(LIPS)) == 40


def test_wobble_of_drawn_frames_stands_beside_that_of_the_recording_as_it_is() -> None:
    still = track([picture(i) for i in range(12)])
    shaken, noisy = (Faces(still.landmarks.copy(), still.blendshapes) for _ in range(2))
    shaken.landmarks[1::2, :, 0] += 1.0  # a pixel of 256 is two of 512; the second difference doubles it again
    noisy.landmarks[1::2, :, 0] += 5.0
    faces = {"avatar": shaken, "recording": still, "noise": noisy}
    own, recording = protocol.motion_figures(faces, np.arange(12), 256, 25.0)
    assert own["wobble"] == pytest.approx(4.0) and recording["wobble"] == pytest.approx(0.0, abs=1e-9)
