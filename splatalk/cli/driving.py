"""What drives an avatar, as options that several commands share, and the performance that they make together."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from splatalk.cli.common import PATH, existing_file
from splatalk.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from splatalk.avatar.controls import Performance
    from splatalk.avatar.model import Avatar
    from splatalk.drive.adjust import Adjust
    from splatalk.export.sound import Sound

SOUND_ADVICE = "Give a sound file such as WAV, MP3, M4A or FLAC."
_FILES = {
    "audio": ("a sound file", SOUND_ADVICE),
    "performance": ("a performance", "Make one with: splatalk perform"),
    "curves": ("a table of curves", "Give a CSV with a time column and ARKit names."),
    "listen_to": ("a sound file", SOUND_ADVICE),
    "video": ("a video", "Give a video of a face such as MP4, MOV, MKV or WebM."),
}


@dataclasses.dataclass(frozen=True)
class Driving:
    """The options, as they were typed. At most one of text, audio and performance says the words."""

    audio: Path | None = None
    text: str | None = None
    voice: str = "en"
    performance: Path | None = None
    curves: Path | None = None
    video: Path | None = None
    listen_to: Path | None = None
    head: str = "natural"
    style: str = "natural"
    seed: int = 0
    lip_scale: float = 1.0
    expression: tuple[str, ...] = ()
    emotion: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        """Files that no output may replace."""
        return (self.audio, self.performance, self.curves, self.video, self.listen_to)

    @property
    def given(self) -> bool:
        """Whether anything is to be performed."""
        return self.text is not None or any(path is not None for path in self.inputs)

    def check(self) -> Driving:
        """Find what cannot be meant before anything slow begins.

        Raises:
            UserError: two sources that exclude each other, a missing file, or an unknown knob.
        """
        words = [f"--{name}" for name in ("audio", "text", "performance") if getattr(self, name) is not None]
        motion = [f"--{name}" for name in ("performance", "curves", "video") if getattr(self, name) is not None]
        for clash in (words, motion):
            if len(clash) > 1:
                raise UserError(f"{clash[0]} and {clash[1]} exclude each other.", "Give one of them.")
        if self.listen_to is not None and motion:
            raise UserError(f"--listen-to and {motion[0]} exclude each other.", "Use --audio, --text or neither.")
        for name, (what, advice) in _FILES.items():
            path = getattr(self, name)
            if path is not None:
                existing_file(path, what, advice)
        if self.head not in ("natural", "still"):
            existing_file(Path(self.head), "natural, still or a performance", _FILES["performance"][1])
        self.adjust()
        return self

    def require(self) -> Driving:
        """Raises UserError: nothing is to be performed."""
        if not self.given:
            raise UserError("Nothing drives the avatar.", "Give --audio, --text, --performance, --curves or --video.")
        return self

    def adjust(self) -> Adjust:
        """The knobs. Raises UserError: an unknown name or an impossible value."""
        from splatalk.drive.adjust import Adjust, parse_cue

        cues = [parse_cue(text, "=") for text in self.expression] + [parse_cue(text, ":") for text in self.emotion]
        return Adjust(lip_scale=self.lip_scale, cues=cues)


def driving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the command gets one ``driving``, not yet checked."""

    @click.option("--audio", type=PATH, help="What it says: WAV, MP3, M4A, FLAC, or a video's sound.")
    @click.option("--text", help='What it says, spoken by eSpeak NG: "Hello there".')
    @click.option("--voice", default="en", show_default=True, help="Language or voice of --text: en-us, de, fr …")
    @click.option("--performance", type=PATH, help="Everything at once, from `splatalk perform`.")
    @click.option("--curves", type=PATH, help="CSV of ARKit curves: the face, and the mouth too unless there is sound.")
    @click.option("--video", type=PATH, help="Another face to copy; its sound is used unless other sound is given.")
    @click.option("--listen-to", type=PATH, help="The other's sound: it listens while they speak; the film has both.")
    @click.option("--head", default="natural", show_default=True, help="natural, still, or a performance to copy.")
    @click.option("--style", type=click.Choice(["calm", "natural", "lively"]), default="natural", show_default=True)
    @click.option("--seed", default=0, show_default=True, help="Another seed, other head motion.")
    @click.option("--lip-scale", default=1.0, show_default=True, help="How far the mouth moves, 0 to 3.")
    @click.option("--expression", multiple=True, metavar="NAME=VALUE[@FROM-TO]", help="browInnerUp=0.6@1-2.5")
    @click.option("--emotion", multiple=True, metavar="NAME:STRENGTH[@FROM-TO]", help="happy:0.7 or sad:0.5@2-4")
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        names = [field.name for field in dataclasses.fields(Driving)]
        driving = Driving(**{name: kwargs.pop(name) for name in names})
        return function(*args, driving=driving, **kwargs)

    return wrapped


