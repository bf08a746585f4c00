"""Curves of the lips over time as a picture: for a paper, a chat, or a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

WIDTH, PANEL, LEFT, TOP, BOTTOM = 1600, 320, 90, 46, 40
_INK, _GRID, _SHADE = (40, 44, 50), (226, 229, 233), (240, 240, 246)
COLOURS = {"recording": (194, 87, 26), "avatar": (11, 102, 195), "another voice": (120, 120, 128)}
_FONT, _SMOOTH = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
_SHIFT = 3  # fractional bits of drawing coordinates


def lips_chart(
    times: Sequence[float], panels: Mapping[str, Mapping[str, Sequence[float | None]]], closed: np.ndarray
) -> np.ndarray:
    """One panel above the other, time to the right.

    Args:
        times: (N,) seconds, increasing.
        panels: title → name in ``COLOURS`` → (N,) values, None for a gap.
        closed: (K, 2) times of p, b and m, shaded.

    Returns:
        (H, 1600, 3) uint8 RGB.
    """
    return np.concatenate([_panel(np.asarray(times), title, curves, closed) for title, curves in panels.items()])


def _panel(
    times: np.ndarray, title: str, curves: Mapping[str, Sequence[float | None]], closed: np.ndarray
) -> np.ndarray:
    image = np.full((PANEL, WIDTH, 3), 255, np.uint8)
    rows = {name: np.array([np.nan if v is None else v for v in curve], float) for name, curve in curves.items()}
    numbers = np.concatenate([row[np.isfinite(row)] for row in rows.values()] or [np.zeros(0)])
    if len(times) < 2 or not len(numbers):
        return image
    low, high = float(numbers.min()), float(numbers.max())
    high = high if high > low else low + 1.0

    def x(t: np.ndarray | float) -> np.ndarray:
        return np.asarray(LEFT + (np.asarray(t) - times[0]) / (times[-1] - times[0]) * (WIDTH - LEFT - 20))

    def y(v: np.ndarray | float) -> np.ndarray:
        return np.asarray(PANEL - BOTTOM - (np.asarray(v) - low) / (high - low) * (PANEL - TOP - BOTTOM))

    for start, end in closed:
        if times[0] <= start and end <= times[-1]:
            cv2.rectangle(image, (int(x(start)), TOP), (int(x(end)), PANEL - BOTTOM), _SHADE, -1)
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        cv2.line(image, (LEFT, int(y(value))), (WIDTH - 20, int(y(value))), _GRID, 1)
        cv2.putText(image, f"{value:.3g}", (8, int(y(value)) + 5), _FONT, 0.5, _INK, 1, _SMOOTH)
    for second in range(int(np.ceil(times[0])), int(times[-1]) + 1):
        cv2.putText(image, f"{second} s", (int(x(second)) - 12, PANEL - 12), _FONT, 0.5, _INK, 1, _SMOOTH)
    cv2.putText(image, title, (LEFT, 28), _FONT, 0.65, _INK, 1, _SMOOTH)
    at = LEFT + cv2.getTextSize(title, _FONT, 0.65, 1)[0][0] + 30
    for name, row in rows.items():
        colour = COLOURS[name]
        cv2.putText(image, name, (at, 28), _FONT, 0.6, colour, 1, _SMOOTH)
        at += cv2.getTextSize(name, _FONT, 0.6, 1)[0][0] + 24
        gaps = ~np.isfinite(row[:-1] + row[1:]) | (np.diff(times) > 1.5 * np.median(np.diff(times)))
        for run in np.split(np.arange(len(row)), np.flatnonzero(gaps) + 1):
            if len(run) > 1 and np.isfinite(row[run]).all():
                points = np.round(np.stack((x(times[run]), y(row[run])), 1) * (1 << _SHIFT)).astype(np.int32)
                cv2.polylines(image, [points], False, colour, 2, _SMOOTH, _SHIFT)
    return image
