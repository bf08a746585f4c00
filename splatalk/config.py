"""Presets: every number that decides how an avatar is captured and trained, read from ``configs/*.toml``."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from splatalk.errors import UserError

DEFAULT_PRESET = "fast"


@dataclasses.dataclass(frozen=True)
class Preset:
    """How to make an avatar. A TOML file names only what differs from these defaults.

    Every field is plain: str, int, float, bool, a Literal of strings, or a tuple of one of those.
    """

    name: str = "fast"
    summary: str = ""

    size: int = 512
    """Edge of the square frame that is captured and trained on, pixels."""

    # --- what the network is made of
    speech: Literal["mel", "whisper", "visemes", "lips", "hubert", "wav2vec2"] = "lips"
    """Speech features; ``lips`` are Whisper's with mouth shapes heard in them and what anybody's lips would do
    (``visemes``: an earlier form of it), ``hubert`` and ``wav2vec2`` need a model folder of one's own
    (``speech/pretrained.py``)."""
    planes: Literal["hash", "dense"] = "hash"
    attention: Literal["agent", "mha"] = "mha"
    decoder: Literal["kan", "mlp"] = "mlp"
    tokens: tuple[Literal["mouth", "upper", "eyes", "pose", "null", "speech"], ...] = (
        "mouth", "upper", "eyes", "pose", "null", "speech",
    )  # fmt: skip
    """What Gaussians attend to."""
    deforms: tuple[Literal["means", "rotation", "scales", "opacity", "color"], ...] = (
        "means", "rotation", "scales", "opacity", "color",
    )  # fmt: skip
    """What the network changes of a Gaussian; ``color`` repaints wrinkles, teeth and shadows with the expression."""
    levels: int = 12
    """Resolutions of the hash triplane."""
    log2_table: int = 14
    """Entries of each hash table, as a power of two."""
    initial_gaussians: int = 20_000
    max_gaussians: int = 30_000

    # --- how long it is trained
    static_iterations: int = 1_500
    """Steps in which the face rig alone moves the Gaussians and the network rests."""
    speech_iterations: int = 4_000
    """Steps in which the network adds to that and everything learns."""
    densify_every: int = 150
    densify_share: float = 0.06
    """Most Gaussians that one round adds, as a share of those present."""
    densify_until: float = 0.6
    """No new Gaussians after this share of all steps."""
    perceptual_from: float = 0.1
    """Share of the speech stage after which patches are compared by LPIPS too."""
    perceptual_every: int = 1
    patch: int = 192
    """Edge of such a patch, pixels."""
    checkpoint_every: int = 500
    preview_every: int = 500

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``preset_from_mapping`` reads it back exactly."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}


def preset_names() -> list[str]:
    """The presets that come with splatalk, in the order of their cost."""
    order = ["demo", "fast", "quality", "gpu"]
    found = [p.stem for p in _preset_directory().glob("*.toml")]
    return sorted(found, key=lambda n: (order.index(n) if n in order else len(order), n))


def load_preset(name: str = DEFAULT_PRESET, overrides: Mapping[str, str] | None = None) -> Preset:
    """Read a preset by name, or from a TOML file of one's own.

    Args:
        name: ``demo``, ``fast``, … or a path that ends in ``.toml``.
        overrides: field → value as text, as given by ``--set field=value``.

    Raises:
        UserError: no such preset, unreadable file, unknown key, value of the wrong kind.
    """
    path = Path(name) if name.endswith(".toml") else _preset_directory() / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise UserError(f"There is no preset file {path}.", "Check the path.")
        raise UserError(f"There is no preset {name!r}.", _nearest(name, preset_names()))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a valid TOML file: {error}.", "Fix that line.") from error
    preset = preset_from_mapping({"name": path.stem, **values}, source=str(path))
    changes = {key: _parse(key, text) for key, text in (overrides or {}).items()}
    return dataclasses.replace(preset, **changes)


def preset_from_mapping(values: Mapping[str, Any], source: str = "preset") -> Preset:
    """Check ``values`` against the fields of Preset and build one.

    Raises:
        UserError: unknown key (with the nearest known one), or a value of the wrong kind.
    """
    kinds = _kinds()
    checked = {}
    for key, value in values.items():
        if key not in kinds:
            raise UserError(f"{source}: unknown key {key!r}.", _nearest(key, list(kinds)))
        checked[key] = _check(f"{source}: {key}", value, kinds[key])
    return Preset(**checked)


def _preset_directory() -> Path:
    """Inside the installed package, or at the root of a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def _kinds() -> dict[str, Any]:
    return typing.get_type_hints(Preset)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."


def _check(where: str, value: Any, kind: Any) -> Any:
    """``value`` as ``kind``; ints are accepted for floats, lists for tuples, nothing else is converted."""
    origin = typing.get_origin(kind)
    if origin is Literal:
        allowed = typing.get_args(kind)
        if value not in allowed:
            raise UserError(f"{where} is {value!r}.", f"Allowed: {', '.join(map(str, allowed))}.")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        item = typing.get_args(kind)[0]
        return tuple(_check(where, v, item) for v in value)
    if origin in (typing.Union, types.UnionType):
        inner = next(k for k in typing.get_args(kind) if k is not type(None))
        return None if value is None else _check(where, value, inner)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(kind, type) or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{where} is {value!r}.", f"It must be {_describe(kind)}.")
    return value


def _describe(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text in quotes"}
    if typing.get_origin(kind) is tuple:
        return f"a list, each entry {_describe(typing.get_args(kind)[0])}"
    return words.get(kind, str(kind))


def _parse(key: str, text: str) -> Any:
    """A value given as text on the command line, written as in TOML except that text needs no quotes."""
    kinds = _kinds()
    if key not in kinds:
        raise UserError(f"--set: unknown key {key!r}.", _nearest(key, list(kinds)))
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return _check(f"--set {key}", value, kinds[key])
