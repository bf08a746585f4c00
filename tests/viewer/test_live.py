"""The live page in a browser: what is typed, dropped, moved and said arrives on screen."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Iterator

import numpy as np
import pytest

from splatalk.export.sound import Sound
from splatalk.export.wav import wav_bytes
from splatalk.speech import read_audio
from tests.conftest import SAMPLE_SPEECH
from tests.viewer.browser import FLAGS, Opened, chromium
from tests.viewer.live_server import BROW, MOUTH, TILT_RAD, live_server, visited

COEFFICIENT = "window.splatalk.player.frame.coefficients[{}]"


def tone(seconds: float = 1.5) -> bytes:
    out = io.BytesIO()
    moments = np.arange(round(16_000 * seconds)) / 16_000
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((0.6 * np.sin(2 * np.pi * 220 * moments) * 32767).astype("<i2").tobytes())
    return out.getvalue()


@pytest.fixture(scope="module")
def open_page(browser, player_bundle) -> Iterator[Opened]:
    server = live_server(player_bundle)
    with server.beside(), visited(browser, server.url) as seen:
        seen.until("document.querySelector('.talk') !== null", "the panel")
        yield seen


@pytest.fixture
def live(open_page) -> Opened:
    """The page, its panel open, connected, at rest."""
    for name in ("Stop", "All back to neutral"):
        open_page.page.evaluate(
            "(name) => [...document.querySelectorAll('button')].find((b) => b.textContent === name).click()", name
        )
    rest = f"splatalk.player.duration === 0 && {coefficient(MOUTH)} < 0.01 && {coefficient(BROW)} === 0"
    open_page.until(rest, "rest")
    open_page.errors.clear()
    return open_page


def coefficient(place: int) -> str:
    return COEFFICIENT.format(place)


def state(live: Opened) -> str:
    return str(live.page.locator(".doing").text_content())


def test_it_is_alive(live):
    assert live.page.title() == "Made-up"
    assert "connected" in live.page.locator(".drawer").inner_text()
    first = live.page.evaluate("splatalk.player.frame.time")
    live.until(f"splatalk.player.frame.time > {first}", "another frame")
    assert not [e for e in live.errors if "Security" in e or "Error" in e]


def test_a_text_moves_the_mouth_and_its_end_closes_it(live):
    live.page.get_by_label("What it should say").fill("Hello.")
    live.page.get_by_role("button", name="Say it").click()
    live.until(f"{coefficient(MOUTH)} > 0.25", "an open mouth")
    assert state(live) == "Speaking"
    assert live.page.evaluate("splatalk.player.playing")
    live.until(f"{coefficient(MOUTH)} < 0.01 && splatalk.player.duration === 0", "silence")
    assert state(live) == ""


def test_stop_ends_it_at_once(live):
    live.page.get_by_label("What it should say").fill("long")
    live.page.keyboard.press("Enter")
    live.until(f"{coefficient(MOUTH)} > 0.25", "an open mouth")
    live.page.get_by_role("button", name="Stop").click()
    began = time.monotonic()
    live.until(f"!splatalk.player.playing && {coefficient(MOUTH)} < 0.05", "silence")
    assert time.monotonic() - began < 5.0, "it would speak for half a minute"


def test_what_cannot_be_said_is_told(live):
    live.page.get_by_label("What it should say").fill("bad")
    live.page.get_by_role("button", name="Say it").click()
    assert live.notice() == "That cannot be said.Say something else."


def test_a_dropped_sound_is_spoken(live):
    live.page.locator("input[type=file]").set_input_files({"name": "a.wav", "mimeType": "audio/wav", "buffer": tone()})
    live.until(f"{coefficient(MOUTH)} > 0.3", "an open mouth")
    live.page.evaluate(
        """() => {
             const transfer = new DataTransfer();
             transfer.items.add(new File(["#EXTM3U"], "list.wav"));
             document.querySelector(".stage").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer}));
           }"""
    )
    live.until("document.querySelector('.notice').textContent.startsWith('list.wav is no sound file.')", "a refusal")


def test_a_slider_moves_a_brow_while_it_speaks_and_while_it_idles(live):
    slider = live.page.get_by_role("slider", name="Brows up")
    slider.fill("0.8")
    live.until(f"Math.abs({coefficient(BROW)} - 0.8) < 0.01", "a raised brow")
    live.page.get_by_label("What it should say").fill("long")
    live.page.get_by_role("button", name="Say it").click()
    live.until(f"{coefficient(MOUTH)} > 0.25 && {coefficient(BROW)} > 0.7", "both")
    live.page.get_by_role("button", name="All back to neutral").click()
    live.until(f"{coefficient(MOUTH)} > 0.25 && {coefficient(BROW)} === 0", "the brow down, still speaking")


def test_all_curves_can_be_searched(live):
    live.page.get_by_text("All 52 curves").click()
    live.page.get_by_label("Search the curves").fill("sneer left")
    assert live.page.locator("details .slider:visible").all_inner_texts() == ["Nose sneer left"]


@pytest.fixture(scope="module")
def hearing_browser(browser, tmp_path_factory):
    """A browser whose microphone hears somebody speak; a tone would soon be suppressed as noise."""
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    samples = read_audio(SAMPLE_SPEECH)
    path.write_bytes(wav_bytes(Sound.mono(samples * np.float32(0.9 / np.abs(samples).max()))))
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    flags = [*FLAGS, *fake, f"--use-file-for-fake-audio-capture={path}"]
    running = browser.browser_type.launch(executable_path=chromium(), args=flags)
    yield running
    running.close()


def test_the_mouth_follows_the_microphone_and_the_delay_is_shown(hearing_browser, player_bundle):
    server = live_server(player_bundle)
    with server.beside(), visited(hearing_browser, server.url) as live:
        live.until("document.querySelector('.talk') !== null", "the panel")
        live.page.locator(".stage").focus()
        live.page.keyboard.down("t")
        live.until(f"{coefficient(MOUTH)} > 0.08", "an open mouth")
        assert state(live) == "Listening"
        live.until(
            "/Delay \\d+ ms, 99 % within \\d+ ms; \\d+ ms of it/.test(document.querySelector('.drawer').innerText)"
        )
        live.page.keyboard.up("t")
        live.until(f"{coefficient(MOUTH)} < 0.01", "silence")
        live.until("document.querySelector('.doing').textContent === ''", "idling")


def test_it_listens_to_the_microphone_without_repeating_it(hearing_browser, player_bundle):
    server = live_server(player_bundle)
    tilt = "2 * Math.asin(splatalk.player.frame.head[3])"
    with server.beside(), visited(hearing_browser, server.url) as live:
        live.until("document.querySelector('.talk') !== null", "the panel")
        live.page.get_by_label("It listens to me").check()
        live.page.keyboard.down("t")
        live.until(f"{tilt} > {0.9 * TILT_RAD}", "a tilted head")
        assert state(live) == "Listening to you"
        assert live.page.evaluate(coefficient(MOUTH)) == 0
        live.page.keyboard.up("t")
        live.until(f"Math.abs({tilt}) < 0.01", "rest")
        assert state(live) == ""
        live.page.get_by_label("It listens to me").uncheck()
        live.page.keyboard.down("t")
        live.until(f"{coefficient(MOUTH)} > 0.08", "an open mouth, now that it repeats")
        live.page.keyboard.up("t")


def test_a_lost_server_is_told_and_found_again(browser, player_bundle):
    first = live_server(player_bundle)
    port = int(first.url.rsplit(":", 1)[1].rstrip("/"))
    with visited(browser) as live:
        with first.beside():
            live.page.goto(first.url)
            live.until("document.querySelector('.talk') !== null", "the panel")
            live.page.get_by_role("slider", name="Brows up").fill("0.6")
            live.until(f"{coefficient(BROW)} > 0.5", "a raised brow")
        assert "connection to splatalk is lost" in live.notice()
        with live_server(player_bundle, port).beside():
            live.until("document.querySelector('.notice').hidden", "the connection")
            live.until(f"{coefficient(BROW)} > 0.5", "the sliders' values, sent again")
            first_time = live.page.evaluate("splatalk.player.frame.time")
            live.until(f"splatalk.player.frame.time !== {first_time}", "new frames")
