"""Every reply in tests/corpus/replies, through its dialect and out in the other, against tests/golden/replies.

A golden file holds the whole reply and the announced losses. UPDATE_GOLDEN=1 writes them anew; read the difference before you
keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.stream import StreamOptions

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus" / "replies").glob("*.json"))
GOLDEN = HERE / "golden" / "replies"
OPTIONS = StreamOptions(b"asked-for", b"0123456789abcdef0123456789abcdef", 1_700_000_000)
OTHER = {"anthropic": "openai_chat", "chat": "anthropic"}
NAMES = {"anthropic": "anthropic", "chat": "openai_chat"}
JUDGES = {"anthropic": Message, "openai_chat": ChatCompletion}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_reply_comes_out_as_its_golden_file_says(path: Path) -> None:
    source = path.stem.partition("-")[0]
    losses = Losses()
    reply = DIALECTS[NAMES[source]].read_reply(path.read_bytes(), losses)
    body = json.loads(DIALECTS[OTHER[source]].write_reply(reply, OPTIONS, losses))
    JUDGES[OTHER[source]].model_validate(body, strict=False)
    found = json.dumps({"losses": dict(losses), "reply": body}, indent=1, ensure_ascii=False) + "\n"
    golden = GOLDEN / path.name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_golden_file_has_its_reply() -> None:
    assert {path.name for path in GOLDEN.glob("*.json")} == {path.name for path in CORPUS}
