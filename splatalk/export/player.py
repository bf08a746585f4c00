"""The player that runs in a browser: built from ``viewer/`` by npm, found in the package."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html as markup
from pathlib import Path

import splatalk.export
from splatalk import files
from splatalk.errors import UserError

FOLDER = "player_files"
_SCRIPT = '<script src="player.js"></script>'
_STYLE = '<link rel="stylesheet" href="player.css">'
_TITLE = "<title>Avatar</title>"
_CHARSET = '<meta charset="utf-8">'


@dataclasses.dataclass(frozen=True)
class Bundle:
    """The built player: ``html`` refers to ``player.js`` and ``player.css`` beside it and loads ``avatar.compact``."""

    js: str
    css: str
    html: str

    def page(self, payload: bytes, title: str) -> str:
        """One page that holds player and avatar, needs no network, and may run nothing but this very script.

        Args:
            payload: bytes of a compact file.
            title: of the page.
        """
        policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src '{_digest(self.js)}'",
                f"style-src '{_digest(self.css)}'",
                "img-src data: blob:",
                "media-src blob:",
                "base-uri 'none'",
                "form-action 'none'",
            )
        )
        encoded = base64.b64encode(payload).decode()
        data = f'<script type="application/octet-stream" id="splatalk-avatar">{encoded}</script>'
        parts = {
            _CHARSET: f'{_CHARSET}\n<meta http-equiv="Content-Security-Policy" content="{policy}">',
            _TITLE: f"<title>{markup.escape(title)}</title>",
            _STYLE: f"<style>{self.css}</style>",
            _SCRIPT: f"{data}\n<script>{self.js}</script>",
        }
        page = self.html
        for mark, part in parts.items():
            before, found, after = page.partition(mark)
            if not found:
                raise ValueError(f"the player's index.html has no {mark}")
            page = before + part + after
        return page


def bundle() -> Bundle:
    """The built player.

    Raises:
        UserError: splatalk was installed without it.
    """
    for root in splatalk.export.__path__:
        folder = Path(root) / FOLDER
        if (folder / "player.js").is_file():
            with files.explained(folder, "read"):
                js, css, html = (
                    (folder / name).read_text(encoding="utf-8") for name in ("player.js", "player.css", "index.html")
                )
            return Bundle(js, css, html)
    raise UserError(
        "The browser player is not built.",
        "Install Node.js 18 or newer with npm, then run `make player` in the source folder, or install splatalk again.",
    )


def _digest(text: str) -> str:
    """What a Content-Security-Policy calls a script or style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
