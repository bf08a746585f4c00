"""Reports as one HTML page that needs nothing else: pictures inside, no script, no address outside it."""

from __future__ import annotations

import base64
import html
from pathlib import Path

_STYLE = Path(__file__).with_suffix(".css")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: str, style: str = "") -> str:
    """The whole page as text.

    Args:
        title: plain text.
        body: HTML, everything from outside in it already escaped.
        style: CSS of this kind of page, after what all pages share.
    """
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"/>\n'
        f"<title>{html.escape(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}{style}</style></head>"
    )
    return f"{head}<body>\n{body}\n</body></html>\n"


def image(jpeg: bytes, width: int, height: int, description: str) -> str:
    """An ``img`` element with the JPEG inside; ``description`` is plain text for those who cannot see it."""
    data = base64.b64encode(jpeg).decode()
    size = f'width="{width}" height="{height}"'
    return f'<img {size} alt="{html.escape(description, quote=True)}" src="data:image/jpeg;base64,{data}"/>'
