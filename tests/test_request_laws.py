"""Laws of the request translation, over generated requests of every dialect towards every other.

1. write(read(x)) == x within a dialect.
2. A conversation and one more turn: the longer translation begins with the shorter one (prompt caches live from that).
3. The same request gives the same bytes, in another process with another hash seed too.
4. What is written is a request of the published type, and only InvalidRequest is ever raised.
5. Texts and arguments arrive.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.conversations import SPOKEN, continued, texts_of
from tests.damage import examples
from tests.facts import EACH, FACTS, bodies, source_of
from tests.responses import without_nulls
from tests.strategies import SPELLINGS, chat_requests, spelled

REFUSED = ("anthropic-result_missing",)  # by every vendor, so by us
SOURCE = pytest.mark.parametrize("source", EACH)
LIMITS = settings(deadline=None, max_examples=examples(25, 2), suppress_health_check=list(HealthCheck))
PROFILES: dict[str, list[Profile]] = {
    "anthropic": [Profile(), Profile(adaptive_thinking=False), Profile(system_turns=True)],
    "openai_chat": [Profile(), Profile(cache_breakpoints=True, custom_tools=True), Profile(text_arrays=False)],
    "openai_responses": [Profile(), Profile(cache_breakpoints=True, custom_tools=True)],
    "gemini": [Profile(), FACTS["gemini"].profile, Profile(json_schemas=False)],
    "bedrock": [
        Profile(),
        FACTS["bedrock"].profile,
        Profile(cache_points=True, converse_effort="reasoningConfig"),
        Profile(system_prompts=False, enforced_schemas=False),
    ],
}


def translated(source: str, target: str, body: bytes, profile: Profile) -> tuple[bytes, Losses]:
    losses = Losses()
    request = FACTS[source].requests.read_request(body, losses)
    return FACTS[target].requests.write_request(request, request.model, profile, losses), losses


@SOURCE
@LIMITS
@given(data=st.data(), spelling=SPELLINGS)
def test_a_request_comes_home_as_it_left(source: str, data: st.DataObject, spelling: tuple[bool, int | None]) -> None:
    body = data.draw(SPOKEN[source].requests(True))
    written, losses = translated(source, source, spelled(body, *spelling), Profile())
    assert json.loads(written) == body
    assert not losses


@pytest.mark.parametrize("path", [path for path in bodies("requests") if path.stem not in REFUSED], ids=lambda path: path.stem)
def test_a_request_of_the_corpus_comes_home_as_it_left(path: Path) -> None:
    """Clients are looser than their vendors; what was mended once stays as it is."""
    source = source_of(path)
    given = path.read_bytes()
    if path.stem in MENDED:
        given, _ = translated(source, source, given, Profile())
    written, losses = translated(source, source, given, Profile())
    assert without_nulls(json.loads(written)) == without_nulls(json.loads(given))
    assert not losses


MENDED = {
    "anthropic-claude_code_tools": "results in the order of their calls",
    "anthropic-thinking_history": "reasoning that no Anthropic model signed",
    "gemini-cli_first": "the role of the system instruction",
    "gemini-cli_resume": "ids of calls that had none, turns of one role",
    "gemini-cli_router": "the role of the system instruction",
    "gemini-cli_subagent": "ids of calls that had none",
    "gemini-cli_tools": "the role of the system instruction, turns of one role",
    "gemini-genai_mixed_case": "the role of the system instruction",
    "gemini-genai_openapi": "base64 in the alphabet of URLs",
    "gemini-minimal": "a turn without a role",
    "gemini-thoughts_of_others": "reasoning that no Gemini model signed",
    "openai_chat-cache_marks": "marks of one lifetime",
    "openai_chat-codex": "an answer in two messages",
    "openai_chat-legacy_functions": "functions as tools",
    "openai_chat-reasoning": "the same reasoning in two members",
    "openai_chat-tools": "results in the order of their calls",
}
"""What the reader puts right."""


@SOURCE
@LIMITS
@given(data=st.data())
def test_a_longer_conversation_only_adds_to_the_end_of_the_body(source: str, data: st.DataObject) -> None:
    body, longer = data.draw(continued(source))
    for target in others(source):
        profile = data.draw(st.sampled_from(PROFILES[target]))
        try:
            short, long = (unmarked(translated(source, target, spelled(each), profile)[0]) for each in (body, longer))
        except InvalidRequest:  # what the target cannot be shown: pictures by their address
            continue
        assert short.endswith(b"]}"), target
        assert long.startswith(short[:-2]), target


def others(source: str) -> list[str]:
    """An example is drawn once for all targets: to draw it takes longer than all translations of it."""
    return [target for target in EACH if target != source]


def unmarked(written: bytes) -> bytes:
    """Without cache marks: a longer conversation moves them, and they are no part of the prompt that is cached."""
    return re.sub(rb',"cache_control":\{[^}]*\}|,\{"cachePoint":\{[^}]*\}\}', b"", written)


@SOURCE
@LIMITS
@given(data=st.data())
def test_what_is_written_is_a_request_of_the_published_type(source: str, data: st.DataObject) -> None:
    body = spelled(data.draw(SPOKEN[source].requests(True)))
    for target in others(source):
        try:
            written, _ = translated(source, target, body, data.draw(st.sampled_from(PROFILES[target])))
        except InvalidRequest as error:
            assert error.where
        else:
            assert not FACTS[target].problems(json.loads(written)), target


@SOURCE
@LIMITS
@given(data=st.data())
def test_every_text_and_argument_of_a_conversation_arrives(source: str, data: st.DataObject) -> None:
    body = data.draw(SPOKEN[source].requests(False))
    texts, args = texts_of(source, body), list(SPOKEN[source].args(body))
    for target in others(source):
        try:
            written = json.loads(translated(source, target, spelled(body), FACTS[target].profile)[0])
        except InvalidRequest:
            continue
        sent = json.dumps(written)
        assert not [text for text in texts if json.dumps(text)[1:-1] not in sent], target
        assert list(SPOKEN[target].args(written)) == args, target


def blocks_of(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    content = message["content"]
    return [] if isinstance(content, str) else [block for block in content if block["type"] == kind]


@LIMITS
@given(body=chat_requests(foreign=False))
def test_an_anthropic_conversation_answers_every_call_at_once(body: dict[str, Any]) -> None:
    messages = json.loads(translated("openai_chat", "anthropic", spelled(body), Profile())[0])["messages"]
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        calls = [block["id"] for block in blocks_of(message, "tool_use")]
        if calls:
            assert following is not None
            assert [block["tool_use_id"] for block in following["content"][: len(calls)]] == calls


CHILD = """
import sys
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
for line in sys.stdin.buffer:
    for reader in DIALECTS.values():
        for writer in DIALECTS.values():
            try:
                losses = Losses()
                out = writer.write_request(reader.read_request(line, losses), "m", Profile(), losses) + losses.header()
            except Exception as error:
                out = str(error).encode()
            sys.stdout.buffer.write(out + b"\\n")
"""


def test_the_same_request_gives_the_same_bytes_under_another_hash_seed() -> None:
    lines = b"\n".join(json.dumps(json.loads(path.read_bytes())).encode() for path in bodies("requests"))
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
