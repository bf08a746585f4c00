"""Drawings of the quality report as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from splatalk.capture.seeing import CELL_DEG

_YAW, _PITCH = 40.0, 25.0  # degrees shown to either side
_MARGIN = 62
_SCALE = 9.0  # units of the drawing a degree


def gauge(points: int, word: str) -> str:
    """An arc of three quarters of a circle, filled as far as the points go."""
    radius, whole = 52.0, 1.5 * math.pi
    length, done = radius * whole, radius * whole * points / 100.0
    arc = f'd="{_arc(60, 60, radius, 0.75 * math.pi, whole)}"'
    return (
        f'<svg class="gauge" viewBox="0 0 120 120" role="img" aria-label="{points} of 100 points, {word}">'
        f'<path class="track" {arc}/><path class="done" {arc} stroke-dasharray="{done:.1f} {2 * length:.1f}"/>'
        f'<text class="points" x="60" y="68">{points}</text><text class="of" x="60" y="88">of 100</text></svg>'
    )


def _arc(x: float, y: float, radius: float, begin: float, turn: float) -> str:
    points = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in (begin, begin + turn)]
    (x0, y0), (x1, y1) = points
    return f"M{x0:.2f} {y0:.2f}A{radius} {radius} 0 {int(turn > math.pi)} 1 {x1:.2f} {y1:.2f}"


def coverage(cells: Sequence[Sequence[float]], pitch_middle: float, wanted: tuple[float, float]) -> str:
    """From where the head is seen, as the camera sees it: the subject's left is on the right.

    Args:
        cells: yaw, pitch of the middle in degrees, and seconds.
        pitch_middle: degrees, how the head is usually held.
        wanted: yaw and pitch to either side that a recording should reach, drawn as a frame.
    """
    width, height = 2 * _YAW * _SCALE + 2 * _MARGIN, 2 * _PITCH * _SCALE + 2 * _MARGIN

    def x(yaw: float) -> float:
        return _MARGIN + (min(max(yaw, -_YAW), _YAW) + _YAW) * _SCALE

    def y(pitch: float) -> float:
        return _MARGIN + (_PITCH - min(max(pitch - pitch_middle, -_PITCH), _PITCH)) * _SCALE

    most = max((cell[2] for cell in cells), default=1.0)
    parts = [
        f'<svg class="coverage" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        'aria-label="Seconds in which the head is turned to each side, up and down">'
    ]
    half = CELL_DEG / 2
    for yaw, pitch, seconds in cells:
        strength = 0.18 + 0.82 * math.sqrt(seconds / most)
        left, top = x(yaw - half), y(pitch + half)
        size = f'width="{max(x(yaw + half) - left - 1, 0):.1f}" height="{max(y(pitch - half) - top - 1, 0):.1f}"'
        title = f"<title>yaw {yaw:+.0f}, pitch {pitch:+.0f} degrees: {seconds:.1f} s</title>"
        parts.append(
            f'<rect class="cell" x="{left:.1f}" y="{top:.1f}" {size} fill-opacity="{strength:.2f}">{title}</rect>'
        )
    yaw, pitch = wanted
    parts.append(
        f'<rect class="wanted" x="{x(-yaw):.1f}" y="{y(pitch_middle + pitch):.1f}" width="{2 * yaw * _SCALE:.1f}" '
        f'height="{2 * pitch * _SCALE:.1f}"/>'
    )
    for degrees in range(-int(_YAW), int(_YAW) + 1, 20):
        parts.append(f'<text class="tick middle" x="{x(degrees):.1f}" y="{height - 20:.0f}">{abs(degrees)}°</text>')
    for degrees in range(-20, 21, 10):
        place = y(pitch_middle + degrees) + 4
        parts.append(f'<text class="tick end" x="{_MARGIN - 8}" y="{place:.1f}">{abs(degrees)}°</text>')
    middle = height / 2
    parts += [
        f'<text class="side middle" x="{width / 2:.0f}" y="{_MARGIN + 8}">up</text>',
        f'<text class="side middle" x="{width / 2:.0f}" y="{height - _MARGIN - 4:.0f}">down</text>',
        f'<text class="side end" x="{width - _MARGIN:.0f}" y="{middle:.0f}">left</text>',
        f'<text class="side" x="{_MARGIN + 6}" y="{middle:.0f}">right</text>',
        "</svg>",
    ]
    return "".join(parts)


def bars(rows: Sequence[tuple[str, str, float, float]]) -> str:
    """Rows of a bar against what is wanted, as HTML.

    Args:
        rows: name, what stands behind it, value and wanted.
    """
    items = []
    for name, detail, value, wanted in rows:
        share = min(value / max(wanted, 1e-9), 2.0) / 2.0
        few = " few" if value < wanted else ""
        items.append(
            f'<li><span class="name">{html.escape(name)} <small>{html.escape(detail)}</small></span>'
            f'<svg class="bar{few}" viewBox="0 0 200 12" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect class="track" width="200" height="12"/><rect class="done" width="{200 * share:.1f}" height="12"/>'
            f'<line class="mark" x1="100" x2="100" y1="0" y2="12"/></svg>'
            f"<b>{value:g} <small>of {wanted:g}</small></b></li>"
        )
    return f'<ul class="bars">{"".join(items)}</ul>'


def timeline(left_out: Sequence[Mapping[str, float | str]], seconds: float) -> str:
    """A strip as long as the recording with the stretches that are left out."""
    marks = []
    for stretch in left_out:
        begin, end = float(stretch["from"]), float(stretch["to"])
        width = max(1000 * (end - begin) / seconds, 2.0)
        title = html.escape(f"{begin:g} to {end:g} s: {stretch['reason']}")
        x = 1000 * begin / seconds
        marks.append(f'<rect class="gap" x="{x:.1f}" width="{width:.1f}" height="24"><title>{title}</title></rect>')
    return (
        '<svg class="strip" viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" '
        'aria-label="Frames used over time"><rect class="used" width="1000" height="24"/>' + "".join(marks) + "</svg>"
    )


def cost(points: float, most: float) -> str:
    """A short bar for the points that something costs."""
    width = 100 * min(points / max(most, 1e-9), 1.0)
    return (
        '<svg class="cost" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="done" width="{width:.1f}" height="8"/></svg>'
    )
