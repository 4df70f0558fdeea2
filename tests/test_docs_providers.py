"""docs/providers.md: every example in it is a configuration that starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anyllm_fast.config import resolve
from anyllm_fast.config.hosts import read_table
from anyllm_fast.providers import PROVIDERS, open_target

PAGE = (Path(__file__).parent.parent / "docs" / "providers.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```env\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[0].removeprefix("BACKEND="))
def test_an_example_of_the_page_would_start_without_a_warning(example: str, tmp_path: Path) -> None:
    path = tmp_path / "example.env"
    path.write_text(example)
    resolved = resolve({}, path, tmp_path)
    assert resolved.errors == ()
    assert [note for note in resolved.notes if note.level == "warning"] == []
    assert resolved.settings is not None
    open_target(resolved.settings.backends[0])


def test_every_kind_of_backend_has_an_example() -> None:
    kinds = set()
    for example in EXAMPLES:
        resolved = resolve(dict(line.split("=", 1) for line in example.split()), None, Path("/nonexistent"))
        assert resolved.settings is not None
        kinds.add(resolved.settings.backends[0].kind)
    assert kinds == {*PROVIDERS} - {"demo"}


def test_the_example_of_a_row_is_one() -> None:
    (row,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert read_table(row).host[0].id == "example"
