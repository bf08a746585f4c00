"""splatalk info: what a file is and how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from splatalk.cli.common import PATH, existing_avatar, report, shared_options
from splatalk.consent import printable, sentence


@click.command("info", short_help="What is in an avatar or a capture.")
@click.argument("path", type=PATH)
@shared_options
def command(path: Path, as_json: bool) -> None:
    """Say what is in an avatar or a capture, how it was made, and who agreed to it.

    \b
    splatalk info me.avatar
    splatalk info me.capture --json
    """
    facts = _capture(path) if path.is_dir() else _avatar(path)
    report(as_json, {"command": "info", "path": path, **facts}, _lines(path, facts))


def _avatar(path: Path) -> dict[str, Any]:
    existing_avatar(path)
    from splatalk import avatar as avatars

    avatar = avatars.load(path)
    camera = avatar.camera
    return {
        "kind": "avatar",
        "bytes": path.stat().st_size,
        "gaussians": avatar.n_gaussians,
        "fps": avatar.fps,
        "width": camera.width,
        "height": camera.height,
        **avatar.meta,
    }


def _capture(path: Path) -> dict[str, Any]:
    from splatalk.capture.dataset import Capture
    from splatalk.cli.capture import report_of, summary

    capture = Capture.load(path)
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return {
        "kind": "capture",
        "bytes": size,
        **summary(capture),
        "consent": capture.meta.get("consent"),
        "source": capture.meta.get("source"),
        "report": report_of(capture),
    }


def _lines(path: Path, facts: dict[str, Any]) -> str:
    """What people ask first, then ``a.b  value`` for every fact, the names in one column."""
    flat = {name: value for name, value in _flatten(facts) if name not in ("bytes", "kind")}
    width = max(map(len, flat))
    lines = [f"{path}: {facts['kind']}, {facts['bytes'] / 1e6:.1f} MB", f"  Consent: {sentence(facts.get('consent'))}"]
    if facts["kind"] == "capture":
        lines += _quality(facts)
    return "\n".join([*lines, *(f"  {name:<{width}}  {value}" for name, value in flat.items())])


def _quality(facts: dict[str, Any]) -> list[str]:
    """Grade, warnings and advice of a capture, a line each."""
    told = facts["quality"]
    told = told if isinstance(told, dict) else {}
    grade = told.get("grade")
    lines = [f"Quality: {grade.get('word')}, {grade.get('points')} of 100 points"] if isinstance(grade, dict) else []
    lines += [f"Warning: {text}" for text in told.get("warnings") or ()]
    lines += [f"To do better: {text}" for text in told.get("advice") or ()]
    lines += [f"The whole report: {facts['report']}"] if facts["report"] else []
    return [f"  {printable(line)}" for line in lines]


def _flatten(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            out += _flatten(value, f"{prefix}{name}.")
        else:
            shown = (
                "not recorded" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
            )
            out.append((printable(prefix + name), printable(shown)))
    return out
