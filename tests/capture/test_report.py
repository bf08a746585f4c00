"""The report's page and its JSON: complete, well-formed, escaped, documented, not growing with the recording."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splatalk.capture import quality, report_page
from splatalk.capture.advice import limits
from splatalk.capture.report import Shot, Shots, shots, worst_frames
from tests.capture.made_up import figures, recording

FORMATS = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
NASTY = '<img src=x onerror="alert(1)"><script>&\'.mp4'
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and text; fails on a tag that is closed wrongly or left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Any], str]:
    seen = recording(NASTY, features=np.zeros((200, 512), np.float32))
    told = quality.judge(seen)
    return told, report_page.build(seen, told)


def test_the_page_needs_nothing_else_and_runs_nothing(made):
    _, text = made
    read = Page(text)
    assert "script" not in read.tags and "link" not in read.tags and "http" not in text.replace("http-equiv", "")
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in read.attributes
    addresses = [value for name, value in read.attributes if name in ("src", "href")]
    assert len(addresses) == 11 and all(str(a).startswith("data:image/jpeg;base64,") for a in addresses)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert NASTY in read.text and "<script>" not in text


def test_the_page_says_what_the_figures_say(made):
    told, text = made
    read = Page(text)
    for tip in told["advice"]:
        assert tip["text"] in read.text
    for limit in told["grade"]["limits"]:
        assert limit["label"] in read.text and limit["value"] in read.text
    assert f"A {told['grade']['word']} recording" in read.text and "2 blurred" in read.text
    assert "98 %, its points to 0.25 px" in read.text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_figures_are_those_of_the_recording(made):
    told, _ = made
    assert told["frames"] == {
        "total": 100, "used": 98, "by_reason": {"blurred": 2},
        "left_out": [{"from": 0.4, "to": 0.48, "reason": "blurred"}],
    }  # fmt: skip
    assert told["pose"]["left_deg"] == pytest.approx(8, abs=0.3) == told["pose"]["right_deg"]
    assert told["face"]["reprojection_px"] == pytest.approx(0, abs=0.01)
    assert told["motion"]["skin_followed"] == 0.98 and told["motion"]["skin_px"] == 0.25
    assert told["grade"]["points"] == max(0, round(100 - sum(f["points"] for f in told["grade"]["limits"])))


def test_report_json_is_plain_and_documented(made):
    told, _ = made
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    section = FORMATS.read_text(encoding="utf-8").split("## `report.json`")[1].split("\n## ")[0]
    documented = set(re.findall(r"`([a-z_0-9]+)`", section))
    keys = {*told, *(key for group in told.values() if isinstance(group, dict) for key in group)}
    keys |= {key for limit in limits(told) for key in limit} | {key for tip in told["advice"] for key in tip}
    assert keys - documented == set()


def test_without_the_speech_model_and_with_nothing_to_improve():
    told = quality.judge(recording(features=None))
    assert told["speech"]["visemes"] is None
    picture = Shot("a & b", b"jpeg", 4, 4)
    empty = {"times": [], "yaw": [], "pitch": [], "opening": [], "brightness": [], "level": []}
    perfect = {**figures({}), "grade": {"points": 100, "word": "very good", "limits": []}, "warnings": [], "advice": []}
    perfect["sync"] = {"checked": False, "moved_s": 0.0}
    perfect["speech"] = told["speech"]
    read = Page(report_page.document(perfect, Shots([picture], [], []), empty))
    assert "Nothing that would be worth" in read.text and "a & b" in read.text and "was not checked" in read.text


def test_a_page_does_not_grow_with_the_recording():
    short, long = (report_page.curves(recording(n=n)) for n in (800, 8000))
    assert all(len(curve) <= 700 for curve in long.values()) and len(long["yaw"]) <= len(short["yaw"]) * 2
    assert short["yaw"][5] is None, "frames that are left out are gaps"


def test_pictures_show_the_extremes_and_the_worst():
    seen = recording()
    told = shots(seen)
    assert [p.caption.split(",")[0] for p in told.poses[:3]] == ["Looking ahead", "Left", "Right"]
    assert "+8°" in told.poses[1].caption and "-8°" in told.poses[2].caption
    (first, why), *others = worst_frames(seen)
    assert first == 11 and "blurred" in why
    assert {i for i, _ in others} == {
        int(seen.used[seen.solved.solution.residual[seen.used].argmax()]),
        int(seen.used[seen.rows.sharpness[seen.used].argmin()]),
    }
