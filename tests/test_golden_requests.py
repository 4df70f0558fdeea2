"""Every request in tests/corpus/requests, read by its dialect and written by each other, against tests/golden/requests.

A golden file is named <source>_to_<target>_<what> and holds the body that is sent and the announced losses, or the refusal.
UPDATE_GOLDEN=1 writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.losses import Losses
from tests.facts import EACH, FACTS, bodies, golden_name, source_of

CORPUS = bodies("requests")
GOLDEN = Path(__file__).parent / "golden" / "requests"
PAIRS = [(path, target) for path in CORPUS for target in EACH if target != source_of(path)]


def translate(path: Path, target: str) -> dict[str, Any]:
    losses = Losses()
    try:
        request = FACTS[source_of(path)].requests.read_request(path.read_bytes(), losses)
        written = FACTS[target].requests.write_request(request, "the-model", FACTS[target].profile, losses)
    except InvalidRequest as error:
        return {"refused": {error.where: error.message}}
    return {"losses": dict(losses), "request": json.loads(written)}


@pytest.mark.parametrize(("path", "target"), PAIRS, ids=[golden_name(*pair) for pair in PAIRS])
def test_a_request_comes_out_as_its_golden_file_says(path: Path, target: str) -> None:
    found = translate(path, target)
    if "request" in found:
        assert not FACTS[target].problems(found["request"])
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    golden = GOLDEN / golden_name(path, target)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_golden_file_has_its_request() -> None:
    assert {path.name for path in GOLDEN.glob("*.json")} == {golden_name(*pair) for pair in PAIRS}


@pytest.mark.parametrize("source", EACH)
def test_there_are_requests_of_every_dialect(source: str) -> None:
    assert [path for path in CORPUS if source_of(path) == source]
