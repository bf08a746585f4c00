"""The command line: one file a command. Heavy modules are imported when a command runs, so that help is instant."""

from splatalk.cli.app import main

__all__ = ["main"]
