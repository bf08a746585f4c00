"""splatalk view: a local server and a browser in which the avatar is seen from any side, and speaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from splatalk import progress
from splatalk.cli.common import PATH, existing_avatar, report, shared_options
from splatalk.cli.driving import Driving, driving_options
from splatalk.errors import UserError

if TYPE_CHECKING:
    from aiohttp import web

    from splatalk.serve.guard import Guard
    from splatalk.serve.site import Content, LiveSite

LOOPBACK = "127.0.0.1"


@click.command("view", short_help="Open an avatar in the browser: turn it, talk to it, move its face.")
@click.argument("avatar", type=PATH)
@driving_options
@click.option("--port", type=click.IntRange(1, 65535), help="Default: the first free one from 8123.")
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen at.")
@click.option("--allow-network", is_flag=True, help="Let other machines in; needed for any other --host.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@shared_options
def command(
    avatar: Path, driving: Driving, port: int | None, host: str, allow_network: bool, no_browser: bool, as_json: bool,
) -> None:  # fmt: skip
    """Serve an avatar to a browser on this machine and open it there, until Ctrl-C.

    The page plays what the options say, speaks sounds that are dropped onto it and texts, follows the microphone, and
    has sliders for face and gaze. AVATAR may also be a NAME.compact, which plays what is in it.

    \b
    splatalk view me.avatar
    splatalk view me.avatar --audio hello.wav --emotion happy:0.5
    splatalk view hello.compact --port 9000 --no-browser
    """
    existing_avatar(avatar)
    only_compact = avatar.suffix.lower() == ".compact"
    adjusted = not driving.check().adjust().idle
    if only_compact and (driving.given or adjusted):
        raise UserError(f"{avatar} plays what is in it and nothing else.", "Give a .avatar to drive it.")
    if adjusted and not driving.given:
        raise UserError("There is nothing to adjust.", "Give --audio or --text too; the page has sliders for the rest.")
    check_host(host, allow_network)

    from splatalk.export.player import bundle
    from splatalk.serve.guard import Guard
    from splatalk.serve.run import Server
    from splatalk.serve.site import application, page

    player = bundle()
    guard = Guard(host)
    app: web.Application
    if only_compact:
        app = application(guard, {**page(player, ""), "/avatar.compact": _compact_file(avatar)})
    else:
        app = application(guard, page(player, "live"))
        _live(avatar, driving).join(app)
    server = Server(guard, app, port)
    report(as_json, {"command": "view", "url": server.url, "network": guard.token is not None}, _told(avatar, guard))
    server.run(open_browser=not no_browser)


def check_host(host: str, allow_network: bool) -> None:
    """Nobody opens a server to the network by mistake.

    Raises:
        UserError: other machines could reach it, and that was not asked for.
    """
    from splatalk.serve.guard import is_loopback

    if is_loopback(host):
        return
    if not allow_network:
        raise UserError(
            f"--host {host} lets other machines reach the avatar.",
            "Add --allow-network if that is meant, or leave --host out.",
        )
    progress.note(
        f"Warning: whoever can reach {host} and knows the address below can see the avatar and make it speak. "
        "Nothing is encrypted, and browsers give the microphone to pages of their own machine only."
    )


def _told(avatar: Path, guard: Guard) -> str:
    return f"{avatar} is at {guard.url}\nPress Ctrl-C to stop."


def _live(path: Path, driving: Driving) -> LiveSite:
    """Load the avatar, distil what a browser draws, and make what it plays first."""
    from splatalk import avatar as avatars
    from splatalk.cli.driving import driven
    from splatalk.serve.preparation import prepared
    from splatalk.serve.site import LiveSite
    from splatalk.serve.studio import Studio

    avatar = avatars.load(path)
    studio = Studio(avatar)
    greeting = studio.given(*driven(avatar, driving)) if driving.given else None
    return LiveSite(prepared(avatar, path), studio, greeting)


def _compact_file(path: Path) -> Content:
    """The file as it is, if it is one."""
    from splatalk import files
    from splatalk.export.compact import read
    from splatalk.serve.site import Content

    read(path)
    with files.explained(path, "read"):
        return Content(path.read_bytes(), "application/octet-stream")
