"""Listening: a port that is free, a browser that opens, an end that is clean."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator

from aiohttp import web

from splatalk.errors import UserError
from splatalk.serve.guard import Guard

FIRST_PORT = 8123
PORTS_TRIED = 20
BACKLOG = 32
SHUTDOWN_S = 2.0
START_S = 10.0


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens there; without ``port`` at the first free one from ``FIRST_PORT``.

    Raises:
        UserError: the port is taken or not allowed, or the address is not this machine's.
    """
    wanted = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else (port,)
    for number in wanted:
        try:
            return _bound(host, number)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            if not taken or port is not None:
                raise _explained(error, host, number) from error
    return _bound(host, 0)


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _explained(error: OSError, host: str, port: int) -> UserError:
    if error.errno == errno.EADDRINUSE:
        return UserError(f"Port {port} is in use by another program.", "Choose another with --port, or leave it out.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UserError(f"Port {port} may not be used.", "Choose one from 1024 to 65535 with --port.")
    return UserError(f"This machine cannot listen at {host}.", "Use --host 127.0.0.1, or an address of this machine.")


class Server:
    """A site that listens.

    Args:
        guard: learns its port here.
        app: what is served.
        port: None is any free one.
    """

    def __init__(self, guard: Guard, app: web.Application, port: int | None = None) -> None:
        self._socket = listen(guard.host, port)
        guard.port = self._socket.getsockname()[1]
        self._app, self.url = app, guard.url

    def run(self, open_browser: bool) -> None:
        """Serve until Ctrl-C, or until the process is asked to end."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._run(open_browser))

    @contextlib.contextmanager
    def beside(self, open_browser: bool = False) -> Iterator[None]:
        """Serve in another thread while the block runs."""
        started, end = threading.Event(), threading.Event()
        wake: list[Callable[[], object]] = []

        async def serve() -> None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            wake.append(lambda: loop.call_soon_threadsafe(ended.set))
            async with self._serving():
                started.set()
                if not end.is_set():
                    await ended.wait()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="server", daemon=True)
        thread.start()
        started.wait(START_S)
        if open_browser:
            self._open_browser()
        try:
            yield
        finally:
            end.set()
            for call in wake:
                with contextlib.suppress(RuntimeError):  # its loop is over already
                    call()
            thread.join(SHUTDOWN_S + 1.0)

    async def _run(self, open_browser: bool) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not everywhere, not in threads
                loop.add_signal_handler(name, ended.set)
        async with self._serving():
            if open_browser:
                self._open_browser()
            await ended.wait()

    def _open_browser(self) -> None:
        """In a thread of its own: some browsers return when they are closed."""
        threading.Thread(target=_open, args=(self.url,), name="browser", daemon=True).start()

    @contextlib.asynccontextmanager
    async def _serving(self):
        runner = web.AppRunner(self._app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            yield
        finally:
            await runner.cleanup()


def _open(url: str) -> None:
    """In a browser with windows; one that draws letters would take the terminal."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(url)
