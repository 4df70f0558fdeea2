"""The official SDKs accumulate what the encoders write, and must rebuild what the upstream's stream meant, or raise."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import msgspec
import openai
import pytest

from anyllm_fast.dialects.anthropic_reply import STOP_WRITTEN as ANTHROPIC_STOP
from anyllm_fast.dialects.openai_chat_reply import STOP_WRITTEN as CHAT_STOP
from anyllm_fast.neutral.reply import CallPart, RedactedPart, RefusalPart, Reply, TextPart, ThinkingPart
from anyllm_fast.neutral.spans import text_of
from tests.streams import OTHER, PYTHON, corpus, dialect_of, each_twin, load, piped, record, run, watched

pytestmark = each_twin

FAILED = (
    *("openai_chat_error", "openai_chat_openrouter_error", "openai_chat_vllm_error", "anthropic_overloaded"),
    *("openai_responses_cut", "openai_responses_failed_midway"),
)
EARLY = (
    *("openai_chat_error_first", "openai_chat_gemini_error", "anthropic_error_first"),
    *("openai_responses_error_first", "openai_responses_failed_first"),
)
GOOD = [name for name in corpus() if name not in FAILED + EARLY]
OPENAI = ("openai_chat", "openai_responses")
UNFINISHED: dict[str, type[Exception]] = {
    "anthropic_max_tokens": openai.LengthFinishReasonError,
    "anthropic_pause": openai.LengthFinishReasonError,
    "anthropic_refusal": openai.ContentFilterFinishReasonError,
}


def served(stream: bytes) -> Any:
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    return httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))


def judged_by_anthropic(stream: bytes) -> Any:
    client = anthropic.Anthropic(api_key="k", max_retries=0, http_client=served(stream))
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as made:
        return made.get_final_message()


def judged_by_openai(stream: bytes) -> Any:
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=served(stream))
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "x"}]) as made:
        return made.get_final_completion()


def judged_by_responses(stream: bytes) -> Any:
    """The SDK hands failures over as events; programs raise for them."""
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=served(stream))
    last: Any = None
    for last in client.responses.create(model="m", input="x", stream=True):
        if last.type == "error" or last.type == "response.failed":
            message = last.message if last.type == "error" else last.response.error.message
            raise openai.APIError(message, httpx2.Request("POST", "http://x"), body=None)
    return last.response


JUDGE = {"anthropic": judged_by_anthropic, "openai_chat": judged_by_openai, "openai_responses": judged_by_responses}


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


@pytest.mark.parametrize("name", [name for name in GOOD if dialect_of(name) in OPENAI and "shells" not in name])
def test_the_anthropic_sdk_rebuilds_what_an_openai_upstream_meant(twin: Any, name: str) -> None:
    reply = record(PYTHON, load(name), dialect_of(name))
    found = judged_by_anthropic(run(piped(twin, dialect_of(name), "anthropic"), [load(name)]).out)
    assert [shown(block) for block in found.content] == content_of(reply)
    assert reply.stop_reason is not None
    assert found.stop_reason == ANTHROPIC_STOP[reply.stop_reason].decode()
    assert (found.usage.input_tokens, found.usage.output_tokens) == (max(reply.usage.input, 0), max(reply.usage.output, 0))
    assert found.model == "asked-for" and found.id.startswith("msg_")


@pytest.mark.parametrize("name", [name for name in GOOD if dialect_of(name) == "anthropic" and name not in UNFINISHED])
def test_the_openai_sdk_rebuilds_what_an_anthropic_upstream_meant(twin: Any, name: str) -> None:
    reply = record(PYTHON, load(name), "anthropic")
    found = judged_by_openai(run(piped(twin, "anthropic", "openai_chat"), [load(name)]).out)
    choice, expected = found.choices[0], content_of(reply)
    message = choice.message
    assert message.content == "".join(block["text"] for block in expected if block["type"] == "text")
    calls = [(call.id, call.function.name, msgspec.json.decode(call.function.arguments)) for call in message.tool_calls or ()]
    assert calls == [(b["id"], b["name"], b["input"]) for b in expected if b["type"] == "tool_use"]
    thoughts = [block for block in expected if "thinking" in block["type"]]
    extra = message.model_extra or {}
    assert extra.get("reasoning_content", "") == "".join(block.get("thinking", "") for block in thoughts)
    kept = [{k: v for k, v in block.items() if k != "index"} for block in extra.get("thinking_blocks", [])]
    assert kept == [{k: v for k, v in block.items() if (k, v) != ("signature", "")} for block in thoughts]
    assert reply.stop_reason is not None and choice.finish_reason == CHAT_STOP[reply.stop_reason].decode()
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (reply.usage.prompt, reply.usage.output)


@pytest.mark.parametrize("name", UNFINISHED)
def test_the_openai_sdk_knows_an_answer_that_is_not_whole(twin: Any, name: str) -> None:
    with pytest.raises(UNFINISHED[name]):
        judged_by_openai(run(piped(twin, "anthropic", "openai_chat"), [load(name)]).out)


def test_the_openai_sdk_keeps_citations(twin: Any) -> None:
    found = judged_by_openai(run(piped(twin, "anthropic", "openai_chat"), [load("anthropic_web_search")]).out)
    note = found.choices[0].message.annotations[0]
    assert (note.url_citation.start_index, note.url_citation.end_index) == (10, 30)


def test_the_anthropic_sdk_keeps_citations(twin: Any) -> None:
    found = judged_by_anthropic(run(piped(twin, "openai_chat", "anthropic"), [load("openai_chat_web_search")]).out)
    assert found.content[0].citations[0].url.startswith("https://example.com/tides")


@pytest.mark.parametrize("name", FAILED + EARLY)
def test_a_failed_stream_raises_in_both_sdks(twin: Any, name: str) -> None:
    dialect = dialect_of(name)
    for client, made in ((OTHER[dialect], piped(twin, dialect, OTHER[dialect])), (dialect, watched(twin, dialect))):
        found = run(made, [load(name)])
        assert found.failure is not None
        with pytest.raises((anthropic.APIError, openai.APIError), match=found.failure.message[:12]):
            JUDGE[client](found.out)


@pytest.mark.parametrize("name", [name for name in GOOD if not any(host in name for host in ("litellm", "mistral", "last_only"))])
def test_a_stream_that_is_cut_raises_in_the_clients_sdk(twin: Any, name: str) -> None:
    dialect, data = dialect_of(name), load(name)
    frames = data.split(b"\n\n")
    half = b"\n\n".join(frames[: len(frames) // 2])
    for client, made in ((OTHER[dialect], piped(twin, dialect, OTHER[dialect])), (dialect, watched(twin, dialect))):
        found = run(made, [half])
        if found.failure is not None:
            with pytest.raises((anthropic.APIError, openai.APIError)):
                JUDGE[client](found.out)
        else:
            assert b'"finish_reason":"' in half
