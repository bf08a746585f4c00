"""What a person does with the page: play, look around, choose; and what the page does when something goes wrong."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.export.compact import to_bytes
from tests.viewer.browser import Opened, opened
from tests.viewer.performer import FPS, MOUTH, QUIET_UNTIL, SECONDS, performer

STAGE = ".stage"
# A browser with a working graphics card prints nothing; the software renderer tells of itself.
HARMLESS = ("GPU stall", "software", "fallback")


def serious(player: Opened) -> list[str]:
    return [text for text in player.errors if not any(word in text for word in HARMLESS)]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.float64) - b).mean())


def orbit(player: Opened) -> dict[str, float]:
    return player.page.evaluate("({...splatalk.player.control.orbit})")


def settles(player: Opened, **wanted: float) -> None:
    """Wait until the orbit has glided to where it should."""
    near = " && ".join(
        f"Math.abs(splatalk.player.control.orbit.{key} - {value}) < 0.05" for key, value in wanted.items()
    )
    player.until(near, f"{wanted}")


def test_it_opens_from_disk_alone_and_says_what_it_is(player, performance_page):
    assert player.page.title() == "A <made-up> person"
    assert player.requests == [performance_page.as_uri()]
    assert serious(player) == []
    player.page.get_by_role("button", name="Settings and information").click()
    about = player.page.locator(".drawer").inner_text()
    assert "Nobody's likeness." in about
    assert "computer-generated" in about
    player.page.keyboard.press("Escape")
    assert player.page.locator(".drawer").is_hidden()


def test_the_policy_forbids_what_the_page_does_not_need(player, performance_page):
    policy = performance_page.read_text(encoding="utf-8").split('Content-Security-Policy" content="')[1].split('"')[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    blocked = player.page.evaluate("fetch('https://example.invalid/').then(() => 'sent', (e) => String(e))")
    assert blocked != "sent"
    assert any("Content Security Policy" in text for text in player.errors)


def test_picture_follows_sound_and_the_mouth_moves(player):
    player.page.evaluate(
        """() => {
             window.log = [];
             const {player} = splatalk;
             player.on("draw", () => {
               if (player.playing) log.push([player.time, player.frame.time, player.audio.currentTime]);
             });
             player.on("ended", () => { window.ended = player.time; });
           }"""
    )
    player.page.get_by_role("button", name="Play", exact=True).click()
    assert player.until("window.ended", "the end") == pytest.approx(SECONDS, abs=0.05)
    shown = np.array(player.page.evaluate("log"))
    assert len(shown) >= 2  # a busy machine draws few
    clock, frame, audio = shown.T
    assert (frame <= clock + 1e-6).all()
    assert (clock - frame < 1 / FPS + 0.02).all()  # never an old frame, however slow the machine draws
    assert audio[-1] - audio[0] == pytest.approx(clock[-1] - clock[0], abs=0.05)  # the sound's own clock

    quiet, loud = (shown_at(player, t)[MOUTH][..., :3] for t in (0.4 * QUIET_UNTIL, QUIET_UNTIL + 0.14))
    again = shown_at(player, 0.44 * QUIET_UNTIL)[MOUTH][..., :3]
    assert difference(quiet, loud) > 3 * difference(quiet, again)
    assert loud[..., 0].mean() < quiet[..., 0].mean() - 3  # an open mouth is dark


def shown_at(player: Opened, seconds: float) -> np.ndarray:
    """The stage at a moment of the track, as (200, 200, 4)."""
    import cv2

    player.page.evaluate("t => splatalk.player.seek(t)", seconds)
    return cv2.resize(player.shown(), (200, 200), interpolation=cv2.INTER_AREA)


def test_scrubbing_with_hand_and_keys(player):
    start = player.shown()
    scrub = player.page.get_by_label("Position")
    box = scrub.bounding_box()
    player.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert player.page.evaluate("splatalk.player.frame.time") == pytest.approx(0.75 * SECONDS, abs=0.15)
    assert difference(start, player.shown()) > 0.5
    scrub.press("Home")
    assert difference(start, player.shown()) == 0.0
    player.page.locator(STAGE).press(" ")
    assert player.until("splatalk.player.playing", "space to play")
    player.page.locator(STAGE).press(" ")
    assert not player.page.evaluate("splatalk.player.playing")


def test_looping_and_speed(player):
    page = player.page
    page.get_by_label("Speed").select_option("0.5")
    page.get_by_role("button", name="Play again and again").click()
    began = page.evaluate(
        "splatalk.player.seek(1.5), splatalk.player.play().then(() => splatalk.player.audio.currentTime)"
    )
    now, heard = page.evaluate("[splatalk.player.time, splatalk.player.audio.currentTime]")
    assert now - 1.5 <= 0.5 * (heard - began) + 0.01
    player.until("splatalk.player.time > 1.8", "the end")
    player.until("splatalk.player.time < 1", "the beginning again")
    assert page.evaluate("splatalk.player.playing")


def test_turning_is_held_back_at_what_was_recorded_unless_freed(player):
    page = player.page
    front = player.shown()
    page.mouse.move(90, 40)
    page.mouse.down()
    page.mouse.move(30, 40, steps=3)
    turned = orbit(player)
    assert 5 < turned["yaw"] < 40
    assert difference(front, player.shown()) > 1
    page.mouse.move(-470, 40, steps=3)
    assert 25 < orbit(player)["yaw"] <= 25 + 14  # the rubber band
    page.mouse.up()
    settles(player, yaw=25)
    page.evaluate("splatalk.player.control.free = true")
    for _ in range(5):
        page.locator(STAGE).press("Shift+ArrowRight")
    settles(player, yaw=25 + 45)
    assert "left" in page.locator(".dial").get_attribute("aria-label")
    page.locator(STAGE).dblclick(position={"x": 90, "y": 40})
    player.until("Object.values(splatalk.player.control.orbit).join() === '0,0,1,0,0'", "the front")
    assert difference(front, player.shown()) == 0.0


@pytest.mark.parametrize("act", ["free = true", "turnTo(10, 0)"])
def test_a_glide_under_way_gives_way_to_the_hand(player, act):
    yaw = player.page.evaluate(
        f"""async () => {{
              const {{control}} = splatalk.player;
              control.turnTo(300, 0);  // far beyond: it begins to glide back
              control.{act};
              const now = control.orbit.yaw;
              await new Promise((done) => setTimeout(done, 600));  // more than twice a glide
              return [now, control.orbit.yaw];
            }}"""
    )
    assert yaw[0] == yaw[1]


def test_zooming_lets_the_rubber_band_finish(player):
    player.page.mouse.move(90, 40)
    player.page.evaluate("splatalk.player.control.turnTo(300, 0)")
    player.page.mouse.wheel(0, -300)
    player.until("splatalk.player.control.orbit.zoom > 1.3", "the wheel")
    settles(player, yaw=25)
    assert player.page.evaluate("splatalk.player.control.orbit.zoom") > 1.3


def test_shifting_and_zooming(player):
    page = player.page
    front = player.shown()
    page.mouse.move(90, 40)
    page.mouse.wheel(0, -300)
    player.until("splatalk.player.control.orbit.zoom > 1.3", "the wheel")
    page.locator(STAGE).press("-")
    page.mouse.down(button="right")
    page.mouse.move(120, 60, steps=2)
    page.mouse.up(button="right")
    assert orbit(player)["panX"] > 0.05
    assert orbit(player)["yaw"] == 0
    assert difference(front, player.shown()) > 1
    page.locator(STAGE).press("0")
    settles(player, zoom=1, panX=0)


def test_one_finger_turns_two_fingers_zoom(browser, performance_page):
    with opened(browser, performance_page, has_touch=True) as seen:
        seen.until("window.splatalk !== undefined", "the player")
        touch = seen.page.context.new_cdp_session(seen.page)

        def fingers(kind: str, *places: tuple[float, float]) -> None:
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        fingers("touchStart", (90, 40))
        fingers("touchMove", (60, 40))
        seen.until("splatalk.player.control.orbit.yaw > 5", "the turn")
        fingers("touchEnd")
        before = orbit(seen)
        fingers("touchStart", (100, 40), (140, 40))
        fingers("touchMove", (60, 40), (180, 40))
        seen.until("splatalk.player.control.orbit.zoom > 2.5", "the pinch")
        fingers("touchEnd")
        assert orbit(seen)["yaw"] == before["yaw"]


def test_backgrounds(player):
    corner = (slice(0, 20), slice(0, 20))
    plate = player.shown()[corner]
    player.page.get_by_role("button", name="Settings and information").click()
    player.page.get_by_text("None", exact=True).click()
    assert player.shown()[corner][..., 3].max() == 0
    player.page.get_by_text("Colour", exact=True).click()
    color = player.shown()[corner]
    assert color[..., 3].min() == 255
    assert np.ptp(color.reshape(-1, 4), axis=0).max() == 0
    player.page.get_by_text("As recorded", exact=True).click()
    assert difference(plate, player.shown()[corner]) < 3  # the stage is narrower now


def test_the_camera_follows_the_head(player):
    player.page.evaluate("splatalk.player.seek(1.9)")
    before = player.shown()
    player.page.evaluate("splatalk.player.choose({followHead: true})")
    assert difference(before, player.shown()) > 1


def test_a_lost_context_comes_back(player):
    player.page.evaluate("splatalk.player.seek(1.2)")
    before = player.shown()
    player.page.evaluate(
        "window.loss = document.querySelector('canvas').getContext('webgl2').getExtension('WEBGL_lose_context')"
    )
    player.page.evaluate("loss.loseContext()")
    assert "interrupted" in player.notice()
    assert player.page.evaluate("splatalk.player.picture()") is None
    player.page.evaluate("loss.restoreContext()")
    player.until("document.querySelector('.notice').hidden", "the picture")
    assert difference(before, player.shown()) == 0.0


def test_a_picture_is_a_png_that_says_what_it_is(player, tmp_path):
    with player.page.expect_download() as waiting:
        player.page.get_by_role("button", name="Take a picture").click()
    data = waiting.value.path().read_bytes()
    assert data.startswith(b"\x89PNG")
    assert b"computer-generated" in data
    import cv2

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert difference(picture, player.shown()[..., :3]) < 0.01


def test_a_film_has_picture_and_sound(player, tmp_path):
    import av

    with player.page.expect_download(timeout=30_000) as waiting:
        player.page.get_by_role("button", name="Record a film").click()
    film = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(film)
    assert film.suffix == ".webm"
    with av.open(str(film)) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}
        pictures = sum(1 for _ in container.decode(video=0))
    assert pictures >= 2


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_control_can_be_reached_on_every_screen(browser, performance_page, scheme, width):
    with opened(browser, performance_page, viewport={"width": width, "height": 700}, color_scheme=scheme) as seen:
        seen.until("window.splatalk !== undefined", "the player")
        page = seen.page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        names = []
        for _ in range(14):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''"))
            left, right, bottom = page.evaluate(
                "(({left, right, bottom}) => [left, right, bottom])(document.activeElement.getBoundingClientRect())"
            )
            assert left >= 0 and right <= width and bottom <= 700, names[-1]
        said = " | ".join(names)
        for word in ("Play", "Position", "again", "Sound", "picture", "film", "Full screen", "Settings", "front"):
            assert word in said, said
        dark = sum(
            page.evaluate("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)")[:3]
        )
        assert (dark < 200) == (scheme == "dark")


def test_a_damaged_file_is_told_in_words(browser, player_bundle, tmp_path):
    whole = to_bytes(*performer(), compress=False)
    for name, payload in {"cut": whole[: len(whole) // 2], "other": b"<html>nothing here</html>" * 9}.items():
        path = tmp_path / f"{name}.html"
        path.write_text(player_bundle.page(payload, name), encoding="utf-8")
        with opened(browser, path) as seen:
            seen.until("!document.querySelector('.notice')?.textContent.startsWith('Loading')", "an answer")
            told = seen.notice()
            assert ("ends too early" in told) if name == "cut" else ("not a compact avatar" in told)
            assert "again" in told  # what to do
            assert serious(seen) == []


def test_without_webgl2_it_says_so(browser, performance_page):
    script = "HTMLCanvasElement.prototype.getContext = () => null;"
    with opened(browser, performance_page, script) as seen:
        seen.until("document.querySelector('.notice')?.textContent.includes('WebGL2')", "the reason")
        assert "acceleration" in seen.notice()


def test_sound_that_cannot_be_decoded_leaves_the_picture(browser, player_bundle, tmp_path):
    import dataclasses

    compact, track, sound = performer()
    path = tmp_path / "mute.html"
    broken = dataclasses.replace(sound, data=b"no sound at all " * 40)
    path.write_text(player_bundle.page(to_bytes(compact, track, broken), "mute"), encoding="utf-8")
    with opened(browser, path) as seen:
        seen.until("window.splatalk !== undefined", "the player")
        assert "cannot play the sound" in seen.notice()
        seen.page.get_by_role("button", name="Close this message").click()
        assert seen.page.locator(".notice").is_hidden()
        seen.page.evaluate("splatalk.player.play().then(() => undefined)")
        seen.until("splatalk.player.frame.time > 0.1", "the picture to move")
