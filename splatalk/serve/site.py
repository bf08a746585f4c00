"""What the server has under which address: the page, the avatar, and the live connection."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import hashlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import WSCloseCode, web

from splatalk import progress
from splatalk.avatar.controls import BLENDSHAPES
from splatalk.drive.emotion import EMOTIONS
from splatalk.export.compact import to_bytes
from splatalk.serve.connection import Connection
from splatalk.serve.guard import Guard
from splatalk.serve.messages import MAX_SOUND_BYTES, Hello, Problem, encode
from splatalk.serve.person import Person
from splatalk.serve.puppet import Ear, Puppet, Recital
from splatalk.serve.studio import Studio

if TYPE_CHECKING:
    from splatalk.export.player import Bundle

MAX_PAGES = 4
"""Live connections at a time."""
MAX_BODY = 4096
"""Bytes of a request's body: nobody has a reason to send one."""
PING_S = 20.0
MICROPHONE = Path(__file__).with_name("microphone.js")


@dataclasses.dataclass(frozen=True)
class Content:
    """A file that is served from memory."""

    body: bytes
    mime: str

    async def answer(self, request: web.Request) -> web.Response:
        return web.Response(body=self.body, headers={"Content-Type": self.mime})


def page(bundle: Bundle, mode: Literal["live", "training", ""]) -> dict[str, Content]:
    """The player's files; ``mode`` (``live``, ``training``, or nothing but playing) tells it what it is for."""
    before, found, after = bundle.html.partition('data-live="0"')
    if not found:
        raise ValueError("the player's index.html does not say where the mode belongs")
    html = before + (f'data-{mode}="1"' if mode else found) + after
    return {
        "/": Content(html.encode(), "text/html; charset=utf-8"),
        "/player.js": Content(bundle.js.encode(), "text/javascript; charset=utf-8"),
        "/player.css": Content(bundle.css.encode(), "text/css; charset=utf-8"),
    }


def application(guard: Guard, contents: dict[str, Content]) -> web.Application:
    """Serves ``contents`` by path and nothing else."""
    app = web.Application(middlewares=[guard.middleware()], client_max_size=MAX_BODY)
    for path, content in contents.items():
        app.router.add_get(path, content.answer)
    return app


def add_state(app: web.Application, state: Callable[[], dict[str, Any]]) -> None:
    """``/state``: what a page asks to see whether the server is there, and what goes on."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(state())

    app.router.add_get("/state", answer)


class LiveSite:
    """The live part of a site: one Puppet a page.

    Args:
        person: who is played.
        studio: makes utterances of texts and sounds.
        greeting: the first utterance of every page.
    """

    def __init__(self, person: Person, studio: Studio, greeting: Recital | None = None) -> None:
        self._person, self._studio, self._greeting = person, studio, greeting
        self._file = to_bytes(person.compact)
        self._fingerprint = hashlib.sha256(self._file).hexdigest()[:16]
        self._sockets: set[web.WebSocketResponse] = set()
        self._drawing = concurrent.futures.ThreadPoolExecutor(1, "drawing")
        self._preparing = concurrent.futures.ThreadPoolExecutor(1, "preparing")

    def join(self, app: web.Application) -> None:
        """Add ``/avatar.compact``, ``/microphone.js`` and ``/live``."""
        app.router.add_get("/avatar.compact", Content(self._file, "application/octet-stream").answer)
        app.router.add_get("/microphone.js", Content(MICROPHONE.read_bytes(), "text/javascript").answer)
        app.router.add_get("/live", self._serve)
        app.on_shutdown.append(self._close)
        app.on_cleanup.append(self._end)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise web.HTTPUpgradeRequired
        socket = web.WebSocketResponse(max_msg_size=MAX_SOUND_BYTES + 1, heartbeat=PING_S, compress=False)
        await socket.prepare(request)
        if len(self._sockets) >= MAX_PAGES:
            problem = Problem(f"{MAX_PAGES} pages are open already.", "Close one of them and reload this one.")
            await socket.send_str(str(encode(problem)))
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return socket
        self._sockets.add(socket)
        try:
            await self._converse(socket)
        except Exception as error:  # noqa: BLE001 (a bug ends one page's connection, not the server)
            progress.note("".join(traceback.format_exception(error)))
            await socket.close(code=WSCloseCode.INTERNAL_ERROR)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _converse(self, socket: web.WebSocketResponse) -> None:
        ear = self._person.ear()
        puppet = Puppet(self._person, ear)
        connection = Connection(socket, puppet, self._studio, self._drawing, self._preparing)
        await connection.send(self.hello(ear))
        if self._greeting is not None:
            connection.perform(self._greeting)
        await connection.run()

    def hello(self, ear: Ear) -> Hello:
        """What this avatar can do."""
        return Hello(
            name=self._person.name,
            fingerprint=self._fingerprint,
            fps=self._person.fps,
            coefficients=self._person.compact.n_coefficients,
            expression=BLENDSHAPES,
            emotions=tuple(EMOTIONS),
            speech=self._studio.has_speech,
            microphone=ear.lookahead_s > 0.0,
            lookahead_ms=1e3 * ear.lookahead_s,
        )

    async def _close(self, app: web.Application) -> None:
        sockets = list(self._sockets)
        await asyncio.gather(*(s.close(code=WSCloseCode.GOING_AWAY) for s in sockets), return_exceptions=True)

    async def _end(self, app: web.Application) -> None:
        self._drawing.shutdown(wait=False, cancel_futures=True)
        self._preparing.shutdown(wait=False, cancel_futures=True)
