"""How the command line fails: one sentence and a hint, an exit code, and under ``--json`` the same as data."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from splatalk import files
from splatalk.errors import UserError

EXIT_BUG, EXIT_USER, EXIT_STOPPED = 1, 2, 130


class Stopped(Exception):
    """The user interrupted a command whose work is kept; the text says where and how to go on."""


@contextlib.contextmanager
def resumable(advice: str) -> Iterator[None]:
    """Say ``advice`` if the user interrupts the block."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(advice) from None


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """``kill`` and ``timeout`` end a command as Ctrl-C does, so that it can clean up and say how to go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_guarded(work: Callable[[], Any], as_json: bool) -> int:
    """Run ``work`` and turn whatever it raises into a message and an exit code."""
    try:
        with _terminated_like_interrupted():
            result = work()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except UserError as error:
        return _fail(as_json, type(error).__name__, error.message, error.hint, error.exit_code)
    except click.ClickException as error:
        return _usage(as_json, error)
    except Stopped as stopped:
        return _fail(as_json, "Stopped", "Stopped.", str(stopped), EXIT_STOPPED)
    except (click.Abort, KeyboardInterrupt):
        return _fail(as_json, "Stopped", "Stopped.", "Nothing unfinished was left under its final name.", EXIT_STOPPED)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BUG
    except MemoryError:
        hint = "Close other programs, or use a smaller preset or size."
        return _fail(as_json, "MemoryError", "This machine has too little memory for that.", hint, EXIT_USER)
    except Exception as error:  # noqa: BLE001 (the last line of defence: nobody is shown a stack trace)
        return _unexpected(as_json, error)


def _unexpected(as_json: bool, error: Exception) -> int:
    meaning = files.explain(error, Path(getattr(error, "filename", None) or "the output"))
    if meaning is not None:
        return _fail(as_json, "UserError", meaning.message, meaning.hint, EXIT_USER)
    log = _write_log(error)
    message = f"splatalk failed in a way it should not ({type(error).__name__}: {str(error).partition(chr(10))[0]})."
    hint = f"The details are in {log}; please report them." if log else "".join(traceback.format_exception(error))
    return _fail(as_json, "InternalError", message, hint, EXIT_BUG)


def _fail(as_json: bool, kind: str, message: str, hint: str, code: int) -> int:
    if as_json:
        print(json.dumps({"ok": False, "error": {"kind": kind, "message": message, "hint": hint}}, ensure_ascii=False))
    else:
        prefix = "" if kind == "Stopped" else "Error: "
        click.secho(prefix + message, fg=None if kind == "Stopped" else "red", err=True)
        if hint:
            click.echo(hint, err=True)
    return code


def _usage(as_json: bool, error: click.ClickException) -> int:
    if as_json:
        return _fail(True, "UsageError", error.format_message(), "See --help.", EXIT_USER)
    error.show()
    return error.exit_code


def _write_log(error: Exception) -> Path | None:
    """Where the stack trace was written; None when nothing can be written."""
    from splatalk import assets

    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path = assets.cache_folder().parent / "logs" / f"error-{stamp}-{os.getpid()}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{' '.join(sys.argv)}\n\n{''.join(traceback.format_exception(error))}", encoding="utf-8")
    except OSError:
        return None
    return path
