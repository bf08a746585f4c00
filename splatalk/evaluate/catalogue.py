"""Every figure of a report: its name, unit, direction, and what it means and covers, in words for the reader."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Metric:
    """One line of the report's table.

    Args:
        key: name in the JSON.
        group: heading under which it is listed.
        label, unit, digits: how it is shown.
        better: which way is better: higher, lower, or closer to the recording's own figure.
        meaning: what it is and what it covers.
    """

    key: str
    group: str
    label: str
    unit: str
    digits: int
    better: Literal["higher", "lower", "recording"]
    meaning: str

    def shown(self, value: float | None) -> str:
        """The value as text; a dash where there is none."""
        return "–" if value is None or not math.isfinite(value) else f"{value:.{self.digits}f}"


_FULL = "Covers the whole frame, background plate included, which flatters a small person."
_PERSON = "Covers the person only, weighted by the recording's matte."
_FACE = "Covers the recording's face box only."
_PSNR = "−10·log10 of the mean squared error of sRGB values, per frame, then averaged."
_SSIM = "Structural similarity, 11×11 Gaussian window, per colour channel."
_LPIPS = "Perceptual distance v0.1 on AlexNet features."
_GAP = "Mouth opening is the gap between the inner lips divided by the distance from forehead to nose."

_DRAWN = "Drawn frames, tracked again."
_PREDICTED = "Predicted: the lips that the sound asks for, in the head frame, nothing drawn."
_CLOSED = (
    "Share of p, b and m during which, give or take a frame, the lips are open by less than 15 % of the person's "
    "recorded range above its 5th percentile."
)

METRICS: tuple[Metric, ...] = (
    Metric("psnr_full", "Picture", "PSNR, full frame", "dB", 2, "higher", f"{_PSNR} {_FULL}"),
    Metric("psnr_person", "Picture", "PSNR, person", "dB", 2, "higher", _PERSON),
    Metric("psnr_face", "Picture", "PSNR, face box", "dB", 2, "higher", _FACE),
    Metric("ssim_full", "Picture", "SSIM, full frame", "", 4, "higher", f"{_SSIM} {_FULL}"),
    Metric("ssim_person", "Picture", "SSIM, person", "", 4, "higher", _PERSON),
    Metric("ssim_face", "Picture", "SSIM, face box", "", 4, "higher", _FACE),
    Metric("lpips_full", "Picture", "LPIPS, full frame", "", 4, "lower", f"{_LPIPS} {_FULL}"),
    Metric("lpips_face", "Picture", "LPIPS, face box", "", 4, "lower", f"{_FACE} The box is not resized."),
    Metric(
        "lmd_px", "Mouth", "LMD", "px", 2, "lower",
        "Mean distance of 40 lip landmarks from the recording's, each set about its own mean, at 512 pixels' height.",
    ),
    Metric("lmd_eyes", "Mouth", "LMD by eye distance", "%", 2, "lower", "LMD over the outer eye corners' distance."),
    Metric(
        "lmd_aligned_px", "Mouth", "LMD, heads aligned", "px", 2, "lower",
        f"{_DRAWN} LMD after each frame's forehead, nose bridge and eye corners were laid on the film's by turning, "
        "scaling and moving in the image: the avatar's head is still, the film's is not.",
    ),
    Metric(
        "opening_correlation", "Mouth", "Opening, correlation", "", 3, "higher",
        f"{_DRAWN} {_GAP} Pearson, no delay.",
    ),
    Metric(
        "opening_best", "Mouth", "Opening, best correlation", "", 3, "higher",
        "The same at the delay below. Well above the line before it means that the mouth is late or early.",
    ),
    Metric(
        "opening_lag_ms", "Mouth", "Opening, delay", "ms", 0, "recording",
        "Where the correlation over delays of up to 10 frames peaks, between frames by a parabola. Positive: the "
        "avatar's mouth is late.",
    ),
    Metric(
        "opening_range", "Mouth", "Opening, range", "×", 2, "recording",
        "The avatar's range of opening (5th to 95th percentile) over the recording's. Below 1: it mumbles.",
    ),
    Metric(
        "width_correlation", "Mouth", "Width, correlation", "", 3, "higher",
        f"{_DRAWN} Distance of the mouth corners divided by that of the outer eye corners. Pearson, no delay.",
    ),
    Metric("closed_pbm", "Mouth", "p, b, m closed", "%", 0, "recording", f"{_DRAWN} {_CLOSED}"),
    Metric(
        "silence_moving", "Mouth", "Moves in silence", "%", 1, "lower",
        "Drawn frames, of two seconds driven by digital silence, whose opening is off its median by over a tenth of "
        "the person's recorded range (5th to 95th percentile).",
    ),
    Metric(
        "noise_moving", "Mouth", "Moves in room noise", "%", 1, "lower",
        "The same, driven by synthetic room noise (pink, swelling by 3 dB, with mains hum) at -50 dB of full scale, "
        "counted from the opening in silence.",
    ),
    Metric(
        "noise_moving_worst", "Mouth", "Moves in room noise, worst level", "%", 1, "lower",
        f"{_PREDICTED} Frames that move, of ten seconds of room noise each at -60, -50 and -40 dB: the worst of them.",
    ),
    Metric(
        "other_voice_correlation", "Mouth", "Another voice, opening", "", 3, "higher",
        f"{_DRAWN} Opening, correlation, with the same words in another voice: pitch and formants of the sound moved, "
        "from about a woman's to a man's or the reverse, times unchanged.",
    ),
    Metric(
        "other_voice_loss", "Mouth", "Another voice, loss", "", 3, "lower",
        "Opening correlation with the person's own voice minus that with another voice.",
    ),
    Metric("opening_predicted", "Mouth", "Opening, predicted", "", 3, "higher", f"{_PREDICTED} Opening, correlation."),
    Metric("width_predicted", "Mouth", "Width, predicted", "", 3, "higher", f"{_PREDICTED} Width, correlation."),
    Metric(
        "closed_pbm_predicted", "Mouth", "p, b, m closed, predicted", "%", 0, "recording", f"{_PREDICTED} {_CLOSED}"
    ),
    Metric(
        "other_voice_predicted_loss", "Mouth", "Another voice, predicted loss", "", 3, "lower",
        f"{_PREDICTED} Loss of opening correlation with another voice.",
    ),
    Metric(
        "synthetic_voice_predicted", "Mouth", "Synthetic voices, opening", "", 3, "higher",
        f"{_PREDICTED} Opening, correlation, when two voices of eSpeak NG say the same text, the worse of both; their "
        "moments are matched by phoneme times, or without these by Whisper features, whose errors count too.",
    ),
    Metric(
        "synthetic_voice_loss", "Mouth", "Synthetic voices, loss", "", 3, "lower",
        f"{_PREDICTED} Opening correlation with the person's own voice minus that with the worse synthetic voice.",
    ),
    Metric("shapes_all", "Expression", "Blendshapes, all 52", "", 4, "lower", "Mean absolute error, values 0..1."),
    Metric("shapes_mouth", "Expression", "Blendshapes, mouth and jaw", "", 4, "lower", "The part that speaks."),
    Metric("shapes_upper", "Expression", "Blendshapes, eyes and brows", "", 4, "lower", "The rest of the face."),
    Metric(
        "wobble", "Expression", "Head wobble", "px", 3, "recording",
        "Mean second difference of forehead, nose bridge and eye corners, at 512 pixels' height: drawn frames beside "
        "recorded ones, each tracked by itself, so tracking noise is in both.",
    ),
    Metric("face_found", "Expression", "Face found", "%", 1, "higher", "Frames in which the tracker finds the face."),
    Metric("fps", "Speed", "Frames per second", "", 1, "higher", "Steady, one frame at a time, controls to pixels."),
    Metric("frame_ms_p50", "Speed", "Frame time, median", "ms", 1, "lower", "Half of the frames are ready sooner."),
    Metric("frame_ms_p99", "Speed", "Frame time, 99th percentile", "ms", 1, "lower", "What live play must allow for."),
    Metric("first_frame_ms", "Speed", "First frame", "ms", 0, "lower", "First controls to first pixels, caches cold."),
)  # fmt: skip

BY_KEY: dict[str, Metric] = {m.key: m for m in METRICS}
HEADLINES: tuple[str, ...] = (
    "psnr_full", "psnr_person", "lpips_full", "lmd_px", "opening_correlation", "closed_pbm", "fps",
)  # fmt: skip
ARROWS = {"higher": "↑", "lower": "↓", "recording": "≈"}
COVERAGE = (
    "Frames are compared as they are rendered, not as re-encoded video. The head pose, torso pose, gaze and upper face "
    "are the recording's own. All of the person in the picture is the avatar's own: nothing is pasted from recorded "
    "frames; only the background plate is the recording's."
)
RECORDING_ROW = (
    "The recording's own column is the recording against itself. A picture equal to itself has no PSNR, SSIM or LPIPS "
    "worth printing (–). For tracked figures its frames were re-encoded as JPEG at quality 75 and tracked again: the "
    "column shows how much of a figure is tracking noise. Head wobble is that of its frames as they are."
)
