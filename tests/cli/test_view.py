from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from splatalk import avatar as avatars
from splatalk.errors import UserError
from splatalk.export import player
from splatalk.serve import preparation
from splatalk.serve.messages import Frame
from tests.viewer.performer import performer


@pytest.fixture
def built() -> None:
    try:
        player.bundle()
    except UserError as error:
        pytest.skip(f"NOT TESTED: {error}")


@contextlib.contextmanager
def viewing(*words: object, env: dict[str, str] | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`splatalk view` in a process of its own, and its address."""
    command = [sys.executable, "-m", "splatalk", "view", *map(str, words), "--no-browser", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, (line, process.communicate(timeout=10))
        yield process, found[0].rstrip('",')
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], by: signal.Signals) -> tuple[int, str]:
    process.send_signal(by)
    _, error = process.communicate(timeout=20)
    return process.returncode, error


def test_a_missing_player_is_told_before_anything_slow(run, tiny_avatar_path, monkeypatch):
    monkeypatch.setattr(player, "FOLDER", "nowhere")
    result = run("view", tiny_avatar_path, "--no-browser")
    assert result.exit_code == 2
    assert "not built" in result.stderr


@pytest.mark.parametrize(
    ("words", "part"),
    [(("--host", "0.0.0.0"), "--allow-network"), (("--emotion", "happy"), "nothing to adjust"),
     (("--port", "0"), "port"), (("--audio", "missing.wav"), "missing.wav")],
)  # fmt: skip
def test_what_cannot_be_meant_is_told(run, tiny_avatar_path, words, part):
    result = run("view", tiny_avatar_path, *words)
    assert result.exit_code == 2
    assert part in result.stderr


def test_a_file_that_is_no_compact_avatar_is_told(run, built, tmp_path):
    path = tmp_path / "a.compact"
    path.write_bytes(b"something else")
    assert run("view", path, "--no-browser").exit_code == 2
    assert "plays what is in it" in run("view", path, "--lip-scale", "2").stderr


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_compact_file_is_served_until_it_is_stopped(built, tmp_path, by):
    from splatalk.export.compact import write

    write(tmp_path / "made_up.compact", *performer())

    async def fetch(url: str) -> tuple[int, bytes, str]:
        async with (
            ClientSession() as session,
            session.get(url) as page,
            session.get(url + "avatar.compact") as avatar,
        ):
            return page.status, await avatar.read(), await page.text()

    with viewing(tmp_path / "made_up.compact") as (process, url):
        status, data, text = asyncio.run(fetch(url))
        assert ended(process, by) == (0, "")
    assert status == 200
    assert data == (tmp_path / "made_up.compact").read_bytes()
    assert 'data-live="0"' in text


def a_wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        noise = np.random.default_rng(0).standard_normal(8000) * 3000
        file.writeframes(noise.astype("<i2").tobytes())
    return out.getvalue()


async def frame(socket: ClientWebSocketResponse, kind: int) -> Frame:
    async with asyncio.timeout(60):
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                assert json.loads(message.data)["type"] != "error", message.data
            elif message.data[0] == kind:
                return Frame.from_bytes(message.data)
    raise AssertionError("closed")


async def idle_after(socket: ClientWebSocketResponse, seconds: float) -> np.ndarray:
    """The frame that it idles in, some time from now."""
    first = await frame(socket, Frame.IDLE)
    while (later := await frame(socket, Frame.IDLE)).time < first.time + seconds:
        pass
    return later.values


def test_an_avatar_speaks_follows_sliders_and_the_microphone(built, tiny_avatar_path, tmp_path):
    async def talk(url: str) -> None:
        async with ClientSession() as session, session.ws_connect(url + "live") as socket:
            hello = json.loads((await socket.receive()).data)
            k = hello["coefficients"]
            rest = await frame(socket, Frame.IDLE)
            assert rest.values.shape == (k + 14,)
            await socket.send_str(json.dumps({"type": "sound", "name": "a.wav", "bytes": len(a_wav())}))
            await socket.send_bytes(a_wav())
            assert (await frame(socket, Frame.UTTERANCE)).time == 0.0
            await socket.send_str('{"type": "stop"}')
            still = {"type": "controls", "head": "still"}
            await socket.send_str(json.dumps(still))
            before = await idle_after(socket, 1.0)
            await socket.send_str(json.dumps({**still, "expression": {"jawOpen": 1.0, "browInnerUp": 1.0}}))
            after = await idle_after(socket, 1.0)
            assert np.abs(after[:k] - before[:k]).max() > 0.5
            if hello["microphone"]:
                await socket.send_str('{"type": "mic", "on": true}')
                for _ in range(25):
                    await socket.send_bytes(bytes(640 * 2))
                await frame(socket, Frame.MICROPHONE)
            if shutil.which("espeak-ng"):
                await socket.send_str('{"type": "say", "text": "Hello."}')
                assert (await frame(socket, Frame.UTTERANCE)).utterance > 1

    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "SPLATALK_ASSETS": str(tmp_path)}
    with viewing(tiny_avatar_path, env=env) as (process, url):
        asyncio.run(talk(url))
        assert ended(process, signal.SIGINT) == (0, "")
    assert len(list((tmp_path / "splatalk" / "prepared").iterdir())) == 1


def test_the_second_time_nothing_is_prepared(tiny_avatar_path, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "_folder", lambda: tmp_path)
    avatar = avatars.load(tiny_avatar_path)
    first = preparation.prepared(avatar, tiny_avatar_path)
    began = time.monotonic()
    monkeypatch.setattr(preparation, "_distilled", lambda avatar: pytest.fail("distilled again"))
    second = preparation.prepared(avatar, tiny_avatar_path)
    assert time.monotonic() - began < 5
    knobs, controls = preparation_knobs(), first.ear().idle()
    np.testing.assert_allclose(second.values(controls, knobs), first.values(controls, knobs), atol=1e-6)
    kept = next(tmp_path.iterdir()) / "projection.safetensors"
    kept.write_bytes(b"damaged")
    with pytest.raises(pytest.fail.Exception, match="distilled again"):
        preparation.prepared(avatar, tiny_avatar_path)


def preparation_knobs():
    from splatalk.serve.messages import SetControls
    from splatalk.serve.person import Knobs

    return Knobs(SetControls())
