"""Speech that the avatar never heard, against the truth of how the person says it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from splatalk import progress
from splatalk.avatar.model import Avatar
from splatalk.avatar.mouth_basis import mouth_opening_and_width
from splatalk.capture.dataset import Capture
from splatalk.drive.from_audio import from_audio
from splatalk.drive.play import play
from splatalk.errors import UserError
from splatalk.evaluate import motion, mouth, same_text
from splatalk.evaluate.leakage import predicted_lips
from splatalk.evaluate.mouth import Lips, Range
from splatalk.evaluate.phonemes import Closures, closures_of, read_phonemes
from splatalk.evaluate.report import Spoken, plain, plain_list
from splatalk.evaluate.tracking import LIPS, Faces, track_faces
from splatalk.evaluate.truth import Truth, read_truth
from splatalk.evaluate.voices import another_voice
from splatalk.speech import read_audio

LONGEST_S = 120.0


@dataclasses.dataclass(frozen=True)
class Drive:
    """What is to be spoken.

    Args:
        sound: any file with sound in it.
        truth: film or ``.npz``; None takes ``sound``, which then is a film.
        phonemes: times of phonemes; None finds the closures in the sound.
        text: what is said, for synthetic voices to say it too.
        language: of the text, as eSpeak NG calls it.
    """

    sound: Path
    truth: Path | None = None
    phonemes: Path | None = None
    text: str | None = None
    language: str = "en-us"


@dataclasses.dataclass(frozen=True)
class Usual:
    """How far this person's lips go in the recording that the avatar was made from.

    Args:
        tracked, tracked_width: opening and width as ``tracking.Faces`` counts them.
        metres: opening in the head frame, metres.
    """

    tracked: Range
    tracked_width: Range
    metres: Range

    @classmethod
    def of(cls, capture: Capture) -> Usual:
        valid = capture.tracks.valid
        faces = Faces(capture.tracks.landmarks[valid], capture.tracks.blendshapes[valid])
        head = mouth_opening_and_width(capture.tracks.landmarks_head[valid])
        return cls(Range.of(faces.opening()), Range.of(faces.width()), Range.of(head[:, 0]))


def measure(avatar: Avatar, drive: Drive, usual: Usual, backend: str = "auto", draw: bool = True) -> Spoken:
    """Let the avatar say it, with its head still, and compare.

    Args:
        draw: whether frames are drawn and tracked; else only what the encoder asks for is compared.

    Raises:
        UserError: the avatar cannot hear, or sound or truth cannot be used.
    """
    if avatar.audio_encoder is None:
        raise UserError("This avatar cannot be driven by sound.", "Enrol it again from a recording with speech.")
    samples = read_audio(drive.sound, LONGEST_S)
    truth = read_truth(drive.truth or drive.sound, avatar.fps)
    performance = from_audio(avatar, samples, seed=0, head="still")
    n = min(len(performance), len(truth.lips.opening))
    truth = dataclasses.replace(truth, lips=truth.lips.first(n))
    closures = closures_of(drive.phonemes, samples)
    frames = np.arange(n)
    case = _Case(frames, avatar.fps, truth, closures, usual)
    other = another_voice(samples)

    own = _predicted(case, predicted_lips(avatar, samples, n), predicted_lips(avatar, other, n))
    if drive.text is not None:
        own |= _synthetic(avatar, drive, samples, case)
        own["synthetic_voice_loss"] = own["opening_predicted"] - own["synthetic_voice_predicted"]
    curves = {"opening_recording": truth.lips.opening, "width_recording": truth.lips.width}
    if truth.faces is None:
        curves = {"opening_recording": _onto(truth.lips.opening, usual.tracked),
                  "width_recording": _onto(truth.lips.width, usual.tracked_width)}  # fmt: skip
    if draw:
        spoken = from_audio(avatar, other, seed=0, head="still")
        with progress.bar(f"Speaking {drive.sound.name}", 2 * n) as step:
            faces, others = (
                track_faces(play(avatar, p.select(frames), backend=backend), step) for p in (performance, spoken)
            )
        own |= _drawn(case, faces, Lips.of(others))
        for key, lips in (("avatar", Lips.of(faces)), ("other_voice", Lips.of(others))):
            curves |= {f"opening_{key}": lips.opening, f"width_{key}": lips.width}
    return Spoken(
        name=drive.sound.name,
        truth=truth.name,
        closures=f"{len(closures.times)} {closures.source}",
        fps=avatar.fps,
        avatar={key: plain(value) for key, value in own.items()},
        recording={key: plain(value) for key, value in _recorded(case).items()},
        curves={key: plain_list(curve) for key, curve in curves.items()},
        closed=[[round(float(t), 4) for t in times] for times in closures.times],
    )


def _synthetic(avatar: Avatar, drive: Drive, samples: np.ndarray, case: _Case) -> dict[str, float]:
    """The worst of the synthetic voices that say the text."""
    assert drive.text is not None
    marks = read_phonemes(drive.phonemes) if drive.phonemes is not None else None
    found = []
    for variant in same_text.VOICES:
        voice = f"{drive.language}+{variant}"
        lips = same_text.synthetic_lips(avatar, samples, drive.text, voice, len(case.frames), marks)
        found.append(motion.correlation(lips.opening, case.truth.lips.opening))
    return {"synthetic_voice_predicted": min(found)}


@dataclasses.dataclass(frozen=True)
class _Case:
    frames: np.ndarray
    fps: float
    truth: Truth
    closures: Closures
    usual: Usual

    def closed(self, opening: np.ndarray, below: float) -> float:
        return mouth.closed_share(opening, self.closures.times, self.frames, self.fps, below)

    def follows(self, lips: Lips) -> dict[str, float]:
        return mouth.figures(lips, self.truth.lips, self.frames, self.fps)


def _predicted(case: _Case, lips: Lips, other: Lips) -> dict[str, float]:
    found, again = case.follows(lips), case.follows(other)
    return {
        "opening_predicted": found["opening_correlation"],
        "width_predicted": found["width_correlation"],
        "closed_pbm_predicted": case.closed(lips.opening, case.usual.metres.closed_below),
        "other_voice_predicted_loss": found["opening_correlation"] - again["opening_correlation"],
    }


def _drawn(case: _Case, faces: Faces, other: Lips) -> dict[str, float]:
    lips = Lips.of(faces)
    own = case.follows(lips)
    own["closed_pbm"] = case.closed(lips.opening, case.usual.tracked.closed_below)
    own["other_voice_correlation"] = motion.correlation(other.opening, case.truth.lips.opening)
    own["other_voice_loss"] = own["opening_correlation"] - own["other_voice_correlation"]
    if case.truth.faces is None:
        del own["opening_range"]  # centimetres are no share of a face
    else:
        own["lmd_aligned_px"] = _aligned_lmd(faces, case.truth, case.truth.faces)
    return own


def _recorded(case: _Case) -> dict[str, float]:
    """The truth's own row: the film re-encoded against itself, or what the arrays say of closed lips."""
    truth = case.truth
    if truth.again is None:
        below = truth.closed_below if truth.closed_below is not None else np.nan
        return {"closed_pbm": case.closed(truth.lips.opening, below)}
    again = Lips.of(truth.again).first(len(case.frames))
    row = case.follows(again)
    row["closed_pbm"] = case.closed(again.opening, case.usual.tracked.closed_below)
    row["lmd_aligned_px"] = _aligned_lmd(truth.again, truth, truth.faces)
    return row


def _aligned_lmd(faces: Faces, truth: Truth, true_faces: Faces | None) -> float:
    assert true_faces is not None
    n = min(len(faces.landmarks), len(true_faces.landmarks))
    reference = motion.to_512(true_faces.landmarks[:n], truth.height)
    found = motion.aligned(faces.landmarks[:n], reference)
    return motion.mean(motion.landmark_distance(found[:, LIPS], reference[:, LIPS]))


def _onto(curve: np.ndarray, usual: Range) -> np.ndarray:
    """A curve of another unit, stretched so that its range is the person's usual one: for plots only."""
    own = Range.of(curve)
    return (curve - own.low) / own.span * usual.span + usual.low if own.span > 0 else curve
