"""Curves over time as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Callable, Mapping, Sequence

WIDTH, HEIGHT = 960, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 12, 34

Curve = Sequence[float | None]


def plot(times: Sequence[float], curves: Mapping[str, Curve], title: str, unit: str) -> str:
    """An SVG element.

    Args:
        times: seconds, increasing.
        curves: up to three named curves over those times; None leaves a gap.
        title: read out to those who cannot see it.
        unit: label of the vertical axis.
    """
    numbers = [v for curve in curves.values() for v in curve if v is not None]
    if len(times) < 2 or not numbers:
        return f'<p class="quiet">{html.escape(title)}: nothing to draw.</p>'
    low, high = _round_range(min(numbers), max(numbers))
    x_scale = (WIDTH - _LEFT - _RIGHT) / (times[-1] - times[0])
    y_scale = (HEIGHT - _TOP - _BOTTOM) / (high - low)

    def x(t: float) -> float:
        return _LEFT + (t - times[0]) * x_scale

    def y(v: float) -> float:
        return HEIGHT - _BOTTOM - (v - low) * y_scale

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title, quote=True)}">']
    for value in _ticks(low, high, 4):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 8}" y="{y(value) + 4:.1f}">{value:g}</text>')
    for t in _ticks(times[0], times[-1], 8):
        parts.append(f'<text class="tick middle" x="{x(t):.1f}" y="{HEIGHT - _BOTTOM + 18}">{t:g} s</text>')
    for i, curve in enumerate(curves.values()):
        parts.append(f'<path class="curve c{i}" d="{_path(times, curve, x, y)}"/>')
    parts.append("</svg>")
    names = "".join(f'<span class="key c{i}">{html.escape(name)}</span>' for i, name in enumerate(curves))
    return f'<p class="legend">{names}<span class="quiet">{html.escape(unit)}</span></p>' + "".join(parts)


def _path(times: Sequence[float], curve: Curve, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    step = min(b - a for a, b in itertools.pairwise(times))
    parts: list[str] = []
    drawing, last = False, -math.inf
    for t, value in zip(times, curve, strict=True):
        if value is None:
            drawing = False
            continue
        joined = drawing and t - last < 1.5 * step
        parts.append(f"{'L' if joined else 'M'}{x(t):.1f} {y(value):.1f}")
        drawing, last = True, t
    return "".join(parts)


def _round_range(low: float, high: float) -> tuple[float, float]:
    if high - low < 1e-9:
        return low - 0.5, high + 0.5
    step = _step(high - low, 4)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _step(span: float, count: int) -> float:
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)


def _ticks(low: float, high: float, count: int) -> list[float]:
    step = _step(high - low, count)
    first = math.ceil(low / step - 1e-6)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-6) + 1)]
