"""The formats that ``splatalk export`` writes, as a table. Nothing here is heavy; writers are loaded when they run."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from splatalk.errors import UserError

if TYPE_CHECKING:
    from splatalk.export.writers import Job


@dataclasses.dataclass(frozen=True)
class Format:
    """One kind of file.

    Args:
        name: what ``--to`` takes.
        what: one line for people.
        suffixes: endings of the file's name; none for a folder.
        plays: a still never plays; others always do, or only when something drives them.
        drawn: it holds pictures, so size, camera and background matter.
        alpha: it can be transparent.
        needs: package that is not always installed.
        beside: endings that are added to the file's name for what the format cannot hold.
        instead: like ``beside``, but replacing the suffix.
    """

    name: str
    what: str
    suffixes: tuple[str, ...] = ()
    plays: Literal["never", "always", "maybe"] = "always"
    drawn: bool = False
    alpha: bool = False
    needs: str | None = None
    beside: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()

    def writer(self) -> Callable[[Job], dict[str, Any]]:
        """The function in ``export.writers``.

        Raises:
            UserError: a package is missing.
        """
        if self.needs is not None and importlib.util.find_spec(self.needs) is None:
            raise UserError(f"--to {self.name} needs more packages.", "Install them with: pip install splatalk[export]")
        writers = importlib.import_module("splatalk.export.writers")
        function: Callable[[Job], dict[str, Any]] = getattr(writers, f"to_{self.name.replace('-', '_')}")
        return function

    def companions(self, path: Path) -> list[Path]:
        """Files that are written beside ``path``."""
        return [path.with_name(path.name + end) for end in self.beside] + [
            path.with_suffix(end) for end in self.instead
        ]


FORMATS = (
    Format("html", "one page that plays in a browser, free view, nothing to install", (".html", ".htm"), "maybe"),
    Format("compact", "the same small avatar for one's own player", (".compact",), "maybe"),
    Format("ply", "Gaussians, one file; splatting viewers open it", (".ply",), "never"),
    Format("ply-seq", "folder: one PLY a frame, sound, manifest.json"),
    Format("spz", "Gaussians, a quarter of the PLY", (".spz",), "never", beside=(".json",)),
    Format("glb", "Gaussians in glTF (KHR_gaussian_splatting)", (".glb",), "never"),
    Format(
        "usd", "Gaussians over time in OpenUSD, with camera and sound", (".usdc", ".usd", ".usda", ".usdz"), "maybe",
        needs="pxr", beside=(".wav",),
    ),
    Format("4dgs", "Gaussians over time, sound inside", (".4dgs",), needs="fourdgs"),
    Format("splat4d", "Gaussians over time, small and streamable", (".splat4d",), beside=(".wav", ".json")),
    Format("mp4", "film, H.264 and AAC", (".mp4", ".mov", ".mkv"), drawn=True),
    Format("webm", "film, VP9 and Opus, can be transparent", (".webm",), drawn=True, alpha=True),
    Format("png", "folder: numbered pictures, can be transparent, sound", drawn=True, alpha=True),
    Format("curves", "CSV of the 52 ARKit curves, head and gaze", (".csv",)),
    Format("performance", "the motion as text, see `splatalk perform`", (".performance",), instead=(".wav",)),
)  # fmt: skip
NAMES = tuple(f.name for f in FORMATS)


def named(name: str) -> Format:
    """The format of that name, which must exist."""
    return FORMATS[NAMES.index(name)]