def driven(person: Avatar, driving: Driving) -> tuple[Performance, Sound | None]:
    """The performance that the options describe, and the sound of its film in the best quality there is.

    Raises:
        UserError: nothing drives it, the sources cannot be read, or the avatar cannot hear.
    """
    from splatalk.drive.adjust import adjusted

    performance, sound = _source(person, driving.check())
    if driving.head not in ("natural", "still"):
        performance = _with_head(person, performance, Path(driving.head))
    return adjusted(person, performance, driving.adjust()), sound


def _source(person: Avatar, driving: Driving) -> tuple[Performance, Sound | None]:
    from splatalk.drive.curves import from_curves, onto, read_curves
    from splatalk.drive.performance_file import read_performance
    from splatalk.export.sound import Sound

    if driving.performance is not None:
        performance = read_performance(driving.performance, person)
        return performance, None if performance.audio is None else Sound.mono(performance.audio)
    spoken, sound = _spoken(person, driving)
    if driving.video is not None:
        from splatalk.drive.from_video import from_video

        copied = from_video(person, driving.video)
        if spoken is None:
            return copied, None if copied.audio is None else _sound_of(driving.video)
        return onto(spoken, copied, head=True, gaze=True), sound
    if driving.curves is not None:
        track = read_curves(driving.curves)
        curves = from_curves(person, track, seed=driving.seed)
        if spoken is None:
            return curves, None
        return onto(spoken, curves, head=track.head is not None, gaze=track.gaze is not None), sound
    driving.require()
    assert spoken is not None  # of the five sources, the other three returned above
    return spoken, sound


def _spoken(person: Avatar, driving: Driving) -> tuple[Performance | None, Sound | None]:
    """What the words do; None without words."""
    from splatalk.export.sound import Sound, mixed
    from splatalk.speech.audio import read_audio
    from splatalk.speech.synthesis import say

    samples, sound = None, None
    if driving.audio is not None:
        sound, samples = _sound_of(driving.audio), read_audio(driving.audio)
    elif driving.text is not None:
        samples = say(driving.text, driving.voice).samples
        sound = Sound.mono(samples)
    if driving.listen_to is not None:
        other = _sound_of(driving.listen_to)
        moved = _conversing(person, samples, read_audio(driving.listen_to), driving)
        return moved, other if sound is None else mixed(sound, other)
    if samples is None:
        return None, None
    return _speaking(person, samples, driving), sound


def _speaking(person: Avatar, samples: np.ndarray, driving: Driving) -> Performance:
    from splatalk.drive.from_audio import from_audio

    head: Literal["still", "natural"] = "still" if driving.head == "still" else "natural"
    return from_audio(person, samples, seed=driving.seed, head=head, style=driving.style)


def _conversing(person: Avatar, samples: np.ndarray | None, other: np.ndarray, driving: Driving) -> Performance:
    from splatalk.drive.conversation import from_conversation
    from splatalk.drive.from_audio import still

    moved = from_conversation(person, samples, other, seed=driving.seed, style=driving.style)
    held: dict[str, Any] = still(person, len(moved)) if driving.head == "still" else {}
    return dataclasses.replace(moved, **held)


def _sound_of(path: Path) -> Sound:
    from splatalk.export.sound import read_sound

    return read_sound(path)


def _with_head(person: Avatar, performance: Performance, path: Path) -> Performance:
    """Head, torso, gaze and upper face of another performance, there and back again when it is shorter."""
    import numpy as np

    from splatalk.drive.performance_file import read_performance

    other = read_performance(path, person)
    period = max(2 * (len(other) - 1), 1)
    phase = np.arange(len(performance)) % period
    taken = other.select(np.where(phase < len(other), phase, period - phase))
    return dataclasses.replace(
        performance, head_pose=taken.head_pose, torso_pose=taken.torso_pose, gaze=taken.gaze,
        expression=taken.expression,
    )  # fmt: skip
