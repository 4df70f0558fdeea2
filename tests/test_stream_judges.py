"""The official SDKs accumulate what the encoders write, and must rebuild what the upstream's stream meant, or raise.

Every stream of the corpus for the clients of every other dialect; where one fails or is cut, for the upstream's own clients too.
One twin is judged: the golden files hold both to the same bytes.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import openai
import pytest

from anyllm_fast.dialects.anthropic_reply import STOP_WRITTEN as ANTHROPIC_STOP
from anyllm_fast.dialects.openai_chat_reply import STOP_WRITTEN as CHAT_STOP
from anyllm_fast.neutral.reply import CallPart, RedactedPart, RefusalPart, Reply, TextPart, ThinkingPart
from anyllm_fast.neutral.spans import text_of
from tests.sdk_judges import RAISED, rebuilt
from tests.streams import DIALECTS, PYTHON, TWINS, Outcome, corpus, dialect_of, load, piped, record, run, watched

TWIN = TWINS[-1]
REPLIES = {name: record(PYTHON, load(name), dialect_of(name)) for name in corpus()}
GOOD = [name for name, reply in REPLIES.items() if reply.failure is None]
FAILED = [name for name in REPLIES if name not in GOOD]
PAIRS = [(name, client) for name in GOOD for client in DIALECTS if client != dialect_of(name)]
UNFINISHED: dict[bytes, type[Exception]] = {
    b"length": openai.LengthFinishReasonError,
    b"content_filter": openai.ContentFilterFinishReasonError,
}
"""What the openai SDK raises where a Chat answer is not whole."""


def got(name: str, client: str, data: bytes | None = None) -> Outcome:
    """What a client gets of a stream, or of the part of it that came."""
    source = dialect_of(name)
    made = watched(TWIN, source) if client == source else piped(TWIN, source, client)
    return run(made, [load(name) if data is None else data])


def calls_of(reply: Reply) -> list[tuple[str, str, Any]]:
    found = [part for part in reply.parts if isinstance(part, CallPart)]
    return [(text_of(part.ident), text_of(part.name), msgspec.json.decode(text_of(part.args) or "{}")) for part in found]


def said(reply: Reply, kinds: Any) -> str:
    return "".join(text_of(part.text) for part in reply.parts if isinstance(part, kinds))


@pytest.mark.parametrize(("name", "client"), PAIRS)
def test_the_sdk_rebuilds_what_the_upstream_meant(name: str, client: str) -> None:
    reply, stream = REPLIES[name], got(name, client).out
    assert reply.stop_reason is not None
    refused = any(isinstance(part, RefusalPart) for part in reply.parts)  # in so many words, so the answer is whole
    if client == "openai_chat" and not refused and (unfinished := UNFINISHED.get(CHAT_STOP[reply.stop_reason])):
        with pytest.raises(unfinished):
            rebuilt(client, stream)
        return
    found = rebuilt(client, stream)
    assert found.text == said(reply, TextPart | RefusalPart)
    expected = calls_of(reply)
    assert [call[1:] for call in found.calls] == [call[1:] for call in expected]
    assert all(mine == theirs or not theirs for (mine, *_), (theirs, *_) in zip(found.calls, expected, strict=True))
    assert len({ident for ident, *_ in found.calls}) == len(expected)
    assert found.thoughts == said(reply, ThinkingPart)
    assert found.usage == (max(reply.usage.prompt, 0), max(reply.usage.output, 0))


def content_of(reply: Reply) -> list[dict[str, Any]]:
    """What an Anthropic client should have at the end."""
    found: list[dict[str, Any]] = []
    for part in reply.parts:
        match part:
            case TextPart() | RefusalPart() if part.text:
                found.append({"type": "text", "text": text_of(part.text)})
            case ThinkingPart():
                found.append({"type": "thinking", "thinking": text_of(part.text), "signature": text_of(part.signature)})
            case RedactedPart():
                found.append({"type": "redacted_thinking", "data": text_of(part.data)})
            case CallPart():
                args = msgspec.json.decode(text_of(part.args) or "{}")
                found.append({"type": "tool_use", "id": text_of(part.ident), "name": text_of(part.name), "input": args})
    return found


def shown(block: Any) -> dict[str, Any]:
    members = {"text": ("text",), "thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
    names = members.get(block.type, ("id", "name", "input"))
    return {"type": block.type, **{name: getattr(block, name) for name in names}}


@pytest.mark.parametrize("name", [name for name in GOOD if dialect_of(name) == "openai_chat"])
def test_the_anthropic_sdk_rebuilds_every_block_of_a_chat_upstream(name: str) -> None:
    reply = REPLIES[name]
    found = rebuilt("anthropic", got(name, "anthropic").out).raw
    assert [shown(block) for block in found.content] == content_of(reply)
    assert reply.stop_reason is not None
    assert found.stop_reason == ANTHROPIC_STOP[reply.stop_reason].decode()
    assert found.model == "asked-for" and found.id.startswith("msg_")


@pytest.mark.parametrize("name", [name for name in GOOD if dialect_of(name) == "anthropic"])
def test_the_openai_sdk_rebuilds_every_thinking_block_of_an_anthropic_upstream(name: str) -> None:
    reply = REPLIES[name]
    assert reply.stop_reason is not None
    if CHAT_STOP[reply.stop_reason] in UNFINISHED:
        return
    choice = rebuilt("openai_chat", got(name, "openai_chat").out).raw.choices[0]
    thoughts = [block for block in content_of(reply) if "thinking" in block["type"]]
    extra = choice.message.model_extra or {}
    kept = [{k: v for k, v in block.items() if k != "index"} for block in extra.get("thinking_blocks", [])]
    assert kept == [{k: v for k, v in block.items() if (k, v) != ("signature", "")} for block in thoughts]
    assert choice.finish_reason == CHAT_STOP[reply.stop_reason].decode()


def test_the_openai_sdk_keeps_citations() -> None:
    found = rebuilt("openai_chat", got("anthropic_web_search", "openai_chat").out).raw
    note = found.choices[0].message.annotations[0]
    assert (note.url_citation.start_index, note.url_citation.end_index) == (10, 30)


def test_the_anthropic_sdk_keeps_citations() -> None:
    found = rebuilt("anthropic", got("openai_chat_web_search", "anthropic").out).raw
    assert found.content[0].citations[0].url.startswith("https://example.com/tides")


@pytest.mark.parametrize("name", FAILED)
def test_a_failed_stream_raises_in_every_sdk(name: str) -> None:
    for client in DIALECTS:
        found = got(name, client)
        assert found.failure is not None
        with pytest.raises(RAISED, match=None if client == dialect_of(name) else re.escape(found.failure.message[:12])):
            rebuilt(client, found.out)


@pytest.mark.parametrize("name", [name for name in GOOD if not any(host in name for host in ("litellm", "mistral"))])
def test_a_stream_that_is_cut_raises_in_every_sdk(name: str) -> None:
    frames = load(name).split(b"\n\n")
    half = b"\n\n".join(frames[: len(frames) // 2])
    for client in DIALECTS:
        found = got(name, client, half)
        if found.failure is not None:
            with pytest.raises(RAISED):
                rebuilt(client, found.out)
        else:
            assert record(PYTHON, half, dialect_of(name)).stop_reason is not None
