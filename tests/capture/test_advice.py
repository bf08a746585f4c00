"""Each shortcoming costs points and brings its advice, alone; what is good does neither; the costliest comes first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splatalk.capture import quality
from splatalk.capture.advice import RULES, advice, limits
from tests.capture.made_up import PERFECT, figures

README = Path(__file__).resolve().parents[2] / "captures" / "README.md"
BAD = {
    "recording.seconds": (20.0, "Record 40 s more"),
    "pose.left_deg": (8.0, "further left: 8 degrees reached, 20 wanted"),
    "pose.right_deg": (3.0, "further right: 3 degrees reached, 20 wanted"),
    "pose.up_deg": (2.0, "Raise your chin"),
    "pose.down_deg": (2.0, "Lower your chin"),
    "face.size_px": (110.0, "Move closer to the camera"),
    "picture.blur_px": (2.6, "into focus"),
    "picture.brightness": (30.0, "more light on the face"),
    "picture.grain": (9.0, "more light on the scene"),
    "picture.clipped": (0.2, "softer: 20 % of the face"),
    "picture.drift": (0.4, "Lock the camera's exposure"),
    "frames.used": (1500, "67 % of the frames"),
    "mouth.widest_mm": (5.0, "Open your mouth wide"),
    "mouth.blinks": (0, "Blink"),
    "sound.snr_db": (12.0, "quieter room: speech is 12 dB above"),
    "sound.speech_db": (-50.0, "Turn the microphone up"),
    "sound.clipped": (0.01, "Turn the microphone down"),
    "sound.hum": ({"hz": 50, "level_db": -25.0}, "hum (50 Hz"),
    "sound.active": (0.2, "pause less"),
    "sync.agreement": (0.02, "one device"),
    "background.moving": (0.2, "background in which nothing moves: 20 %"),
    "motion.torso_followed": (0.1, "pattern"),
}


def test_nothing_is_said_about_a_perfect_recording():
    assert limits(PERFECT) == [] and advice([]) == []


@pytest.mark.parametrize("place", BAD)
def test_one_shortcoming_brings_its_own_advice_and_no_other(place):
    value, words = BAD[place]
    found = limits(figures({place: value}))
    tips = advice(found)
    assert len(found) == len(tips) == 1 and words in tips[0]["text"]
    assert tips[0]["points"] == found[0]["points"] > 0
    assert "{" not in tips[0]["text"]


def test_every_rule_with_advice_is_tried():
    derived = {"frames.share_used": "frames.used", "mouth.blinks_per_minute": "mouth.blinks"}
    derived["sound.hum_above"] = "sound.hum"
    assert {derived.get(rule.place, rule.place) for rule in RULES if rule.advice} == set(BAD)


def test_what_the_mesh_misses_counts_by_the_size_of_the_face():
    assert limits(figures({"face.reprojection_px": 1.5, "face.size_px": 310.0})) == []
    (found,) = limits(figures({"face.reprojection_px": 2.4}))
    assert found["value"] == "1.2 %" and found["points"] == 3.0 and not found["advice"]


@pytest.mark.parametrize("shape", range(7))
def test_a_mouth_shape_that_is_rare_is_asked_for(shape):
    told = figures({})
    told["speech"]["shapes"][shape]["heard"] = 2
    found = limits(told)
    tips = advice(found)
    assert len(tips) == 1 and told["speech"]["shapes"][shape]["name"] in tips[0]["text"]
    assert "only 2 were heard" in tips[0]["text"] and re.match(r"Record \d0 s more", tips[0]["text"])


def test_a_short_recording_is_not_blamed_for_every_shape():
    told = figures({"recording.seconds": 10.0})
    for shape in told["speech"]["shapes"]:
        shape["heard"] = -(-shape["wanted"] // 6)
    assert [limit["place"] for limit in limits(told)] == ["recording.seconds"]


def test_silence_hides_what_else_would_be_said_of_the_sound():
    found = limits(figures({"sound.silent": True, "sound.snr_db": 0.0, "sound.active": 0.0, "sync.agreement": 0.0}))
    assert [limit["place"] for limit in found] == ["sound.silent"]
    assert "working microphone" in advice(found)[0]["text"]


def test_grain_is_not_called_a_moving_background():
    told = figures({"picture.grain": 7.0, "background.moving": 0.9})
    assert [limit["place"] for limit in limits(told)] == ["picture.grain"] and quality.warnings(told) == []


def test_what_was_not_measured_is_not_judged():
    told = figures({"speech.visemes": None, "speech.shapes": None, "speech.lips_predicted": None})
    told["sync"] = {"checked": False, "moved_s": 0.0}
    assert limits(told) == []


def test_three_at_most_the_costliest_first_and_pairs_together_when_there_is_no_room():
    changes = {place: BAD[place][0] for place in ("pose.left_deg", "pose.right_deg", "pose.up_deg", "picture.blur_px")}
    found = limits(figures(changes))
    assert [f["points"] for f in found] == sorted((f["points"] for f in found), reverse=True)
    tips = advice(found)
    assert len(tips) == 3 and tips[0]["points"] >= tips[1]["points"] >= tips[2]["points"]
    both = next(tip["text"] for tip in tips if "both sides" in tip["text"])
    assert "8 degrees reached to the left and 3 degrees to the right, 20 wanted" in both
    alone = advice(limits(figures({"pose.left_deg": 8.0, "pose.right_deg": 3.0})))
    assert len(alone) == 2


@given(st.sampled_from(RULES), st.floats(-1e6, 1e6))
def test_points_stay_between_nothing_and_all(rule, value):
    assert 0.0 <= rule.lost(value) <= rule.points
    assert rule.lost(rule.good) == pytest.approx(0) and rule.lost(rule.bad) == pytest.approx(rule.points)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sound.silent": True}, "silent"),
        ({"sync.moved_s": 0.16}, "0.16 s late: corrected"),
        ({"sync.moved_s": -0.1}, "0.10 s early: corrected"),
        ({"sync.agreement": 0.01}, "do not follow"),
        ({"frames.used": 1000, "frames.by_reason": {"face hidden": 1250}}, "1250 of 2250 frames are left out: mostly"),
        ({"background.moving": 0.1}, "background moves"),
        ({"motion.torso_followed": 0.2}, "shoulders"),
    ],
)
def test_warnings(changes, said):
    assert quality.warnings(PERFECT) == []
    told = quality.warnings(figures(changes))
    assert len(told) == 1 and said in told[0]


def test_grades_cover_all_points():
    assert [quality.word(p) for p in (100, 85, 84, 70, 69, 50, 49, 0)] == [
        "very good", "very good", "good", "good", "fair", "fair", "poor", "poor",
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["recording.seconds", "pose.left_deg", "pose.up_deg", "face.size_px", "sound.snr_db"])
def test_the_recipe_asks_for_what_is_judged(place):
    rule = next(rule for rule in RULES if rule.place == place)
    unit = {"degrees": "degrees", "s": "seconds", "pixels": "pixels", "dB": "dB"}[rule.unit]
    assert f"{rule.good:g} {unit}" in README.read_text(encoding="utf-8")
