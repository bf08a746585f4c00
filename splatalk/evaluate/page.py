"""The report as one HTML page that needs nothing else: pictures inside, no script, no address outside it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from splatalk import files
from splatalk import page as pages
from splatalk.evaluate.catalogue import ARROWS, BY_KEY, COVERAGE, HEADLINES, METRICS, RECORDING_ROW
from splatalk.evaluate.chart import lips_chart
from splatalk.evaluate.pictures import DIFFERENCE_GAIN, Picture, encode_png
from splatalk.evaluate.report import Report, Spoken
from splatalk.plot import plot

LIPS = {"avatar": "avatar", "recording": "recording", "other_voice": "another voice"}
"""Whose lips are drawn over time, in this order: end of the curve's key → name for the reader."""
_PANELS = {
    "opening": ("Mouth opening", "share of face height"), "width": ("Mouth width", "share of eye distance"),
}  # fmt: skip


def write(
    report: Report, frames: Sequence[Picture], mouths: Picture | None, out: Path, closed: np.ndarray | None = None
) -> None:
    """Write ``index.html``, ``report.json``, ``mouth.png``, ``mouth_NAME.png`` of each sound and ``frames/*.jpg`` into
    the folder ``out``, each whole or not at all.

    Args:
        closed: (K, 2) times of p, b and m in the recording, seconds, shaded in ``mouth.png``.

    Raises:
        UserError: the folder cannot be written.
    """
    for picture in [*frames, *([mouths] if mouths else [])]:
        _write(out / "frames" / f"{picture.name}.jpg", picture.jpeg)
    times = [frame / report.fps for frame in report.frames]
    _write_chart(out / "mouth.png", times, report.curves, np.zeros((0, 2)) if closed is None else closed)
    for spoken in report.spoken:
        name = f"mouth_{Path(spoken.name).stem}.png"
        _write_chart(out / name, _times(spoken), spoken.curves, np.array(spoken.closed).reshape(-1, 2))
    _write(out / "index.html", page(report, frames, mouths).encode())
    _write(out / "report.json", report.to_json().encode())


def _write(path: Path, content: bytes) -> None:
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _write_chart(
    path: Path, times: Sequence[float], curves: Mapping[str, Sequence[float | None]], closed: np.ndarray
) -> None:
    panels = {title: _of_lips(curves, kind) for kind, (title, _) in _PANELS.items()}
    _write(path, encode_png(lips_chart(times, panels, closed)))


def _of_lips(curves: Mapping[str, Sequence[float | None]], kind: str) -> dict[str, Sequence[float | None]]:
    """Name for the reader → curve, of ``opening`` or ``width``."""
    return {name: curves[f"{kind}_{key}"] for key, name in LIPS.items() if f"{kind}_{key}" in curves}


def _times(spoken: Spoken) -> list[float]:
    return [i / spoken.fps for i in range(len(next(iter(spoken.curves.values()), [])))]


def page(report: Report, frames: Sequence[Picture], mouths: Picture | None) -> str:
    """The whole page as text."""
    name = html.escape(report.avatar_name)
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="quiet">{html.escape(_subtitle(report))}</p>',
        _tiles(report),
        *(_mouth_section(report, mouths)),
        *(_frame_section(report, frames)),
        "<h2>All figures</h2>",
        _table(report.avatar, report.recording),
        *(part for spoken in report.spoken for part in _spoken_section(spoken)),
        "<h2>How it was measured</h2>",
        *(f"<p>{html.escape(text)}</p>" for text in (COVERAGE, RECORDING_ROW, *report.notes)),
        _facts(report),
    ]
    return pages.document(f"{report.avatar_name}: evaluation", "\n".join(parts))


def _subtitle(report: Report) -> str:
    span = f"{len(report.frames)} held-out frames"
    if report.frames:
        span += f" between {report.frames[0] / report.fps:.1f} s and {(report.frames[-1] + 1) / report.fps:.1f} s"
    size = f"{report.width}×{report.height}"
    return f"Compared with {report.capture_name}, {span}, {size}, mouth driven by {report.mouth}."


