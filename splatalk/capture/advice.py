"""What each shortcoming of a recording costs, and what to do about it.

The thresholds are what captures/README.md asks for. How much each shortcoming costs is a judgement, set by hand while
looking at two recordings, a synthetic one of 75 s and a real one of 8 s; it is not fitted to avatars.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

GRAIN_MOVES = 5.0
"""Grain from which a still background looks moving, grey levels."""
_MATTERS = 0.5
"""Points below which a shortcoming is not worth a word."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A figure that should be good.

    Args:
        place: where it stands in the report: ``group.key``.
        label: what it is, for people.
        unit: how it is shown: a unit, or ``%`` for shares.
        bad, good: the whole ``points`` are lost at ``bad`` and beyond, none at ``good``; either may be the larger.
        points: of a hundred.
        advice: what to do; ``{value}``, ``{good}`` and ``{missing}`` are filled in with their unit, ``{number}`` with
            the good one without.
        digits: how many behind the point.
        ratio: whether halving counts alike everywhere, as with the length of a recording.
        needs_sound: whether a silent recording says nothing about it.
    """

    place: str
    label: str
    unit: str
    bad: float
    good: float
    points: float
    advice: str
    digits: int = 0
    ratio: bool = False
    needs_sound: bool = False

    def lost(self, value: float) -> float:
        """Points that ``value`` costs, 0 to ``points``."""
        bad, good = self.bad, self.good
        if self.ratio:
            value, bad, good = (math.log(max(v, 1e-6)) for v in (value, bad, good))
        return self.points * min(max((good - value) / (good - bad), 0.0), 1.0)

    def shown(self, value: float) -> str:
        return (
            f"{100 * value:.{self.digits}f} %" if self.unit == "%" else f"{value:.{self.digits}f} {self.unit}".strip()
        )


RULES = (
    Rule("recording.seconds", "length", "s", 5, 60, 30,
         "Record {missing} more of lively speech: {value} are here, {number} wanted.", ratio=True),
    Rule("pose.left_deg", "head turned left", "degrees", 0, 20, 7,
         "Turn your head a little further left: {value} reached, {number} wanted."),
    Rule("pose.right_deg", "head turned right", "degrees", 0, 20, 7,
         "Turn your head a little further right: {value} reached, {number} wanted."),
    Rule("pose.up_deg", "head raised", "degrees", 0, 10, 4,
         "Raise your chin a little further now and then: {value} reached, {number} wanted."),
    Rule("pose.down_deg", "head lowered", "degrees", 0, 10, 4,
         "Lower your chin a little further now and then: {value} reached, {number} wanted."),
    Rule("face.size_px", "size of the face", "pixels", 96, 160, 12,
         "Move closer to the camera, or record larger pictures: the face is {value} large, {number} wanted."),
    Rule("picture.blur_px", "blur", "pixels", 3.5, 1.2, 14,
         "Get the face into focus and hold the camera still: edges are blurred by {value}, {good} or less wanted.", 1),
    Rule("picture.brightness", "brightness of the face", "of 255", 20, 60, 10,
         "Put more light on the face: its mean grey is {value}, {number} wanted."),
    Rule("picture.grain", "grain", "grey levels", 12, 3, 8,
         "Put more light on the scene: the picture has a grain of {value}, {good} or less wanted.", 1),
    Rule("picture.clipped", "black or white parts of the face", "%", 0.25, 0.03, 8,
         "Make the light softer: {value} of the face is plain black or white, {good} or less wanted."),
    Rule("picture.drift", "drift of the brightness", "%", 0.5, 0.12, 8,
         "Lock the camera's exposure and keep the light steady: the face's brightness drifts by {value}, "
         "{good} or less wanted."),
    Rule("frames.share_used", "frames that can be used", "%", 0.5, 0.97, 12,
         "Keep the whole face in sight and sharp all the time: {value} of the frames can be used, {good} wanted "
         "({reason})."),
    Rule("face.reprojection", "mesh off the measured points, of the face's size", "%", 0.016, 0.008, 6, "", 1),
    Rule("mouth.widest_mm", "widest opening of the mouth", "mm", 4, 10, 6,
         "Open your mouth wide now and then, in a laugh or a long “ah”: {value} reached, {good} wanted."),
    Rule("mouth.blinks_per_minute", "blinks a minute", "", 0, 4, 2,
         "Blink as you usually do: {value} a minute are seen, {good} wanted."),
    Rule("sound.snr_db", "speech above noise", "dB", 8, 30, 12,
         "Speak closer to the microphone or in a quieter room: speech is {value} above the noise, {good} wanted.",
         needs_sound=True),
    Rule("sound.speech_db", "level of speech", "dB", -55, -36, 6,
         "Turn the microphone up or move it closer: speech is at {value}, {good} or more wanted.", needs_sound=True),
    Rule("sound.clipped", "overdriven sound", "%", 0.02, 0.0005, 6,
         "Turn the microphone down: {value} of the sound is overdriven, {good} or less wanted.", 2, needs_sound=True),
    Rule("sound.hum_above", "hum against speech", "dB", 0, -30, 5,
         "Get rid of the mains hum ({hum} Hz; a bad cable or power supply): it is at {value} against speech, "
         "{good} or less wanted.", needs_sound=True),
    Rule("sound.active", "share of time with speech", "%", 0.1, 0.45, 6,
         "Talk more and pause less: there is speech in {value} of the time, {good} wanted.", needs_sound=True),
    Rule("sync.agreement", "agreement of lips and sound", "", 0.05, 0.25, 10,
         "Record picture and sound with one device, only your own voice: lips and sound hardly agree.", 2,
         needs_sound=True),
    Rule("speech.lips_follow", "lips follow the sound, on parts not learned from", "", 0.2, 0.8, 10, "", 2,
         needs_sound=True),
    Rule("background.moving", "moving background", "%", 0.3, 0.05, 5,
         "Choose a background in which nothing moves: {value} of it does."),
    Rule("motion.torso_followed", "shoulders followed", "%", 0.0, 0.5, 3,
         "Wear something with a pattern and keep the shoulders in the picture: they are followed in {value} of the "
         "time, {good} wanted."),
)  # fmt: skip

_PAIRS = (
    ("pose.left_deg", "pose.right_deg",
     "Turn your head a little further to both sides: {first} reached to the left and {second} to the right, "
     "{number} wanted."),
    ("pose.up_deg", "pose.down_deg",
     "Raise and lower your chin a little further now and then: {first} reached up and {second} down, {number} wanted."),
)  # fmt: skip
"""Two rules that one piece of advice serves when there is more to say than there is room for."""

_SILENCE = {
    "place": "sound.silent", "label": "silent sound track", "value": "silent", "wanted": "speech", "points": 40.0,
    "advice": "Record again with a working microphone: the sound track is silent.",
}  # fmt: skip
_SHAPE_POINTS, _MOST_TIPS = 2.5, 3
_MOST_SECONDS = 60


def limits(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What keeps the recording from being perfect, the costliest first.

    Args:
        figures: from ``quality.measure``.

    Returns:
        ``place`` of the figure, ``label``, ``value`` and ``wanted`` as text, ``points`` lost, and ``advice`` (empty
        where none helps).
    """
    silent = figures["sound"]["silent"]
    values = _values(figures)
    found: list[dict[str, Any]] = [dict(_SILENCE)] if silent else _shapes(figures)
    reason = next(iter(figures["frames"]["by_reason"]), "")
    words = {"reason": f"mostly: {reason}", "hum": str((figures["sound"]["hum"] or {}).get("hz", ""))}
    for rule in RULES:
        value = values.get(rule.place)
        if value is None or (rule.needs_sound and silent):
            continue
        shown = {"value": rule.shown(value), "good": rule.shown(rule.good), "number": f"{rule.good:g}"}
        missing = rule.shown(abs(rule.good - value))
        found.append(
            {
                "place": rule.place,
                "label": rule.label,
                "value": shown["value"],
                "wanted": ("≤ " if rule.good < rule.bad else "") + shown["good"],
                "points": round(rule.lost(value), 1),
                "advice": rule.advice.format(**shown, **words, missing=missing),
            }
        )
    return sorted((f for f in found if f["points"] >= _MATTERS), key=lambda f: -f["points"])


