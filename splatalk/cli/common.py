"""What the commands share: options, checks of paths, results for people and for machines."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from splatalk import progress
from splatalk.errors import UserError

PATH = click.Path(path_type=Path)
VIDEO_ADVICE = "Give a video such as MP4, MOV, MKV or WebM."
AVATAR_ADVICE = "Make one with: splatalk enroll VIDEO -o NAME.avatar"
CAPTURE_ADVICE = "Make one with: splatalk capture VIDEO -o NAME.capture"


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` and ``--quiet``; the command gets ``as_json`` and writes its result with ``report``."""

    @click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout and nothing else.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress.")
    @functools.wraps(function)
    def wrapped(*args: Any, as_json: bool, quiet: bool, **kwargs: Any) -> Any:
        progress.configure(quiet=quiet or as_json)
        return function(*args, as_json=as_json, **kwargs)

    return wrapped


def report(as_json: bool, facts: Mapping[str, Any], text: str) -> None:
    """The result of a command: ``facts`` as JSON for machines, ``text`` for people."""
    if as_json:
        click.echo(json.dumps({"ok": True, **facts}, ensure_ascii=False, default=str))
    else:
        click.echo(text)


def existing_file(path: Path, what: str, advice: str) -> Path:
    """``path`` if it is a file with something in it.

    Raises:
        UserError: missing, a folder, or empty.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder, not {what}.", advice)
    if not path.exists():
        raise UserError(f"There is no file {path}.", f"Check the path. {advice}")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{path} is empty.", advice)
    return path


def existing_avatar(path: Path) -> Path:
    return existing_file(path, "an avatar", AVATAR_ADVICE)


def existing_capture(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"There is no capture {path}.", CAPTURE_ADVICE)
    if not path.is_dir():
        raise UserError(f"{path} is a file, not a capture folder.", CAPTURE_ADVICE)
    return path


def output_file(path: Path, suffixes: tuple[str, ...], *, inputs: tuple[Path | None, ...] = ()) -> Path:
    """``path`` if a file may be written there. Missing folders are made when it is written.

    Raises:
        UserError: suffix not among ``suffixes``, a folder, or one of ``inputs``.
    """
    if path.suffix.lower() not in suffixes:
        hint = f"Use a name that ends in {' or '.join(suffixes)}."
        raise UserError(f"{path} has the wrong ending for this output.", hint)
    if path.is_dir():
        raise UserError(f"The output {path} is a folder.", f"Give a file name, such as {path / ('out' + suffixes[0])}.")
    _check_place(path, inputs)
    return path


def output_folder(path: Path, *, inputs: tuple[Path | None, ...] = ()) -> Path:
    """``path`` if a folder may be written there.

    Raises:
        UserError: one of ``inputs``, or inside a file.
    """
    _check_place(path, inputs)
    return path


def new_output(path: Path, suffix: str, force: bool, *, inputs: tuple[Path | None, ...] = ()) -> Path:
    """``path`` for something that takes long to make: what is already there stays, unless ``force``."""
    if path.suffix.lower() != suffix:
        raise UserError(f"{path} has the wrong ending for this output.", f"Use a name that ends in {suffix}.")
    _check_place(path, inputs)
    if path.exists() and not force:
        raise UserError(f"{path} exists already.", "Choose another name, or add --force to replace it.")
    return path


def _check_place(path: Path, inputs: tuple[Path | None, ...]) -> None:
    for given in inputs:
        if given is not None and path.exists() and given.exists() and path.samefile(given):
            raise UserError(f"The output {path} is also an input.", "Choose another name.")
    for parent in path.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise UserError(f"{parent} is a file, not a folder.", "Choose another place for the output.")
            return


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``512`` → (512, 512); ``640x480`` → (640, 480)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) <= 2 and all(p.isdecimal() and 16 <= int(p) <= 8192 for p in parts):
        return int(parts[0]), int(parts[-1])
    raise UserError(f"{text!r} is not a size.", "Use 512 or 640x480, between 16 and 8192.")


def parse_settings(pairs: tuple[str, ...]) -> dict[str, str]:
    """``("size=256",)`` → ``{"size": "256"}``."""
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"--set {pair!r} is not a setting.", "Write --set field=value.")
    return {key.strip(): value.strip() for key, value in (pair.split("=", 1) for pair in pairs)}
