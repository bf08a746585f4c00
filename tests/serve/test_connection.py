"""A page's conversation with the server, over a real WebSocket, with a stand-in for the avatar."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestServer

from splatalk.errors import UserError
from splatalk.serve.connection import Connection
from splatalk.serve.messages import Frame, SoundOf
from splatalk.serve.puppet import Puppet, Recital
from tests.serve.puppets import Body, Ear, performance


class Studio:
    """Takes its time, and refuses what is called bad."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.made: list[str] = []

    def require_speech(self) -> None:
        pass

    def spoken(self, number: int, text: str, voice: str) -> Recital:
        self.may_go_on.wait(10)
        self.made.append(text)
        if text == "bad":
            raise UserError("That cannot be said.", "Say something else.")
        if text == "bug":
            raise RuntimeError("a bug")
        return Recital(number, performance(200, 0.5), b"RIFF", text)

    def heard(self, number: int, data: bytes, name: str) -> Recital:
        return Recital(number, performance(len(data)), data, name)


class Page:
    """Reads everything; ``until`` waits for a message."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, kind: str, **fields: object) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def until(self, wanted: Callable[[object], bool]) -> list[object]:
        seen: list[object] = []
        async with asyncio.timeout(10):
            async for message in self.socket:
                seen.append(read(message))
                if wanted(seen[-1]):
                    return seen
        raise AssertionError(f"closed after {seen[-3:]}")


def read(message) -> object:
    if message.type == WSMsgType.TEXT:
        return json.loads(message.data)
    kind = int.from_bytes(message.data[:4], "little")
    return (
        SoundOf(int.from_bytes(message.data[4:8], "little"), message.data[8:])
        if kind == 16
        else Frame.from_bytes(message.data)
    )


def is_state(doing: str) -> Callable[[object], bool]:
    return lambda m: isinstance(m, dict) and m.get("type") == "state" and m["doing"] == doing


def is_frame(kind: int) -> Callable[[object], bool]:
    return lambda m: isinstance(m, Frame) and m.kind == kind


def is_type(name: str) -> Callable[[object], bool]:
    return lambda m: isinstance(m, dict) and m.get("type") == name


def converse(talk: Callable[[Page], Awaitable[None]], studio: Studio | None = None, body: Body | None = None) -> None:
    """Run ``talk`` against a server."""

    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=1_000_000)
        await socket.prepare(request)
        puppet = Puppet(body or Body(), Ear())
        await Connection(socket, puppet, studio or Studio(), drawing, preparing).run()  # type: ignore[arg-type]
        return socket

    async def both() -> None:
        app = web.Application()
        app.router.add_get("/live", serve)
        async with (
            TestServer(app) as server,
            ClientSession() as session,
            session.ws_connect(server.make_url("/live")) as socket,
        ):
            await talk(Page(socket))

    with (
        concurrent.futures.ThreadPoolExecutor(1) as drawing,
        concurrent.futures.ThreadPoolExecutor(1) as preparing,
    ):
        asyncio.run(both())


def test_a_text_is_prepared_and_spoken():
    async def talk(page: Page) -> None:
        await page.say("say", text="Hello.")
        await page.until(is_state("preparing"))
        await page.until(is_state("speaking"))
        seen = await page.until(is_frame(Frame.UTTERANCE))
        assert seen[0]["text"] == "Hello."
        assert seen[1] == SoundOf(seen[0]["id"], b"RIFF")
        assert seen[2].time == 0.0

    converse(talk)


def test_a_new_wish_ends_the_old_one_even_while_it_is_prepared():
    studio = Studio()

    async def talk(page: Page) -> None:
        studio.may_go_on.clear()
        await page.say("say", text="first")
        await page.until(is_state("preparing"))
        await page.say("say", text="second")
        await page.say("say", text="third")
        await page.until(is_state("preparing"))
        studio.may_go_on.set()
        spoken = (await page.until(is_type("utterance")))[-1]
        assert spoken["text"] == "third"

    converse(talk, studio)
    assert studio.made[-1] == "third"
    assert len(studio.made) <= 2, "what nobody waits for any more is not begun"


def test_stop_ends_at_once_and_idling_goes_on():
    async def talk(page: Page) -> None:
        await page.say("say", text="Hello.")
        await page.until(is_frame(Frame.UTTERANCE))
        await page.say("stop")
        await page.until(is_state("idle"))
        seen = await page.until(is_frame(Frame.IDLE))
        assert not any(isinstance(m, Frame) and m.kind == Frame.UTTERANCE for m in seen)

    converse(talk)


def test_stop_while_preparing_means_silence():
    studio = Studio()

    async def talk(page: Page) -> None:
        studio.may_go_on.clear()
        await page.say("say", text="first")
        await page.until(is_state("preparing"))
        await page.say("stop")
        await page.until(is_state("idle"))
        studio.may_go_on.set()
        for _ in range(10):
            seen = await page.until(is_frame(Frame.IDLE))
            assert not any(map(is_type("utterance"), seen))

    converse(talk, studio)


@pytest.mark.parametrize(("text", "part"), [("bad", "cannot be said"), ("bug", "should not")])
def test_what_cannot_be_made_is_told_and_the_rest_goes_on(text, part):
    async def talk(page: Page) -> None:
        await page.say("say", text=text)
        problem = (await page.until(is_type("error")))[-1]
        assert part in problem["message"]
        assert problem["hint"]
        await page.until(is_frame(Frame.IDLE))

    converse(talk)


def test_a_sound_arrives_whole_or_not_at_all():
    async def talk(page: Page) -> None:
        await page.say("sound", name="a.wav", bytes=5)
        await page.socket.send_bytes(b"four")
        assert "whole" in (await page.until(is_type("error")))[-1]["message"]
        await page.say("sound", name="a.wav", bytes=5)
        await page.socket.send_bytes(b"fives")
        assert (await page.until(is_type("utterance")))[-1]["text"] == "a.wav"

    converse(talk)


def test_the_mouth_follows_the_microphone():
    async def talk(page: Page) -> None:
        await page.say("mic", on=True)
        chunk = (np.full(640, 0.5) * 32767).astype("<i2").tobytes()
        for _ in range(50):
            await page.socket.send_bytes(chunk)
            await asyncio.sleep(0.01)
        seen = await page.until(lambda m: is_frame(Frame.MICROPHONE)(m) and m.values[0] > 0.49)
        assert any(map(is_state("listening"), seen))
        await page.say("mic", on=False)
        await page.until(is_state("idle"))

    converse(talk)


@pytest.mark.parametrize("nonsense", ["", "[]", '{"type": 7}', '{"type": "controls", "expression": {"no": 1}}'])
def test_nonsense_is_answered_and_forgotten(nonsense):
    async def talk(page: Page) -> None:
        await page.socket.send_str(nonsense)
        assert (await page.until(is_type("error")))[-1]["hint"]
        await page.until(is_frame(Frame.IDLE))

    converse(talk)


def test_a_message_that_is_too_large_ends_the_connection():
    async def talk(page: Page) -> None:
        await page.socket.send_bytes(bytes(1_500_000))
        with pytest.raises(AssertionError, match="closed"):
            await page.until(lambda m: False)

    converse(talk)


def test_the_event_loop_answers_while_frames_are_slow():
    class Slow(Body):
        def values(self, one, knobs):
            time.sleep(0.3)
            return super().values(one, knobs)

    async def talk(page: Page) -> None:
        await page.until(is_frame(Frame.IDLE))
        began = time.monotonic()
        await page.socket.send_str("nonsense")
        await page.until(is_type("error"))
        assert time.monotonic() - began < 0.25

    converse(talk, body=Slow())
