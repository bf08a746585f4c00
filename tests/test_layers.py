"""The house rule: a module imports from its own layer or from layers below, and the root leaves import no layer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import splatalk

PACKAGE = Path(splatalk.__file__).parent
LAYERS = (
    *("cli", "serve", "export", "evaluate", "drive", "train", "capture"),
    *("avatar", "speech", "render", "kernels"),
)  # from the top of the house down
LEAVES = ("errors", "assets", "progress", "files", "config", "consent", "page", "plot")
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported_names(source: str, module: str, is_package: bool) -> set[str]:
    """Dotted names of everything in splatalk that ``source`` imports, at the top or inside functions."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == "splatalk"}


def part(name: str) -> str | None:
    """The layer or leaf that a dotted name belongs to."""
    words = name.split(".")
    return words[1] if len(words) > 1 and words[1] in (*LAYERS, *LEAVES) else None


def wrong_imports(module: str, names: set[str]) -> list[str]:
    if module == "splatalk.__main__":  # the console script's twin
        return []
    own = part(module)
    if own is None or own in LEAVES:
        return sorted(n for n in names if part(n) in LAYERS)
    below = LAYERS[LAYERS.index(own) :]
    return sorted(n for n in names if (p := part(n)) in LAYERS and p not in below)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    words = ["splatalk", *path.relative_to(PACKAGE).with_suffix("").parts]
    is_package = words[-1] == "__init__"
    module = ".".join(words[:-1] if is_package else words)
    assert wrong_imports(module, imported_names(path.read_text(encoding="utf-8"), module, is_package)) == []


def test_every_folder_is_a_layer():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders <= set(LAYERS)


def test_the_rule_catches_what_it_should():
    upward = imported_names("def f():\n    from splatalk import train, files", "splatalk.avatar.model", False)
    assert wrong_imports("splatalk.avatar.model", upward) == ["splatalk.train"]
    relative = imported_names("from ..cli import common", "splatalk.render.camera", False)
    assert "splatalk.cli.common" in wrong_imports("splatalk.render.camera", relative)
    assert wrong_imports("splatalk.files", {"splatalk.render.camera"}) == ["splatalk.render.camera"]
    assert wrong_imports("splatalk.train.run", {"splatalk.render.camera", "splatalk.train.losses"}) == []
