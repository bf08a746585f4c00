"""An exported page: one file that opens from disk, offline, under its own policy."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest

from splatalk.drive.from_audio import from_audio
from splatalk.errors import UserError
from splatalk.export import player as built
from splatalk.export.compact import read
from splatalk.export.html import html_steps, write_html
from splatalk.export.sound import Sound
from tests.viewer.browser import opened


@pytest.fixture(scope="module")
def exported(tiny_avatar_path, player_bundle, tmp_path_factory):
    from splatalk import avatar as avatars

    person = avatars.load(tiny_avatar_path)
    samples = (0.2 * np.sin(np.arange(16_000) / 16_000 * 2 * np.pi * 200)).astype(np.float32)
    performance = from_audio(person, samples, seed=0)
    path = tmp_path_factory.mktemp("export") / "hello_there.html"
    steps = []
    facts = write_html(path, person, performance, Sound.mono(samples), steps.append)
    assert sum(steps) == html_steps(person, performance)
    return path, facts, len(performance)


def test_the_page_holds_player_avatar_track_and_sound(exported):
    path, facts, n_frames = exported
    text = path.read_text(encoding="utf-8")
    payload = re.search(r'id="splatalk-avatar">([^<]*)<', text)
    assert payload
    contents = read(base64.b64decode(payload[1]))
    assert contents.track is not None and contents.sound is not None
    assert len(contents.track) == n_frames == facts["frames"]
    assert contents.sound.seconds == pytest.approx(1.0)
    assert facts["bytes"] == path.stat().st_size
    assert contents.compact.provenance["consent"].startswith("Synthetic.")
    assert not re.search(r"(src|href)=\"(?!data:)", text)  # nothing comes from elsewhere


def test_it_plays_from_disk_without_the_network(browser, exported):
    path, _, n_frames = exported
    with opened(browser, path) as seen:
        seen.until("window.splatalk !== undefined", "the player")
        assert seen.page.title() == "hello there"
        assert seen.page.evaluate("splatalk.player.compact.track.length") == n_frames
        shown = seen.shown()
        assert shown[..., :3].std() > 20
        seen.page.get_by_role("button", name="Play", exact=True).click()
        seen.until("splatalk.player.time >= splatalk.player.duration", "the end")
        assert seen.errors == []
        assert seen.requests == [path.as_uri()]


def test_a_missing_player_is_told_before_the_work(monkeypatch, tmp_path):
    monkeypatch.setattr(built, "FOLDER", "nothing_here")
    with pytest.raises(UserError, match="not built") as caught:
        write_html(tmp_path / "page.html", None, None, None)  # type: ignore[arg-type]
    assert "Node" in caught.value.hint
    with pytest.raises(UserError, match="html"):
        write_html(tmp_path / "page.pdf", None, None, None)  # type: ignore[arg-type]


def test_nothing_in_a_title_or_the_player_escapes_its_place(player_bundle):
    page = player_bundle.page(b"payload", "</title><script>alert(1)</script>")
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    assert "</script" not in player_bundle.js and "</style" not in player_bundle.css