def advice(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most three things to do, what gains most first: ``text`` and ``points`` to gain.

    Args:
        found: from ``limits``.
    """
    tips = [(limit["points"], limit["advice"]) for limit in found if limit["advice"]]
    by_place = {limit["place"]: limit for limit in found}
    for first, second, text in _PAIRS:
        if len(tips) > _MOST_TIPS and first in by_place and second in by_place:
            pair = by_place[first], by_place[second]
            number = next(f"{rule.good:g}" for rule in RULES if rule.place == first)
            words = text.format(first=pair[0]["value"], second=pair[1]["value"], number=number)
            tips = [tip for tip in tips if tip[1] not in (pair[0]["advice"], pair[1]["advice"])]
            tips.append((pair[0]["points"] + pair[1]["points"], words))
    best = sorted(tips, key=lambda tip: -tip[0])[:_MOST_TIPS]
    return [{"text": text, "points": round(points, 1)} for points, text in best]


def _values(figures: dict[str, Any]) -> dict[str, float | None]:
    """Every rule's figure by its place; None where it was not measured."""
    values = {f"{group}.{key}": v for group, of in figures.items() if isinstance(of, dict) for key, v in of.items()}
    sound, frames, seconds = figures["sound"], figures["frames"], figures["recording"]["seconds"]
    values["frames.share_used"] = frames["used"] / frames["total"]
    values["face.reprojection"] = figures["face"]["reprojection_px"] / figures["face"]["size_px"]
    values["mouth.blinks_per_minute"] = figures["mouth"]["blinks"] * 60.0 / seconds if seconds >= 20 else None
    if figures["picture"]["grain"] >= GRAIN_MOVES:
        values["background.moving"] = None
    told = figures["speech"]["lips_predicted"]
    values["speech.lips_follow"] = told["correlation"] if told else None
    values["sound.hum_above"] = sound["hum"]["level_db"] - sound["speech_db"] if sound["hum"] else None
    return {rule.place: values.get(rule.place) for rule in RULES}


def _shapes(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Mouth shapes that are rare for the length of the recording; that it is short costs points of its own."""
    found = []
    seconds = figures["recording"]["seconds"]
    for shape in figures["speech"]["shapes"] or ():
        due = shape["wanted"] * min(seconds / 60.0, 1.0)
        missing = shape["wanted"] - shape["heard"]
        rate = max(shape["heard"] / seconds, shape["wanted"] / 60.0)
        more = min(max(10 * math.ceil(missing / rate / 10), 10), _MOST_SECONDS)
        found.append(
            {
                "place": "speech.shapes",
                "label": f"{shape['name']} ({shape['sounds']})",
                "value": f"{shape['heard']} heard",
                "wanted": str(shape["wanted"]),
                "points": round(_SHAPE_POINTS * min(max(1.0 - shape["heard"] / due, 0.0), 1.0), 1),
                "advice": f"Record {more} s more with many {shape['name']} ({shape['sounds']}): only {shape['heard']} "
                f"were heard, {shape['wanted']} wanted.",
            }
        )
    return found
