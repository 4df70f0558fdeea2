"""Every request in tests/corpus/requests, read by its dialect and written by the other, against tests/golden/requests.

A golden file is named <source>_to_<target>_<what> and holds the body that is sent and the announced losses, or the refusal.
UPDATE_GOLDEN=1 writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as AnthropicRequest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatRequest

from anyllm_fast.dialects import anthropic_request, openai_chat_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.sdk_types import problems

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus" / "requests").glob("*.json"))
GOLDEN = HERE / "golden" / "requests"
DIALECTS: dict[str, Any] = {"anthropic": anthropic_request, "openai_chat": openai_chat_request}
TYPES = {"anthropic": AnthropicRequest, "openai_chat": ChatRequest}
OTHER = {"anthropic": "openai_chat", "openai_chat": "anthropic"}
UNPUBLISHED = (".temperature", ".top_p", ".reasoning", ".stream:", ".stream")  # gone from the types, not from the APIs


def name_of(path: Path) -> str:
    source, _, what = path.stem.partition("-")
    return f"{source}_to_{OTHER[source]}_{what}.json"


def translate(path: Path) -> dict[str, Any]:
    source = path.stem.partition("-")[0]
    losses = Losses()
    try:
        request = DIALECTS[source].read_request(path.read_bytes(), losses)
        written = DIALECTS[OTHER[source]].write_request(request, "the-model", Profile(), losses)
    except InvalidRequest as error:
        return {"refused": {error.where: error.message}}
    return {"losses": dict(losses), "request": json.loads(written)}


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_request_comes_out_as_its_golden_file_says(path: Path) -> None:
    found = translate(path)
    if "request" in found:
        against = problems(found["request"], TYPES[OTHER[path.stem.partition("-")[0]]])
        assert not [problem for problem in against if not any(name in problem for name in UNPUBLISHED)]
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    golden = GOLDEN / name_of(path)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_golden_file_has_its_request() -> None:
    assert {path.name for path in GOLDEN.glob("*.json")} == {name_of(path) for path in CORPUS}
