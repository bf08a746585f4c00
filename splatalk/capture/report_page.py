"""The quality report as one HTML page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from splatalk import page
from splatalk.avatar.mouth_basis import mouth_opening_and_width
from splatalk.capture import report_plots as plots
from splatalk.capture.advice import RULES
from splatalk.capture.hearing import block_levels
from splatalk.capture.quality import Evidence
from splatalk.capture.report import Shot, Shots, shots
from splatalk.capture.seeing import head_angles
from splatalk.plot import plot

_STYLE = Path(__file__).with_name("report.css")
_POINTS = 700
"""Points of a curve at most: a page does not grow with the recording."""
_WANTED = {rule.place: rule.good for rule in RULES}
_BASIS = (
    "The points are a judgement, not a measurement: 100 less what each shortcoming in the table costs. What it costs "
    "was set by hand, looking at two recordings, and is not fitted to avatars. What was measured are the avatars of "
    "those two (preset fast, two CPU cores, frames that training did not see). A synthetic person, 75 s, graded {ada}: "
    "34.3 dB over full frames, mouth opening followed with a correlation of 0.93. A real person, 8 s, graded {real}: "
    "25.7 dB and 0.89, the latter on less than a second. Two recordings make no scale: take them as how far apart very "
    "good and fair are."
)
GRADED = {"ada": 93, "real": 62}
"""What this program says of the two recordings of ``_BASIS``."""


def build(seen: Evidence, figures: dict[str, Any]) -> str:
    """The whole page as text.

    Args:
        seen: the recording.
        figures: from ``quality.judge``.
    """
    return document(figures, shots(seen), curves(seen))


def document(figures: dict[str, Any], pictures: Shots, over_time: dict[str, Any]) -> str:
    """The page from its parts; names and texts in ``figures`` are escaped here."""
    name = figures["recording"]["name"]
    body = [
        f"<h1>{html.escape(name)}</h1>",
        f'<p class="quiet">{html.escape(_subtitle(figures))}</p>',
        _head(figures),
        _warnings(figures),
        _todo(figures),
        _tiles(figures),
        _costs(figures),
        _pose(figures, pictures.poses, over_time),
        _speech(figures, over_time),
        _light(figures, over_time),
        _sound(figures, over_time),
        _tracking(figures, pictures.parts),
        _frames(figures, pictures.worst),
        "<h2>What the points rest on</h2>",
        f"<p>{html.escape(_BASIS.format(**GRADED))}</p>",
    ]
    return page.document(f"{name}: quality of the recording", "\n".join(body), _STYLE.read_text(encoding="utf-8"))


def curves(seen: Evidence) -> dict[str, Any]:
    """What the page plots over time, thinned to at most ``_POINTS`` values each, None where there is none."""
    tracks, rows, n = seen.solved.tracks, seen.rows, len(seen.rows)
    step = -(-n // _POINTS)
    angles = np.degrees(head_angles(tracks.head_pose))
    level = block_levels(seen.heard.samples, max(len(seen.heard.samples) // max(n, 1), 1))[:n]
    level = np.pad(np.maximum(level, -96.0), (0, n - len(level)), constant_values=-96.0)
    named = {
        "yaw": np.where(tracks.valid, angles[:, 0], np.nan),
        "pitch": np.where(tracks.valid, angles[:, 1], np.nan),
        "opening": np.where(tracks.valid, mouth_opening_and_width(tracks.landmarks_head)[:, 0] * 1000.0, np.nan),
        "brightness": np.where(rows.found, rows.brightness, np.nan),
        "level": level,
    }
    thin = {name: [None if np.isnan(v) else round(float(v), 2) for v in curve[::step]] for name, curve in named.items()}
    return {"times": [round(i / seen.fps, 3) for i in range(0, n, step)], **thin}


def _subtitle(figures: dict[str, Any]) -> str:
    rec, frames = figures["recording"], figures["frames"]
    return (
        f"Quality of the recording: {rec['seconds']:g} s, {rec['width']}×{rec['height']}, {rec['fps']:g} frames/s, "
        f"{rec['codec']}; {frames['used']} of {frames['total']} frames are used."
    )


def _head(figures: dict[str, Any]) -> str:
    grade = figures["grade"]
    shade = next(least for least in (85, 70, 50, 0) if grade["points"] >= least)
    return (
        f'<div class="head g{shade}">{plots.gauge(grade["points"], grade["word"])}<div>'
        f'<p class="word">A {html.escape(grade["word"])} recording</p><p>{html.escape(_driven_by(figures))}</p>'
        f"<p>{html.escape(_lips(figures))}</p></div></div>"
    )


def _driven_by(figures: dict[str, Any]) -> str:
    labels = [limit["label"] for limit in figures["grade"]["limits"] if limit["points"] >= 2][:3]
    if not labels:
        return "Nothing holds it back."
    return f"What holds it back most: {'; '.join(labels)}."


def _lips(figures: dict[str, Any]) -> str:
    told = figures["speech"]["lips_predicted"]
    if told is None:
        return "How well the lips will follow sound was not measured."
    gained = told["correlation"] - told["correlation_half"]
    more = "more speech would still help" if gained > 0.03 else "more of the same speech would add little"
    return (
        "Lips, measured on parts of this recording that were not learned from: their opening follows the sound with a "
        f"correlation of {told['correlation']:.2f}; learning from half of it gives {told['correlation_half']:.2f}, so "
        f"{more}."
    )


def _warnings(figures: dict[str, Any]) -> str:
    items = "".join(f"<li>{html.escape(text)}</li>" for text in figures["warnings"])
    return f'<ul class="warn">{items}</ul>' if items else ""


def _todo(figures: dict[str, Any]) -> str:
    if not figures["advice"]:
        return "<h2>What to do better</h2><p>Nothing that would be worth another recording.</p>"
    items = [f"<li>{html.escape(t['text'])}<small>{t['points']:g} points</small></li>" for t in figures["advice"]]
    return f'<h2>What to do better, what gains most first</h2><ol class="todo">{"".join(items)}</ol>'


def _tiles(figures: dict[str, Any]) -> str:
    frames, sound, sync = figures["frames"], figures["sound"], figures["sync"]
    blur = figures["picture"]["blur_px"]
    told = figures["speech"]["lips_predicted"]
    moved = f"{1000 * sync['moved_s']:+.0f} <small>ms, corrected</small>" if sync["moved_s"] else "0 <small>ms</small>"
    items = [
        ("frames used", f"{100 * frames['used'] / frames['total']:.0f} <small>%</small>"),
        ("face", f"{figures['face']['size_px']:.0f} <small>px</small>"),
        ("blur", "–" if blur is None else f"{blur:.1f} <small>px</small>"),
        ("speech above noise", "–" if sound["silent"] else f"{sound['snr_db']:.0f} <small>dB</small>"),
        ("sound late by", moved if sync["checked"] else "–"),
        ("lips follow sound", "–" if told is None else f"{told['correlation']:.2f}"),
    ]
    return f'<ul class="tiles">{"".join(f"<li><small>{k}</small><b>{v}</b></li>" for k, v in items)}</ul>'


def _costs(figures: dict[str, Any]) -> str:
    found = figures["grade"]["limits"]
    if not found:
        return ""
    most = max(limit["points"] for limit in found)
    rows = "".join(
        f"<tr><td>{html.escape(f['label'])}</td><td>{html.escape(f['value'])}</td><td>{html.escape(f['wanted'])}</td>"
        f'<td class="n">{f["points"]:g}</td><td>{plots.cost(f["points"], most)}</td></tr>'
        for f in found
    )
    head = '<tr><th>what</th><th>here</th><th>wanted</th><th class="n">points</th><th></th></tr>'
    return f'<h2>What costs points</h2><div class="wide"><table class="costs">{head}{rows}</table></div>'


def _pose(figures: dict[str, Any], poses: Sequence[Shot], over_time: dict[str, Any]) -> str:
    pose = figures["pose"]
    wanted = (_WANTED["pose.left_deg"], _WANTED["pose.up_deg"])
    words = (
        f"Seen from {pose['left_deg']:.0f}° to the left and {pose['right_deg']:.0f}° to the right, "
        f"{pose['up_deg']:.0f}° up and {pose['down_deg']:.0f}° down from how the head is usually held. What the camera "
        "never saw, the avatar does not know. The frame shows what is wanted; stronger cells were seen longer. Left "
        "and right are the person's."
    )
    head = {"yaw": over_time["yaw"], "pitch": over_time["pitch"]}
    drawn = plots.coverage(pose["coverage"], pose["pitch_middle_deg"], wanted)
    return (
        f'<h2>From where the head is seen</h2><div class="two"><div>{drawn}</div><p>{html.escape(words)}</p></div>'
        f"{plot(over_time['times'], head, 'Yaw and pitch over time', 'degrees, + is left and up')}{_gallery(poses)}"
    )


def _speech(figures: dict[str, Any], over_time: dict[str, Any]) -> str:
    mouth, shapes, visemes = figures["mouth"], figures["speech"]["shapes"], figures["speech"]["visemes"]
    words = (
        f"The lips open up to {mouth['widest_mm']:.0f} mm and close to {mouth['closed_mm']:.1f} mm; "
        f"{mouth['blinks']} blinks."
    )
    parts = ["<h2>Which mouth shapes were recorded</h2>", f"<p>{words}</p>"]
    if shapes is None:
        parts.append('<p class="quiet">The speech model is missing, so mouth shapes were not counted.</p>')
    else:
        rows = [(s["name"], s["sounds"], s["heard"], s["wanted"]) for s in shapes]
        cells = "".join(f"<dt>{name}</dt><dd>{count}</dd>" for name, count in visemes.items())
        parts.append(
            f'<div class="two"><div>{plots.bars(rows)}</div><div><p class="quiet">Heard in the sound by a classifier '
            "that was made from synthesised voices: a count is about right, a single hit may be wrong. The mark is "
            f'what is wanted. All classes:</p><dl class="visemes">{cells}</dl></div></div>'
        )
    parts.append(plot(over_time["times"], {"opening": over_time["opening"]}, "Mouth opening over time", "mm"))
    return "".join(parts)


def _light(figures: dict[str, Any], over_time: dict[str, Any]) -> str:
    picture, blur = figures["picture"], figures["picture"]["blur_px"]
    facts = {
        "brightness of the face": f"{picture['brightness']:.0f} of 255",
        "drift over the recording": f"{100 * picture['drift']:.0f} %",
        "flicker from frame to frame": f"{100 * picture['flicker']:.1f} %",
        "black or white parts of the face": f"{100 * picture['clipped']:.1f} %",
        "blur of the strongest edges": "hidden by grain" if blur is None else f"{blur:.1f} px",
        "grain": f"{picture['grain']:.1f} grey levels",
        "size of the face": f"{figures['face']['size_px']:.0f} px",
    }
    drawn = plot(over_time["times"], {"brightness": over_time["brightness"]}, "Brightness of the face", "of 255")
    return f"<h2>Light and sharpness</h2>{_facts(facts)}{drawn}"


def _sound(figures: dict[str, Any], over_time: dict[str, Any]) -> str:
    sound, sync = figures["sound"], figures["sync"]
    facts = {
        "speech": f"{-sound['speech_db']:.0f} dB below full scale",
        "noise": f"{-sound['noise_db']:.0f} dB below full scale",
        "overdriven": f"{100 * sound['clipped']:.2f} %",
        "share of time without speech": f"{100 * (1 - sound['active']):.0f} %",
        "hum": f"{sound['hum']['hz']} Hz at {sound['hum']['level_db']:.0f} dB" if sound["hum"] else "none",
    }
    parts = [
        "<h2>Sound</h2>",
        _facts(facts),
        plot(over_time["times"], {"level": over_time["level"]}, "Level of the sound", "dB, full scale is 0"),
        "<h3>Does the sound fit the lips?</h3>",
    ]
    if not sync["checked"]:
        return "".join(parts) + '<p class="quiet">It was not checked: the speech model is missing.</p>'
    late = "late" if sync["moved_s"] > 0 else "early"
    told = (
        f"The sound came {abs(sync['moved_s']):.2f} s {late} and was moved into place."
        if sync["moved_s"]
        else "No delay is sure enough to be corrected; the sound stays where it was recorded."
    )
    words = f"{told} Agreement is {sync['agreement']:.2f}; sound of other lips stays below 0.15 in 20 s or more."
    lags, scores = [lag for lag, _ in sync["curve"]], [score for _, score in sync["curve"]]
    drawn = plot(
        lags, {"agreement": scores}, "Agreement of lips and sound by delay", "correlation, by delay of the sound"
    )
    return "".join(parts) + f"<p>{html.escape(words)}</p>{drawn}"


def _tracking(figures: dict[str, Any], parts: Sequence[Shot]) -> str:
    motion = figures["motion"]
    wobble = motion["wobble"]
    facts = {
        "poses that rest on followed skin": _skin(motion),
        "wobble of the tracked head": f"{wobble['px']:.2f} px, {wobble['rotation_deg']:.3f}°, "
        f"{wobble['translation_mm']:.2f} mm a frame²",
        "mesh against measured points": f"{figures['face']['reprojection_px']:.2f} px",
        "shoulders followed": f"{100 * motion['torso_followed']:.0f} % of the frames",
        "background seen": f"{100 * figures['background']['seen']:.0f} %",
        "background that moves": f"{100 * figures['background']['moving']:.1f} %",
    }
    note = (
        "Wobble is the root mean square of the second difference between frames; it holds what the person really does "
        "too. A head at rest that is tracked well stays below about 0.1 px."
    )
    return f'<h2>Tracking, matte and background</h2>{_facts(facts)}<p class="quiet">{note}</p>{_gallery(parts)}'


def _skin(motion: dict[str, Any]) -> str:
    if motion["skin_px"] is None:
        return "none"
    return f"{100 * motion['skin_followed']:.0f} %, its points to {motion['skin_px']:.2f} px"


def _frames(figures: dict[str, Any], worst: Sequence[Shot]) -> str:
    frames = figures["frames"]
    reasons = ", ".join(f"{count} {reason}" for reason, count in frames["by_reason"].items())
    words = f"{frames['used']} of {frames['total']} are used." + (f" Left out: {reasons}." if reasons else "")
    strip = plots.timeline(frames["left_out"], figures["recording"]["seconds"])
    return f"<h2>Frames</h2><p>{html.escape(words)}</p>{strip}<h3>The worst</h3>{_gallery(worst)}"


def _facts(facts: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in facts.items()) + "</dl>"


def _gallery(pictures: Sequence[Shot]) -> str:
    figures = "".join(
        f"<figure>{page.image(p.jpeg, p.width, p.height, p.caption)}<figcaption>{html.escape(p.caption)}</figcaption>"
        "</figure>"
        for p in pictures
    )
    return f'<div class="shots">{figures}</div>'
