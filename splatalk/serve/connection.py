"""One page that talks to its avatar over a WebSocket."""

from __future__ import annotations

import asyncio
import concurrent.futures
import traceback
from collections.abc import Callable

from aiohttp import WSMsgType, web

from splatalk import progress
from splatalk.errors import FormatError, UserError
from splatalk.serve import messages as wire
from splatalk.serve.person import Knobs
from splatalk.serve.puppet import Preparing, Puppet, Recital
from splatalk.serve.studio import Studio

SEND_S = 20.0
"""A page that takes no message for so long is gone."""


class Connection:
    """Reads what the page wants, sends what the avatar does.

    Frames are computed one at a time in ``drawing``; a page that reads slowly gets fewer of them, and none wait.
    Sounds and texts are worked on in ``preparing``, meanwhile the avatar goes on; of several wishes the last counts.

    Args:
        socket: prepared.
        puppet: this page's own.
        studio: makes Recitals of texts and sounds.
        drawing, preparing: executors with one thread each, shared by all pages.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        puppet: Puppet,
        studio: Studio,
        drawing: concurrent.futures.Executor,
        preparing: concurrent.futures.Executor,
    ) -> None:
        self._socket, self._puppet, self._studio = socket, puppet, studio
        self._drawing, self._preparing = drawing, preparing
        self._awake = asyncio.Event()
        self._wish: Callable[[int], Recital] | None = None
        self._wished = asyncio.Event()
        self._utterances = 0
        self._announced: wire.SoundFollows | None = None
        self._listening = False

    async def run(self) -> None:
        """Until the page goes."""
        tasks = [asyncio.create_task(work()) for work in (self._read, self._draw, self._prepare)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, ConnectionError | TimeoutError):
                raise end

    async def send(self, message: wire.ServerMessage) -> None:
        """Raises ConnectionError or TimeoutError when the page is gone."""
        encoded = wire.encode(message)
        async with asyncio.timeout(SEND_S):
            if isinstance(encoded, bytes):
                await self._socket.send_bytes(encoded)
            else:
                await self._socket.send_str(encoded)

    def perform(self, recital: Recital) -> None:
        """Have the page play something that is ready."""
        self._utterances = max(self._utterances, recital.id)
        self._puppet.ask(recital)
        self._awake.set()

    # --- from the page

    async def _read(self) -> None:
        async for message in self._socket:
            try:
                if message.type == WSMsgType.TEXT:
                    self._obey(wire.parse(message.data))
                elif message.type == WSMsgType.BINARY:
                    self._take(message.data)
            except UserError as error:
                await self.send(wire.Problem(error.message, error.hint))

    def _obey(self, message: wire.ClientMessage) -> None:
        if isinstance(message, wire.SetControls):
            self._puppet.ask(Knobs(message))
        elif isinstance(message, wire.Say):
            said = message
            self._want(lambda number: self._studio.spoken(number, said.text, said.voice))
        elif isinstance(message, wire.SoundFollows):
            self._announced = message
        elif isinstance(message, wire.Microphone):
            if not message.listen:
                self._studio.require_speech()
            self._forget_wish()
            self._listening = message.on
            self._puppet.ask(message)
        elif isinstance(message, wire.Stop):
            self._forget_wish()
            self._puppet.ask(message)
        else:
            self._puppet.ask(message)
        self._awake.set()

    def _take(self, data: bytes) -> None:
        """A binary message: the file that was announced, or a piece of the microphone's sound."""
        announced, self._announced = self._announced, None
        if announced is not None:
            if len(data) != announced.bytes:
                raise FormatError(f"{announced.name} did not arrive whole.", "Try again.")
            self._want(lambda number: self._studio.heard(number, data, announced.name))
        elif self._listening:
            self._puppet.hear(wire.microphone_samples(data))
        self._awake.set()

    def _want(self, wish: Callable[[int], Recital]) -> None:
        self._studio.require_speech()
        self._forget_wish()
        self._puppet.ask(Preparing())
        self._wish = wish
        self._wished.set()

    def _forget_wish(self) -> None:
        """What is being prepared is no longer wanted."""
        self._wish, self._listening = None, False
        self._utterances += 1

    # --- to the page

    async def _draw(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._awake.clear()
            sent, wait = await loop.run_in_executor(self._drawing, self._puppet.next)
            for message in sent:
                await self.send(message)
            if wait > 0.0:
                await _sleep(self._awake, wait)

    async def _prepare(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wished.wait()
            self._wished.clear()
            wish, self._wish, number = self._wish, None, self._utterances
            if wish is None:
                continue
            problem = None
            try:
                recital = await loop.run_in_executor(self._preparing, wish, number)
            except UserError as error:
                problem = wire.Problem(error.message, error.hint)
            except Exception as error:  # noqa: BLE001 (a bug: the page is told, the server goes on)
                progress.note("".join(traceback.format_exception(error)))
                problem = wire.Problem("That failed in a way it should not.", "The console of splatalk says more.")
            if number != self._utterances:
                continue
            if problem is None:
                self.perform(recital)
            else:
                self._puppet.ask(wire.Stop())
                await self.send(problem)


async def _sleep(awake: asyncio.Event, seconds: float) -> None:
    """Until ``awake`` is set, at most ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await awake.wait()
    except TimeoutError:
        pass
