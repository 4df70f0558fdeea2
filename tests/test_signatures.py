"""anyllm_fast/neutral/signatures.py, and what both finished dialects do with it: whose a signature is, out and back again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from anyllm_fast.dialects import anthropic_request, openai_chat_request
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Request, Thinking
from anyllm_fast.neutral.signatures import (
    MAX_PACKED,
    ORIGINS,
    is_marked,
    packed,
    read_seal,
    read_signature,
    redacted,
    redacted_data,
    tagged,
    unpacked,
    untagged,
)
from tests.requests import asked, assistant, talked, user

READERS: dict[str, Any] = {"anthropic": anthropic_request, "openai_chat": openai_chat_request}


@pytest.mark.parametrize("origin", [origin.decode() for origin in sorted(ORIGINS)])
def test_what_is_tagged_comes_back_with_its_origin(origin: str) -> None:
    assert untagged(tagged(origin, b"opaque:with:colons=="), "anthropic") == (origin, b"opaque:with:colons==")


def test_nobody_signed_stays_nobody_signed() -> None:
    assert tagged("gemini", b"") == b"" and tagged("", b"S") == b"S"
    assert untagged(b"", "anthropic") == ("", b"")
    assert read_signature(None, "anthropic") == ("", None)


def test_a_signature_without_a_tag_is_of_the_dialect_in_which_it_came() -> None:
    assert untagged(b"S", "anthropic") == ("anthropic", b"S")


def test_the_mark_of_a_member_is_no_signature_and_gets_no_tag() -> None:
    assert tagged("openai_chat", b"anyllm:reasoning_content") == b"anyllm:reasoning_content"
    assert untagged(b"anyllm:reasoning_content", "anthropic") == ("", b"anyllm:reasoning_content")


def test_a_tag_of_nobody_we_know_stays_and_is_nobodys() -> None:
    assert untagged(b"anyllm:tomorrow:S", "anthropic") == ("", b"anyllm:tomorrow:S")
    assert is_marked(Raw(b'"anyllm:tomorrow:S"')) and not is_marked(Raw(b'"S"')) and not is_marked(None)


def test_redacted_reasoning_comes_back_as_what_it_was() -> None:
    assert redacted_data(redacted(b"D")) == b"D" and redacted_data(b"S") is None
    block = Thinking(text=Raw(b'""'))
    read_seal(block, Raw(b'"%b"' % tagged("bedrock", redacted(b"D"))), "anthropic")
    assert (block.origin, block.text, block.signature, block.redacted) == ("bedrock", Raw(b'"D"'), None, True)


def test_a_bare_signature_that_begins_like_a_redacted_one_is_a_signature() -> None:
    block = Thinking(text=Raw(b'"hm"'))
    read_seal(block, Raw(b'"redacted:D"'), "anthropic")
    assert (block.redacted, block.signature) == (False, Raw(b'"redacted:D"'))


def test_a_text_rides_along_with_its_signature_unless_it_is_too_long() -> None:
    assert unpacked(packed(b"S", b"text\\nmore")) == (b"S", b"text\\nmore")
    assert unpacked(packed(b"S", b"x" * (MAX_PACKED + 1))) == unpacked(packed(b"S", b"")) == (b"S", b"")


# -- in requests -------------------------------------------------------------------------------------------------------


def spoken(source: str, signature: str) -> bytes:
    """A conversation with one signed and one redacted block in it, as a client of `source` gives them back."""
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": signature},
        {"type": "redacted_thinking", "data": signature},
    ]
    text = {"type": "text", "text": "said"}
    answer = assistant([*blocks, text]) if source == "anthropic" else assistant("said", thinking_blocks=blocks)
    return json.dumps(talked(user("x"), answer, user("y"))).encode()


def sent(source: str, target: str, signature: str, profile: Profile) -> tuple[bytes, set[str]]:
    losses = Losses()
    request: Request = READERS[source].read_request(spoken(source, signature), losses)
    return READERS[target].write_request(request, "m", profile, losses), {path for path, _ in losses}


ALIEN = ["anyllm:gemini:S", "anyllm:openai_responses:S", "anyllm:tomorrow:S", "anyllm:S"]
SOURCES = pytest.mark.parametrize("source", ["anthropic", "openai_chat"])
TARGETS = pytest.mark.parametrize("target", ["anthropic", "openai_chat"])


@SOURCES
@TARGETS
@pytest.mark.parametrize("signature", ALIEN)
def test_no_mark_of_ours_reaches_a_vendor_and_each_block_left_out_is_announced(source: str, target: str, signature: str) -> None:
    body, losses = sent(source, target, signature, Profile())
    assert b"anyllm" not in body and b'"hm"' not in body
    where = "messages.1.content" if source == "anthropic" else "messages.1.thinking_blocks"
    assert losses == {f"{where}.0", f"{where}.1"}


@SOURCES
@pytest.mark.parametrize("signature", ["S", "anyllm:anthropic:S"])
def test_what_claude_signed_goes_back_to_anthropic_bare(source: str, signature: str) -> None:
    body, losses = sent(source, "anthropic", signature, Profile())
    blocks = json.loads(body)["messages"][1]["content"]
    assert blocks[0] == {"type": "thinking", "thinking": "hm", "signature": "S"}
    assert blocks[1] == {"type": "redacted_thinking", "data": "S"}
    assert losses == set()


@SOURCES
def test_claude_signs_on_bedrock_what_anthropic_takes_but_its_redacted_blocks_are_another_matter(source: str) -> None:
    body, losses = sent(source, "anthropic", "anyllm:bedrock:S", Profile())
    kinds = [block["type"] for block in json.loads(body)["messages"][1]["content"]]
    assert kinds == ["thinking", "text"]
    assert losses == {"messages.1.content.1" if source == "anthropic" else "messages.1.thinking_blocks.1"}


def test_a_chat_host_gets_its_own_signatures_back_if_it_takes_reasoning() -> None:
    body, losses = sent("anthropic", "openai_chat", "anyllm:openai_chat:S", Profile())
    assert json.loads(body)["messages"][1]["thinking_blocks"] == [
        {"type": "thinking", "thinking": "hm", "signature": "S"},
        {"type": "redacted_thinking", "data": "S"},
    ]
    assert losses == set()
    body, losses = sent("anthropic", "openai_chat", "anyllm:openai_chat:S", Profile(takes_reasoning=False))
    assert b"thinking_blocks" not in body and losses == {"messages.1.content.0", "messages.1.content.1"}


def test_a_loop_whose_thinking_another_vendor_signed_goes_on_without_a_budget() -> None:
    """The API refuses a budget where the calls that are answered came without a block that it signed."""
    losses = Losses()
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "anyllm:gemini:S"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    ]
    result = {"type": "tool_result", "tool_use_id": "c", "content": "done"}
    body = {**asked("x"), "messages": [user("x"), assistant(blocks), user([result])], "thinking": {"type": "adaptive"}}
    request = anthropic_request.read_request(json.dumps(body).encode(), losses)
    request.source = "elsewhere"
    written = json.loads(anthropic_request.write_request(request, "m", Profile(adaptive_thinking=False), losses))
    assert "thinking" not in written and "thinking" in dict(losses)
