"""Which frames of an evaluation are shown: the worst, the median, the best, and mouths from closed to open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from splatalk.capture.dataset import Capture
from splatalk.evaluate import pictures
from splatalk.evaluate.report import Report
from splatalk.evaluate.tracking import LIPS, Faces


def frames(report: Report, capture: Capture, images: Sequence[np.ndarray]) -> list[pictures.Picture]:
    """Recording, avatar and difference of the worst, median and best frames."""
    key = "lpips_full" if "lpips_full" in report.curves else "psnr_full"
    sign = 1.0 if key == "lpips_full" else -1.0
    badness = np.array([-np.inf if v is None else sign * v for v in report.curves[key]])
    shown = []
    for title, k in pick(badness):
        number = report.frames[k]
        caption = f"{title}: frame {number} at {number / report.fps:.2f} s"
        for name, unit in (("psnr_full", " dB PSNR"), ("lpips_full", " LPIPS"), ("lmd_px", " px LMD")):
            value = report.curves.get(name, [None] * (k + 1))[k]
            caption += "" if value is None else f", {value:.3g}{unit}"
        image = pictures.side_by_side(capture.frame(number), images[k])
        shown.append(pictures.picture(f"{number:06d}", caption, image))
    return shown


def pick(badness: np.ndarray) -> list[tuple[str, int]]:
    """Frames to show: the three worst, two around the median, the two best; fewer when there are fewer.

    Frames that are nearly neighbours look alike, so those shown keep a distance of a twentieth of the clip.
    """
    order = np.argsort(-badness, kind="stable").tolist()
    middle = np.argsort(np.abs(np.arange(len(order)) - len(order) / 2), kind="stable").tolist()
    apart = max(len(order) // 20, 1)
    chosen: list[tuple[str, int]] = []
    groups = (("worst", order, 3), ("median", [order[m] for m in middle], 2), ("best", order[::-1], 2))
    for title, candidates, count in groups:
        for k in candidates:
            if count and all(abs(k - other) >= apart for _, other in chosen):
                chosen.append((title, k))
                count -= 1
    return chosen


def mouths(report: Report, capture: Capture, images: Sequence[np.ndarray], recorded: Faces) -> pictures.Picture | None:
    """Mouths of the recording and the avatar, from the recording's most closed to its most open."""
    opening = recorded.opening()
    order = [k for k in np.argsort(opening).tolist() if np.isfinite(opening[k])]
    if not order:
        return None
    ks = [order[round(q * (len(order) - 1))] for q in np.linspace(0, 1, min(8, len(order)))]
    boxes = [pictures.mouth_box(recorded.landmarks[k][list(LIPS)]) for k in ks]
    strip = pictures.mouth_strip([capture.frame(report.frames[k]) for k in ks], [images[k] for k in ks], boxes)
    caption = "Recording above, avatar below, from the recording's most closed mouth to its most open."
    return pictures.picture("mouths", caption, strip)
