"""splatalk info: what a file is and how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from splatalk.cli.common import PATH, existing_avatar, report, shared_options


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
    from splatalk.cli.capture import summary

    capture = Capture.load(path)
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return {
        "kind": "capture",
        "bytes": size,
        **summary(capture),
        "consent": capture.meta.get("consent"),
        "source": capture.meta.get("source"),
    }


def _lines(path: Path, facts: dict[str, Any]) -> str:
    """``a.b  value`` for every fact, the names in one column."""
    flat = {name: value for name, value in _flatten(facts) if name != "bytes"}
    width = max(map(len, flat))
    head = f"{path}: {facts['kind']}, {facts['bytes'] / 1e6:.1f} MB"
    return "\n".join([head, *(f"  {name:<{width}}  {value}" for name, value in flat.items() if name != "kind")])


def _flatten(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            out += _flatten(value, f"{prefix}{name}.")
        else:
            shown = (
                "not recorded" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
            )
            out.append((prefix + name, shown))
    return out