def _tiles(report: Report) -> str:
    items = []
    for metric in (BY_KEY[key] for key in HEADLINES if key in report.avatar):
        value = f"{metric.shown(report.avatar[metric.key])} <small>{metric.unit}</small>"
        items.append(f"<li><small>{html.escape(metric.label)}&#160;{ARROWS[metric.better]}</small><b>{value}</b></li>")
    return f'<ul class="tiles">{"".join(items)}</ul>'


def _mouth_section(report: Report, mouths: Picture | None) -> list[str]:
    parts = _lips_plots([frame / report.fps for frame in report.frames], report.curves)
    if mouths is not None:
        parts.append(
            f'<figure class="scroll">{_image(mouths)}<figcaption>{html.escape(mouths.caption)}</figcaption></figure>'
        )
    return parts


def _lips_plots(times: Sequence[float], curves: Mapping[str, Sequence[float | None]]) -> list[str]:
    parts = []
    for kind, (title, unit) in _PANELS.items():
        parts += [f"<h2>{title}</h2>", plot(times, _of_lips(curves, kind), f"{title} over time", unit)]
    return parts


def _spoken_section(spoken: Spoken) -> list[str]:
    facts = f"Against {spoken.truth}; {spoken.closures}. The avatar's head is still. "
    if "closed_pbm" in spoken.recording and len(spoken.recording) == 1:
        facts += "The truth is of another unit and is stretched to the person's usual range in the plots."
    return [
        f"<h2>Never heard: {html.escape(spoken.name)}</h2>",
        f'<p class="quiet">{html.escape(facts)}</p>',
        *_lips_plots(_times(spoken), spoken.curves),
        _table(spoken.avatar, spoken.recording),
    ]


def _frame_section(report: Report, frames: Sequence[Picture]) -> list[str]:
    if not frames:
        return []
    heads = ("recording", "avatar", f"difference, {DIFFERENCE_GAIN}×")
    parts = [
        "<h2>Frames, worst first</h2>",
        '<div class="three">' + "".join(f"<span>{h}</span>" for h in heads) + "</div>",
    ]
    parts += [f"<figure>{_image(p)}<figcaption>{html.escape(p.caption)}</figcaption></figure>" for p in frames]
    if "psnr_full" in report.curves:
        times = [frame / report.fps for frame in report.frames]
        parts.append(plot(times, {"PSNR, full frame": report.curves["psnr_full"]}, "PSNR over time", "dB"))
    return parts


def _image(picture: Picture) -> str:
    return pages.image(picture.jpeg, picture.width, picture.height, picture.caption)


def _table(avatar: Mapping[str, float | None], recording: Mapping[str, float | None]) -> str:
    rows = ['<tr><th></th><th class="n">avatar</th><th class="n">recording</th><th></th><th>what it means</th></tr>']
    group = ""
    for metric in METRICS:
        if metric.key not in avatar:
            continue
        if metric.group != group:
            group = metric.group
            rows.append(f'<tr class="group"><th colspan="5">{group}</th></tr>')
        own, theirs = metric.shown(avatar[metric.key]), metric.shown(recording.get(metric.key))
        rows.append(
            f'<tr><td class="label">{html.escape(metric.label)} {ARROWS[metric.better]}</td><td class="n">{own}</td>'
            f'<td class="n">{theirs}</td><td>{html.escape(metric.unit)}</td>'
            f'<td class="m">{html.escape(metric.meaning)}</td></tr>'
        )
    legend = "↑ higher is better, ↓ lower is better, ≈ the closer to the recording the better."
    return f'<div class="wide"><table>{"".join(rows)}</table></div><p class="quiet">{legend}</p>'


def _facts(report: Report) -> str:
    items = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in report.machine.items())
    return f"<dl>{items}</dl>"
