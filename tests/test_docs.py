"""The documents tell the truth about files, commands and options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from splatalk.cli import main
from splatalk.cli.app import COMMANDS
from splatalk.config import preset_names

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("docs", "captures", "benchmarks", "viewer")
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.md")))
    if "node_modules" not in page.parts
)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def examples() -> list[str]:
    """Every ``splatalk …`` line in the documents and in the help texts."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    with click.Context(main) as ctx:
        commands = [main.get_command(ctx, name) for name in COMMANDS]
    texts += [main.help or "", *(command.help or "" for command in commands if command)]
    pattern = re.compile(rf"\bsplatalk (?:{'|'.join(COMMANDS)})\b[^`\n|]*")
    found = {match.split("  ")[0].strip() for text in texts for match in pattern.findall(text)}
    return sorted(found)


@pytest.mark.parametrize("line", examples())
def test_examples_use_options_that_exist(line):
    words = shlex.split(line)[1:]
    with click.Context(main) as ctx:
        command = main.get_command(ctx, words[0])
    assert command is not None, words[0]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [w for w in words[1:] if re.match(r"--?[a-z]", w) and w not in {*known, "--help"}]
    assert unknown == []


def test_readme_names_every_command_and_preset():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"splatalk {name}" in text
    for name in preset_names():
        assert f"`{name}`" in text


def test_dependencies_are_bounded_and_constrained():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    pins = {name.lower().replace("_", "-") for name in pinned}
    for requirement in wanted:
        name = re.match(r"[\w.-]+", requirement)
        assert name and ("<" in requirement or "==" in requirement), f"{requirement} has no upper bound"
        assert name[0].lower().replace("_", "-") in pins, f"{requirement} is not in constraints.txt"
