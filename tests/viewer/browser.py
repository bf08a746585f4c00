"""A headless Chromium with the player in it, and what was heard from it."""

from __future__ import annotations

import base64
import dataclasses
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from splatalk.render.camera import Camera

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
WAIT_S = 40.0


def chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclasses.dataclass
class Opened:
    """A page with the player.

    Args:
        errors: what its console and scripts complained about.
        requests: addresses it asked for, its own included.
    """

    page: Page
    errors: list[str]
    requests: list[str]

    def until(self, expression: str, what: str = "") -> Any:
        """The value of an expression as soon as it is true. The page's policy forbids Playwright's own way."""
        end = time.monotonic() + WAIT_S
        while not (value := self.page.evaluate(expression)):
            assert time.monotonic() < end, f"waited in vain for {what or expression}; {self.errors}"
            time.sleep(0.03)
        return value

    def notice(self) -> str:
        return str(self.until("document.querySelector('.notice:not([hidden])')?.textContent", "a notice"))

    def pixels(self, frame: int, camera: Camera, background: dict[str, Any]) -> np.ndarray:
        """(H, W, 4) uint8: frame ``frame`` of the track. ``background`` as in renderer.ts."""
        view = {**camera.to_json(), "worldToCamera": camera.world_to_camera.ravel().tolist()}
        text = self.page.evaluate(
            """async ([frame, view, background]) => {
                 const {player} = splatalk;
                 const image = player.pixels(player.compact.track.frame(frame), view, background);
                 const reader = new FileReader();
                 reader.readAsDataURL(new Blob([image.data]));
                 await new Promise((done) => { reader.onload = done; });
                 return reader.result.split(",")[1] ?? "";
               }""",
            [frame, view, background],
        )
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(camera.height, camera.width, 4)

    def shown(self) -> np.ndarray:
        """(H, W, 4) uint8: what the stage shows."""
        width, height, text = self.page.evaluate(
            """async () => {
                 const image = splatalk.player.picture();
                 const reader = new FileReader();
                 reader.readAsDataURL(new Blob([image.data]));
                 await new Promise((done) => { reader.onload = done; });
                 return [image.width, image.height, reader.result.split(",")[1]];
               }"""
        )
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)


@contextmanager
def opened(browser: Browser, path: Path, script: str = "", **settings: Any) -> Iterator[Opened]:
    """Open a page from disk in a window of its own.

    Args:
        script: runs before the page's own.
        settings: of the window, as Playwright calls them.
    """
    window = browser.new_context(**{"viewport": {"width": 320, "height": 320}, **settings})
    try:
        if script:
            window.add_init_script(script)
        page = window.new_page()
        seen = Opened(page, [], [])
        page.on("console", lambda m: seen.errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: seen.errors.append(str(e)))
        page.on("request", lambda r: seen.requests.append(r.url))
        page.goto(path.as_uri())
        yield seen
    finally:
        window.close()
