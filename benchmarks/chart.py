"""Lines over two logarithmic axes as a picture that any browser shows."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 860, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 44, 52
_COLORS = ("#1b6ca8", "#e07a1f", "#3a9a5c")
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.grid{stroke:#ddd}"
    ".line{fill:none;stroke-width:2.2}.dashed{stroke-dasharray:6 5}"
)

Points = Sequence[tuple[float, float]]


def log_chart(title: str, x_label: str, y_label: str, solid: Mapping[str, Points], dashed: Mapping[str, Points]) -> str:
    """A stand-alone SVG document.

    Args:
        solid, dashed: lines by name, each a sequence of (x, y) above 0; a name in both has one colour.
    """
    every = [point for lines in (solid, dashed) for points in lines.values() for point in points]
    xs, ys = sorted({x for x, _ in every}), [y for _, y in every]
    y_low, y_high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys)) + 1e-9)

    def x(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * _share(value, xs[0], xs[-1])

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * _share(value, y_low, y_high)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text class="title" x="{_LEFT}" y="24">{html.escape(title)}</text>',
    ]
    for power in range(round(math.log10(y_low)), round(math.log10(y_high)) + 1):
        at = y(10.0**power)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for value in xs:
        at = x(value)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 20}" text-anchor="middle">{value:,.0f}</text>')
    names = list(dict.fromkeys((*solid, *dashed)))
    for lines, kind in ((solid, "line"), (dashed, "line dashed")):
        for name, points in lines.items():
            color = _COLORS[names.index(name) % len(_COLORS)]
            path = "".join(f"{'L' if i else 'M'}{x(a):.1f} {y(b):.1f}" for i, (a, b) in enumerate(sorted(points)))
            parts.append(f'<path class="{kind}" stroke="{color}" d="{path}"/>')
            parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3.5" fill="{color}"/>' for a, b in points]
            last_x, last_y = max(points)
            suffix = " torch" if lines is dashed else ""
            parts.append(f'<text x="{x(last_x) + 10:.1f}" y="{y(last_y) + 4:.1f}">{html.escape(name + suffix)}</text>')
    across, down = (_LEFT + WIDTH - _RIGHT) / 2, (_TOP + HEIGHT - _BOTTOM) / 2
    places = (f"translate({across} {HEIGHT - 10})", f"translate(18 {down}) rotate(-90)")
    for place, label in zip(places, (x_label, y_label), strict=True):
        parts.append(f'<text transform="{place}" text-anchor="middle">{html.escape(label)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _share(value: float, low: float, high: float) -> float:
    return math.log(value / low) / max(math.log(high / low), 1e-9)
