"""Laws of the request translation, over generated requests.

1. write(read(x)) == x within a dialect.
2. A conversation and one more turn: the longer translation begins with the shorter one (prompt caches live from that).
3. The same request gives the same bytes, in another process with another hash seed too.
4. What is written is a request of the published type, and only InvalidRequest is ever raised.
5. Texts and arguments arrive.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as AnthropicRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatRequest

from anyllm_fast.dialects import anthropic_request, openai_chat_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.sdk_types import problems
from tests.strategies import SPELLINGS, anthropic_requests, anthropic_turns, chat_requests, chat_turns, spelled

PROFILE = Profile()
OTHER = {"anthropic": "openai_chat", "openai_chat": "anthropic"}
DIALECTS: dict[str, Any] = {"anthropic": anthropic_request, "openai_chat": openai_chat_request}
TYPES = {"anthropic": AnthropicRequest, "openai_chat": ChatRequest}
REQUESTS = {"anthropic": anthropic_requests, "openai_chat": chat_requests}
TURNS = {"anthropic": anthropic_turns, "openai_chat": chat_turns}
BOTH = pytest.mark.parametrize("source", ["anthropic", "openai_chat"])
LIMITS = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
UNPUBLISHED = (".temperature", ".top_p", ".top_k", ".reasoning_content", ".stream:")


def translated(source: str, target: str, body: bytes, profile: Profile = PROFILE) -> tuple[bytes, Losses]:
    losses = Losses()
    request = DIALECTS[source].read_request(body, losses)
    return DIALECTS[target].write_request(request, request.model, profile, losses), losses


@BOTH
@LIMITS
@given(data=st.data(), spelling=SPELLINGS)
def test_a_request_comes_home_as_it_left(source: str, data: st.DataObject, spelling: tuple[bool, int | None]) -> None:
    body = data.draw(REQUESTS[source]())
    written, losses = translated(source, source, spelled(body, *spelling))
    assert json.loads(written) == body
    assert not losses


@BOTH
@LIMITS
@given(data=st.data())
def test_a_longer_conversation_only_adds_to_the_end_of_the_body(source: str, data: st.DataObject) -> None:
    body = data.draw(REQUESTS[source](foreign=False))
    target = OTHER[source]
    more = data.draw(TURNS[source](st.just(1), foreign=False))
    longer = copy.deepcopy(body)
    longer["messages"] += [
        {"role": "assistant", "content": "wanswerw"},
        *(m for m in more if m["role"] not in ("system", "developer")),
    ]
    profile = Profile(cache_breakpoints=data.draw(st.booleans()))
    shorter_bytes, longer_bytes = (unmarked(translated(source, target, spelled(each), profile)[0]) for each in (body, longer))
    assert shorter_bytes.endswith(b"]}")
    assert longer_bytes.startswith(shorter_bytes[:-2])


def unmarked(written: bytes) -> bytes:
    """Without cache marks: a longer conversation moves them, and they are no part of the prompt that is cached."""
    return re.sub(rb',"cache_control":\{[^}]*\}', b"", written)


@BOTH
@LIMITS
@given(data=st.data())
def test_what_is_written_is_a_request_of_the_published_type(source: str, data: st.DataObject) -> None:
    body = data.draw(REQUESTS[source]())
    target = OTHER[source]
    try:
        written, _ = translated(source, target, spelled(body))
    except InvalidRequest as error:
        assert error.where
        return
    found = problems(json.loads(written), TYPES[target])
    assert not [problem for problem in found if not any(name in problem for name in UNPUBLISHED)]


@LIMITS
@given(body=anthropic_requests(foreign=False))
def test_every_text_and_argument_of_an_anthropic_conversation_arrives(body: dict[str, Any]) -> None:
    written, _ = translated("anthropic", "openai_chat", spelled(body))
    sent = json.dumps(json.loads(written)["messages"])
    for message in body["messages"]:
        for block in [] if isinstance(message["content"], str) else message["content"]:
            if block["type"] == "text":
                assert json.dumps(block["text"])[1:-1] in sent
            if block["type"] == "tool_use":
                assert json.dumps(json.dumps(block["input"], ensure_ascii=False))[1:-1] in sent


@LIMITS
@given(body=chat_requests(foreign=False))
def test_every_text_and_argument_of_a_chat_conversation_arrives(body: dict[str, Any]) -> None:
    written = json.loads(translated("openai_chat", "anthropic", spelled(body))[0])
    sent = json.dumps([written.get("system"), written["messages"]])
    calls = {block["id"]: block["input"] for message in written["messages"] for block in blocks_of(message, "tool_use")}
    for message in body["messages"]:
        for part in [] if isinstance(message["content"], str) else message["content"]:
            if part["type"] == "text":
                assert json.dumps(part["text"])[1:-1] in sent
        for call in message.get("tool_calls", []):
            assert calls[call["id"]] == json.loads(call["function"]["arguments"])


def blocks_of(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    content = message["content"]
    return [] if isinstance(content, str) else [block for block in content if block["type"] == kind]


@LIMITS
@given(body=chat_requests(foreign=False))
def test_an_anthropic_conversation_alternates_and_answers_every_call_at_once(body: dict[str, Any]) -> None:
    messages = json.loads(translated("openai_chat", "anthropic", spelled(body))[0])["messages"]
    roles = [message["role"] for message in messages]
    assert all(one != other for one, other in pairwise(roles))
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        calls = [block["id"] for block in blocks_of(message, "tool_use")]
        if calls:
            assert following is not None
            assert [block["tool_use_id"] for block in following["content"][: len(calls)]] == calls


CHILD = """
import sys, json
from anyllm_fast.dialects import anthropic_request as A, openai_chat_request as C
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
for line in sys.stdin.buffer:
    for reader, writer in ((A, C), (C, A)):
        try:
            losses = Losses()
            out = writer.write_request(reader.read_request(line, losses), "m", Profile(), losses) + losses.header()
        except Exception as error:
            out = str(error).encode()
        sys.stdout.buffer.write(out + b"\\n")
"""


def test_the_same_request_gives_the_same_bytes_under_another_hash_seed(tmp_path: Any) -> None:
    from tests.test_golden_requests import CORPUS

    lines = b"\n".join(json.dumps(json.loads(path.read_bytes())).encode() for path in CORPUS)
    outputs = {
        subprocess.run(
            [sys.executable, "-c", CHILD],
            input=lines,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1
