"""The group of all commands."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

import splatalk
from splatalk.cli.guard import run_guarded

COMMANDS = ("doctor", "enroll", "capture", "train", "speak", "view", "perform", "render", "export", "info", "eval")


class Commands(click.Group):
    """Loads a command's module when it is asked for, and ends every run through ``run_guarded``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"splatalk.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in words
        sys.exit(run_guarded(lambda: self._run(words, prog_name, extra), as_json))

    def _run(self, words: list[str], prog_name: str | None, extra: dict[str, Any]) -> Any:
        return super().main(words, prog_name or "splatalk", **{**extra, "standalone_mode": False})


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(splatalk.__version__, prog_name="splatalk")
def main() -> None:
    """Turn a short video of one person into an avatar made of 3D Gaussians that speaks any audio.

    \b
    splatalk doctor                                          what works on this machine
    splatalk enroll me.mp4 -o me.avatar                      make an avatar
    splatalk speak me.avatar --audio hello.wav -o hello.mp4  let it speak
    """
