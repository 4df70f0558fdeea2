"""Every reply in tests/corpus/replies, through its dialect and out in each other, against tests/golden/replies.

A golden file is named <source>_to_<target>_<what> and holds the whole reply and the announced losses, or the failure that the
upstream's reply stands for. UPDATE_GOLDEN=1 writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import CallPart
from tests.facts import EACH, FACTS, bodies, golden_name, source_of
from tests.replies import OPTIONS

CORPUS = bodies("replies")
GOLDEN = Path(__file__).parent / "golden" / "replies"
PAIRS = [(path, target) for path in CORPUS for target in EACH if target != source_of(path)]


def translate(path: Path, target: str) -> dict[str, Any]:
    losses, source = Losses(), source_of(path)
    reply = DIALECTS[source].read_reply(path.read_bytes(), losses)
    if reply.failure is not None:
        return {"failure": msgspec.to_builtins(reply.failure)}
    written = DIALECTS[target].write_reply(reply, msgspec.structs.replace(OPTIONS, origin=source), losses)
    FACTS[target].judge(written)
    return {"losses": dict(losses), "reply": json.loads(written)}


@pytest.mark.parametrize(("path", "target"), PAIRS, ids=[golden_name(*pair) for pair in PAIRS])
def test_a_reply_comes_out_as_its_golden_file_says(path: Path, target: str) -> None:
    found = json.dumps(translate(path, target), indent=1, ensure_ascii=False) + "\n"
    golden = GOLDEN / golden_name(path, target)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_golden_file_has_its_reply() -> None:
    assert {path.name for path in GOLDEN.glob("*.json")} == {golden_name(*pair) for pair in PAIRS}


@pytest.mark.parametrize("source", EACH)
def test_there_are_replies_of_every_dialect(source: str) -> None:
    assert [path for path in CORPUS if source_of(path) == source]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_every_call_has_an_id_of_its_own(path: Path) -> None:
    """Gemini and some hosts send none; clients pair results by it."""
    source = source_of(path)
    options = msgspec.structs.replace(OPTIONS, origin=source)
    reply = DIALECTS[source].read_reply(path.read_bytes(), Losses())
    for target in DIALECTS.values():
        if target.name == source:
            continue
        back = target.read_reply(target.write_reply(reply, options, Losses()), Losses())
        idents = [part.ident for part in back.parts if isinstance(part, CallPart)]
        assert all(idents) and len(set(idents)) == len(idents)
        assert len(idents) == sum(isinstance(part, CallPart) for part in reply.parts)
