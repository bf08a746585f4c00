"""The result of an evaluation as plain data, with its JSON and its table for the terminal."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from splatalk.errors import FormatError
from splatalk.evaluate.catalogue import ARROWS, METRICS

VERSION = 2


@dataclasses.dataclass
class Spoken:
    """Speech that the avatar never heard, against the truth of how the person says it.

    Args:
        name: file of the sound.
        truth: file of the truth.
        closures: how many p, b and m there are, and where their times come from.
        fps: frames a second of the curves.
        avatar, recording: figures by ``Metric.key``; ``recording`` is the truth's own row.
        curves: values per frame from 0: ``opening_…`` and ``width_…`` of ``avatar``, ``recording`` and ``other_voice``.
        closed: start and end of each p, b and m, seconds.
    """

    name: str
    truth: str
    closures: str
    fps: float
    avatar: dict[str, float | None]
    recording: dict[str, float | None]
    curves: dict[str, list[float | None]]
    closed: list[list[float]]


@dataclasses.dataclass
class Report:
    """What was measured, on what.

    Values that do not exist (PSNR of equal images, a face never found) are None.

    Args:
        avatar_name, capture_name: what was compared with what.
        frames: numbers of the compared frames in the capture.
        fps: frames a second of the capture.
        width, height: size of the compared frames, pixels.
        mouth: what drove the mouth.
        avatar: figures of the avatar by ``Metric.key``.
        recording: the recording's own figures.
        curves: values per compared frame: ``psnr_full``, ``lpips_full``, ``lmd_px``, ``opening_…`` and ``width_…`` of
            ``avatar``, ``recording`` and ``other_voice``.
        spoken: speech from elsewhere, with its own truth.
        machine: where and when it ran.
        notes: what a reader must know besides.
    """

    avatar_name: str
    capture_name: str
    frames: list[int]
    fps: float
    width: int
    height: int
    mouth: str
    avatar: dict[str, float | None]
    recording: dict[str, float | None]
    curves: dict[str, list[float | None]]
    machine: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    spoken: list[Spoken] = dataclasses.field(default_factory=list)
    version: int = VERSION

    def to_json(self) -> str:
        """JSON text; ``from_json`` reads it back to an equal report."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read a report.

        Raises:
            FormatError: the text is no report, or one of another version.
        """
        try:
            data = json.loads(text, parse_constant=_no_constant)
            if not isinstance(data, dict) or data.get("version") != VERSION:
                raise ValueError(f"version {VERSION} expected")
            unknown = data.keys() - _READERS.keys()
            if unknown:
                raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
            report = cls(**{name: read(data[name]) for name, read in _READERS.items()})
            if any(len(curve) != len(report.frames) for curve in report.curves.values()):
                raise ValueError("a curve and the frames differ in length")
            for spoken in report.spoken:
                if len({len(curve) for curve in spoken.curves.values()}) > 1:
                    raise ValueError("the curves of a sound differ in length")
            return report
        except (ValueError, TypeError, KeyError, RecursionError) as e:
            reason = f"{e.args[0]!r} is missing" if isinstance(e, KeyError) else str(e)
            raise FormatError(f"This is not an evaluation report: {reason}.", "Run `splatalk eval` again.") from e


def plain(value: float) -> float | None:
    """A float for the report: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def plain_list(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [plain(round(float(v), 6)) for v in values]


def table(report: Report) -> Table:
    """The figures for the terminal."""
    title = f"{report.avatar_name} against {report.capture_name}: {len(report.frames)} held-out frames"
    return _table(title, report.avatar, report.recording)


def spoken_table(report: Report, spoken: Spoken) -> Table:
    """The figures of one sound for the terminal."""
    title = f"{report.avatar_name} says {spoken.name}, against {spoken.truth}; {spoken.closures}"
    return _table(title, spoken.avatar, spoken.recording)


def _table(title: str, avatar: Mapping[str, float | None], recording: Mapping[str, float | None]) -> Table:
    out = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    out.add_column("")
    out.add_column("avatar", justify="right")
    out.add_column("recording", justify="right")
    out.add_column("unit")
    out.add_column("better")
    previous = METRICS[0].group
    for metric in METRICS:
        if metric.key not in avatar:
            continue
        if metric.group != previous:
            out.add_section()
            previous = metric.group
        own = metric.shown(recording.get(metric.key))
        out.add_row(metric.label, metric.shown(avatar[metric.key]), own, metric.unit, ARROWS[metric.better])
    return out


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("a number expected")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("a whole number expected")
    return value


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def _list(value: Any, read: Any) -> list:
    if not isinstance(value, list):
        raise TypeError("a list expected")
    return [read(v) for v in value]


def _map(value: Any, read: Any) -> dict:
    if not isinstance(value, Mapping):
        raise TypeError("a mapping expected")
    return {_text(k): read(v) for k, v in value.items()}


def _figures(value: Any) -> dict[str, float | None]:
    return _map(value, _optional)


def _curves(value: Any) -> dict[str, list[float | None]]:
    return _map(value, lambda curve: _list(curve, _optional))


def _spoken(value: Any) -> Spoken:
    if not isinstance(value, dict) or value.keys() != _SPOKEN.keys():
        raise ValueError("a sound has other fields")
    return Spoken(**{name: read(value[name]) for name, read in _SPOKEN.items()})


_SPOKEN: dict[str, Any] = {
    "name": _text, "truth": _text, "closures": _text, "fps": _number, "avatar": _figures, "recording": _figures,
    "curves": _curves, "closed": lambda v: _list(v, lambda times: _list(times, _number)),
}  # fmt: skip
_READERS: dict[str, Any] = {
    "avatar_name": _text,
    "capture_name": _text,
    "frames": lambda v: _list(v, _count),
    "fps": _number,
    "width": _count,
    "height": _count,
    "mouth": _text,
    "avatar": _figures,
    "recording": _figures,
    "curves": _curves,
    "machine": lambda v: _map(v, _text),
    "notes": lambda v: _list(v, _text),
    "spoken": lambda v: _list(v, _spoken),
    "version": _count,
}
