"""Imports go down only: app -> gateway -> (policy | bridge, router, relay) -> (wire | dialects | providers) -> neutral."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "anyllm_fast"

LAYER = {
    "cli": 7,
    "__main__": 7,
    "app": 6,
    "cors": 5,
    "gateway": 5,
    "operations": 5,
    "response_operations": 5,
    "relay": 4,
    "push": 4,
    "departures": 4,
    "policy": 4,
    "responses": 4,
    "router": 4,
    "bridge": 4,
    "body": 4,
    "providers": 3,
    "dialects": 3,
    "wire": 3,
    "carriers": 3,
    "headers": 2,
    "tokens": 2,
    "token_counter": 2,
    "media_size": 2,
    "routes": 2,
    "call": 2,
    "upstream": 2,
    "neutral": 1,
    "config": 1,
    "faults": 1,
    "ids": 0,
    "errors": 0,
    "_impl": 0,
    "__init__": 0,
}
"""Higher may import lower and its own layer. `dialects` sees the twins through `wire`."""

FORBIDDEN = [
    ("policy", "dialects"),
    ("policy", "providers"),
    ("policy", "wire"),
    ("dialects", "providers"),
    ("providers", "dialects"),
    ("neutral", "config"),
    ("upstream", "neutral"),
    ("relay", "dialects"),
]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("anyllm_fast"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("anyllm_fast.")}
    return {name for name in found if not name.startswith("__version")}


MODULES = sorted(path for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    mine = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert mine in LAYER, f"{mine} has no layer: find its room in tests/test_layers.py"
    for other in imports(path):
        other = other if other in LAYER else "__init__"
        assert LAYER[other] <= LAYER[mine], f"{mine} imports {other}, which is above it"
        assert (mine, other) not in FORBIDDEN, f"{mine} must not know {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_in_its_first_line_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path.name} has no docstring"


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    native = ROOT.parent / "native"
    files = [*MODULES, *native.glob("*.p*"), *(ROOT.parent / "tests").rglob("*.py"), *(ROOT.parent / "benches").rglob("*.py")]
    long = {path.name: count for path in files if (count := path.read_text().count("\n")) > 520}
    assert not long
