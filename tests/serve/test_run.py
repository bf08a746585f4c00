from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from aiohttp import ClientSession, web

from splatalk.errors import UserError
from splatalk.serve import run
from splatalk.serve.guard import Guard
from splatalk.serve.run import Server, listen


@contextlib.contextmanager
def taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_in_use_is_told():
    with taken() as port, pytest.raises(UserError, match=f"Port {port} is in use"):
        listen("127.0.0.1", port)


def test_without_a_port_the_next_free_one_is_taken(monkeypatch):
    with taken() as port:
        monkeypatch.setattr(run, "FIRST_PORT", port)
        with listen("127.0.0.1", None) as made:
            assert made.getsockname()[1] > port


def test_an_address_of_another_machine_is_told():
    with pytest.raises(UserError, match="cannot listen at"):
        listen("192.0.2.1", 0)
    with pytest.raises(UserError, match="cannot listen at"):
        listen("no.such.host.invalid", 0)


def test_beside_other_work_it_serves_and_ends():
    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="here")

    app.router.add_get("/", answer)
    guard = Guard("127.0.0.1")

    async def ask() -> str:
        async with ClientSession() as session, session.get(guard.url) as response:
            return await response.text()

    with Server(guard, app).beside():
        assert asyncio.run(ask()) == "here"
    with pytest.raises(OSError):
        asyncio.run(ask())
