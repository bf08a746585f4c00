"""splatalk enroll: capture and train in one go."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splatalk import files, progress
from splatalk.cli.capture import remarks, report_of
from splatalk.cli.common import (
    PATH,
    VIDEO_ADVICE,
    existing_file,
    new_output,
    parse_settings,
    report,
    shared_options,
)
from splatalk.cli.consent import consent_options, obtain
from splatalk.cli.guard import resumable
from splatalk.cli.train import clear_work, default_work, describe, device_option, train_into, view_option, watched
from splatalk.config import DEFAULT_PRESET, load_preset
from splatalk.consent import Consent, stored
from splatalk.errors import FormatError

if TYPE_CHECKING:
    from splatalk.capture.dataset import Capture


@click.command("enroll", short_help="Make an avatar from a video of one person.")
@click.argument("video", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="The avatar: NAME.avatar.")
@click.option("--preset", default=DEFAULT_PRESET, show_default=True, help="demo, fast, quality, gpu or a .toml file.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change one field of the preset.")
@consent_options
@click.option("--person", type=click.IntRange(min=1), help="Which face when there are several, from the left.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same avatar on one machine.")
@click.option("--resume/--fresh", default=True, show_default=True, help="Go on from an interrupted run, or start over.")
@click.option("--work", type=PATH, help="Folder for what an interrupted run goes on from. Default: OUTPUT.work")
@click.option("--keep-work", is_flag=True, help="Keep that folder, with the capture in it, when done.")
@device_option
@click.option("--force", is_flag=True, help="Replace an avatar of that name.")
@view_option
@shared_options
def command(
    video: Path, output: Path, preset: str, settings: tuple[str, ...], consent: Consent | None, person: int | None,
    seed: int, resume: bool, work: Path | None, keep_work: bool, device: str, force: bool, view: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make an avatar from a video of one person who speaks to the camera for half a minute or longer.

    The recording is checked first: what cannot be enrolled is refused before anything long begins.
    Interrupt it whenever you like; the same command goes on where it stopped. How good the recording is, and what
    would gain most, is written beside the avatar: NAME.report.html.

    \b
    splatalk enroll me.mp4 -o me.avatar --consent "I am the person in it."
    splatalk enroll me.mp4 -o me.avatar --preset quality
    """
    existing_file(video, "a video", VIDEO_ADVICE)
    new_output(output, ".avatar", force, inputs=(video,))
    chosen = load_preset(preset, parse_settings(settings))
    from splatalk.train.device import choose

    choose(device)  # what cannot be used is said before the capture
    work = work or default_work(output)
    if not resume:
        clear_work(work)
    began = time.perf_counter()
    with watched(output, view) as watch:
        recording = _recorded(video, work, chosen.size, person, consent)
        for remark in remarks(recording):
            progress.note(remark)
        page = _keep_report(recording, output)
        facts = train_into(recording, output, chosen, seed, True, work / "train", device, watch)
    facts["seconds"] = round(time.perf_counter() - began, 1)
    if not keep_work:
        clear_work(work)
    text = describe(facts) + (f"\nHow good the recording is: {page}" if page else "")
    report(as_json, {"command": "enroll", **facts, "work": work if keep_work else None, "report": page}, text)


def _keep_report(recording: Capture, output: Path) -> Path | None:
    """Put the recording's report beside the avatar as NAME.report.html: the capture goes when the avatar is made."""
    page = report_of(recording)
    if page is None:
        return None
    kept = output.with_suffix(".report.html")
    with files.atomic_path(kept) as temporary:
        shutil.copyfile(page, temporary)
    progress.note(f"The whole report on the recording: {kept}")
    return kept


def _recorded(video: Path, work: Path, size: int, person: int | None, consent: Consent | None) -> Capture:
    """The capture in ``work``, made now unless an earlier run of the same recording finished it."""
    from splatalk import capture as captures
    from splatalk.capture.dataset import Capture

    note, folder = work / "enroll.json", work / "recording.capture"
    identity = {**_identity(video), "size": size, "person": person}
    earlier = _read(note)
    same = isinstance(earlier, dict) and earlier.items() >= identity.items()
    answered = stored(earlier.get("consent")) if same else None
    agreed = answered if answered and consent in (None, answered) else obtain(consent, video)
    if not same or agreed != answered:
        clear_work(work)
        with files.atomic_path(note) as temporary:
            told = {**identity, "consent": agreed.to_json() if agreed else None}
            temporary.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if folder.is_dir():
        try:
            capture = Capture.load(folder)
            progress.note(f"Going on with the capture in {folder}.")
            return capture
        except FormatError:
            files.remove(folder)
    with resumable(f"What was tracked so far is kept in {work}: run the same command again to go on."):
        return captures.record(video, folder, size=size, person=person, consent=agreed.to_json() if agreed else None)


def _identity(video: Path) -> dict[str, Any]:
    """Whether a recording is the one of an earlier run, without reading it."""
    stat = video.stat()
    return {"video": str(video.absolute()), "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}


def _read(note: Path) -> Any:
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
