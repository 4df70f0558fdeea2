"""What a Gemini client is sent, translated or passed by. google-genai is the judge.

A number like W137 is a fault that was found in another gateway; a test that bears one says what must not happen again.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from google import genai
from google.genai import errors, types

from anyllm_fast.dialects.gemini_ends import STOP_WRITTEN, write_seal
from anyllm_fast.dialects.gemini_notes import SAID_MAX
from anyllm_fast.dialects.gemini_signature import read_proof
from anyllm_fast.dialects.repair import HELD_MAX
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RedactedPart, Reply, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.spans import text_of
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.gemini_streams import read_chunks
from tests.streams import (
    OPTIONS,
    PYTHON,
    corpus,
    cut,
    dialect_of,
    each_twin,
    encoder,
    every_cutting,
    load,
    pass_by,
    payloads,
    piped,
    record,
    run,
)

pytestmark = each_twin

FOREIGN = msgspec.structs.replace(OPTIONS, origin="anthropic")


def written(twin: Any, tell: Callable[[Any], None], options: Any = OPTIONS) -> list[Any]:
    """The chunks that the encoder makes of calls to a sink; a bare error last."""
    made = encoder(twin, "gemini", options)
    tell(made)
    return read_chunks(made.take())


def parts_of(chunks: list[Any]) -> list[Any]:
    return [part for body in chunks if "candidates" in body for part in body["candidates"][0]["content"]["parts"]]


# -- writing -----------------------------------------------------------------------------------------------------------


def test_w137_calls_thoughts_refusals_usage_and_errors_reach_the_client(twin: Any) -> None:
    def tell(sink: Any) -> None:
        sink.thinking(b"hm")
        sink.seal(b"S")
        sink.tool(0, b"id", b"f")
        sink.args(0, rb"{\"a\":")
        sink.args(0, rb"\"\\n\"}")
        sink.refusal(b"no")
        sink.usage(Usage(input=5, output=9, cache_read=3, cache_write=2, reasoning=4))
        sink.stop("tool_use", None)
        sink.end()

    found = written(twin, tell, FOREIGN)
    thought, call, refusal, end = parts_of(found)
    assert thought == {"text": "hm", "thought": True}
    assert call["functionCall"] == {"id": "id", "name": "f", "args": {"a": "\n"}}
    assert (refusal, end) == ({"text": "no"}, {"text": ""})
    assert found[-1]["candidates"][0]["finishReason"] == "STOP"
    assert found[-1]["usageMetadata"] == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 5,
        "totalTokenCount": 19,
        "cachedContentTokenCount": 3,
        "thoughtsTokenCount": 4,
    }
    assert all((body["modelVersion"], body["responseId"]) == ("asked-for", OPTIONS.ident.decode()) for body in found)


def test_a_foreign_signature_goes_on_the_call_and_comes_back_with_its_text(twin: Any) -> None:
    def tell(sink: Any) -> None:
        sink.thinking("é".encode())
        sink.thinking(rb"\n")
        sink.seal(b"SIG")
        sink.redacted(b"DATA")
        sink.tool(0, b"", b"f")
        sink.end()

    found = parts_of(written(twin, tell, FOREIGN))
    assert [list(part) for part in found[2:]] == [["text", "thoughtSignature"], ["functionCall", "thoughtSignature"], ["text"]]
    proofs = [read_proof(part["thoughtSignature"].encode(), "c") for part in found[2:4]]
    assert proofs[0] is not None and proofs[1] is not None
    assert (proofs[0].origin, proofs[0].opaque, text_of(proofs[0].text)) == ("anthropic", b"SIG", "é\n")
    assert (proofs[1].origin, proofs[1].data) == ("anthropic", b"DATA")


def test_a_signature_with_nothing_behind_it_goes_out_on_an_empty_text(twin: Any) -> None:
    def tell(sink: Any) -> None:
        sink.text(b"x")
        sink.seal(b"SIG")
        sink.stop("end_turn", None)
        sink.end()

    found = parts_of(written(twin, tell, FOREIGN))
    assert found[1]["text"] == "" and base64.b64decode(found[1]["thoughtSignature"]) == b"anyllm:anthropic:SIG"


def test_geminis_own_signatures_go_back_bare_on_parts_of_their_kind(twin: Any) -> None:
    for name in ("gemini_thinking_tools", "gemini_text_signature"):
        reply, made = (
            record(twin, load(name), "gemini"),
            encoder(twin, "gemini", msgspec.structs.replace(OPTIONS, origin="gemini")),
        )
        replay(reply, made)
        assert record(twin, made.take(), "gemini").parts == reply.parts
    assert write_seal("gemini", b"c:x", b"") == ("c", b"x")


def test_what_came_without_a_kind_and_redacted_reasoning_are_read_as_they_were_said(twin: Any) -> None:
    made = encoder(twin, "gemini")
    replay(
        Reply(parts=[RedactedPart(b"D"), ThinkingPart(b"x", b"odd"), TextPart(b"y")], stop_reason="end_turn", ended=True), made
    )
    assert record(twin, made.take(), "gemini").parts == [RedactedPart(b"D"), ThinkingPart(b"x", b"odd"), TextPart(b"y")]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (b"", {}),
        (rb" \n ", {}),
        (rb"{\n\"a\": [1,\r\n2]}", {"a": [1, 2]}),
        (rb"{\"a\":1", {"_raw_error": '{"a":1'}),
        (rb"[1]", {"_raw": [1]}),
        (rb"\"x\"", {"_raw": "x"}),
        (rb"{\"a\":\"\ud800\"}", {"_raw_error": r"{\"a\":\"\ud800\"}"}),
        (b"[" * 3000, {"_raw_error": "[" * 3000}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(twin: Any, args: bytes, found: Any) -> None:
    def tell(sink: Any) -> None:
        sink.tool(0, b"id", b"f")
        sink.args(0, args)
        sink.text(b"after")
        sink.stop("tool_use", None)
        sink.end()

    chunks = written(twin, tell)
    assert parts_of(chunks)[0]["functionCall"]["args"] == found


def test_arguments_are_bounded(twin: Any) -> None:
    made = encoder(twin, "gemini")
    made.tool(0, b"id", b"f")
    for _ in range(HELD_MAX // 100_000 + 1):
        made.args(0, b"x" * 100_000)
    assert made.failure is not None and made.ended


@pytest.mark.parametrize(("stop", "finish"), STOP_WRITTEN.items())
def test_every_stop_reason_is_a_finish_reason(twin: Any, stop: Any, finish: bytes) -> None:
    found = written(twin, lambda sink: (sink.text(b"x"), sink.stop(stop, b"s"), sink.end()))  # type: ignore[func-returns-value]
    assert found[-1]["candidates"][0]["finishReason"] == finish.decode()


def test_a_refusal_is_text_that_stopped_for_safety(twin: Any) -> None:
    found = written(twin, lambda sink: (sink.refusal(b"no"), sink.stop("end_turn", None), sink.end()))  # type: ignore[func-returns-value]
    assert (found[0]["candidates"][0]["content"]["parts"], found[-1]["candidates"][0]["finishReason"]) == (
        [{"text": "no"}],
        "SAFETY",
    )


def test_losses_are_a_member_of_the_last_chunk_and_no_comment(twin: Any) -> None:
    def tell(sink: Any) -> None:
        sink.text(b"x")
        sink.private(b"web_search_tool_result", b"{}")
        sink.private(b'odd "name"\n', b"{}")
        sink.end()

    assert written(twin, tell)[-1]["x-anyllm-degradation"] == 'web_search_tool_result, odd "name"\n'
    assert "x-anyllm-degradation" not in written(twin, tell, msgspec.structs.replace(OPTIONS, announce=False))[-1]


def test_citations_and_annotations_are_grounding_with_places_in_bytes(twin: Any) -> None:
    citation = {"type": "web_search_result_location", "url": "https://a", "title": "A", "cited_text": "q", "encrypted_index": "E"}
    other = {"type": "char_location", "cited_text": "quoted", "document_index": 0, "document_title": "D", "start_char_index": 0}
    note = {"type": "url_citation", "url_citation": {"start_index": 1, "end_index": 3, "url": "https://b", "title": "B"}}

    def tell(sink: Any) -> None:
        sink.text("é1 ".encode())
        sink.private(b"citation", json.dumps(citation).encode())
        sink.text(b"")
        sink.text(rb"x\n")
        sink.private(b"citation", json.dumps(other).encode())
        sink.private(b"annotation", json.dumps(note).encode())
        sink.private(b"annotation", b"{}")
        sink.end()

    end = written(twin, tell)[-1]
    grounding = end["candidates"][0]["groundingMetadata"]
    assert grounding["groundingChunks"] == [
        {"web": {"uri": "https://a", "title": "A"}},
        {"retrievedContext": {"title": "D", "text": "quoted"}},
        {"web": {"uri": "https://b", "title": "B"}},
    ]
    places = [(one["segment"]["startIndex"], one["segment"]["endIndex"]) for one in grounding["groundingSupports"]]
    assert places == [(0, 4), (4, 6), (2, 4)]
    assert end["x-anyllm-degradation"] == "citation.cited_text, citation.encrypted_index, citation.location, annotation"


def test_media_and_log_probabilities_are_written(twin: Any) -> None:
    for name in ("gemini_image", "gemini_logprobs"):
        made = encoder(twin, "gemini")
        reply = record(twin, load(name), "gemini")
        replay(reply, made)
        again = record(twin, made.take(), "gemini")
        assert [type(one) for one in again.parts] == [type(one) for one in reply.parts]
        tokens = [[token for raw in getattr(one.parts[0], "logprobs", []) for token in json.loads(raw)] for one in (reply, again)]
        assert tokens[0] == tokens[1]


def test_the_text_that_is_kept_for_places_is_bounded(twin: Any) -> None:
    made = encoder(twin, "gemini")
    note = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1 << 40, "url": "https://b", "title": ""}}
    for _ in range(SAID_MAX // 100_000 + 2):
        made.text(b"x" * 100_000)
    made.private(b"annotation", json.dumps(note).encode())
    made.take()
    made.end()
    (end,) = read_chunks(made.take())
    assert end["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"]["endIndex"] <= SAID_MAX


def test_an_error_is_a_bare_object_without_a_line_break(twin: Any) -> None:
    """See the head of gemini_ends.py."""
    made = piped(twin, "openai_chat", "gemini")
    made.feed(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n')
    out = made.fail(Failure("overloaded", "too \n much", 503))
    assert out == b'{"error":{"code":503,"message":"too \\n much","status":"UNAVAILABLE"}}'


# -- the judge ---------------------------------------------------------------------------------------------------------


def client_of(stream: bytes) -> genai.Client:
    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        """The stream in a few packets."""

        def __iter__(self) -> Any:
            yield from packets

        async def __aiter__(self) -> Any:
            for packet in packets:
                yield packet

    import random

    packets = [packet for packet in cut(stream, random.Random(3)) if packet]
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    )
    options = types.HttpOptions(
        base_url="http://gateway.invalid",
        httpx_client=httpx.Client(transport=transport),
        httpx_async_client=httpx.AsyncClient(transport=transport),
    )
    return genai.Client(api_key="k", http_options=options)


def judged(stream: bytes) -> list[types.GenerateContentResponse]:
    return list(client_of(stream).models.generate_content_stream(model="m", contents="x"))


def judged_async(stream: bytes) -> list[types.GenerateContentResponse]:
    async def collect() -> list[types.GenerateContentResponse]:
        made = await client_of(stream).aio.models.generate_content_stream(model="m", contents="x")
        return [one async for one in made]

    return asyncio.run(collect())


JUDGES = pytest.mark.parametrize("judge", [judged, judged_async])
SOURCES = [name for name in corpus() if dialect_of(name) in ("anthropic", "openai_chat", "gemini")]
FAILED = [name for name in SOURCES if record(PYTHON, load(name), dialect_of(name)).failure is not None]


@JUDGES
@pytest.mark.parametrize("name", [name for name in SOURCES if name not in FAILED])
def test_google_genai_rebuilds_what_an_upstream_meant(twin: Any, name: str, judge: Any) -> None:
    source = dialect_of(name)
    reply = record(PYTHON, load(name), source)
    stream = run(piped(twin, source, "gemini", msgspec.structs.replace(OPTIONS, origin=source)), [load(name)]).out
    read_chunks(stream)
    answer = judge(stream)
    said = [part for one in answer for part in one.candidates[0].content.parts]
    expected = [part for part in reply.parts if not isinstance(part, PrivatePart)]
    texts = "".join(text_of(part.text) for part in expected if not isinstance(part, ThinkingPart | RedactedPart | CallPart))
    assert "".join(part.text or "" for part in said if not part.thought) == texts
    thoughts = "".join(text_of(part.text) for part in expected if isinstance(part, ThinkingPart))
    assert "".join(part.text or "" for part in said if part.thought) == thoughts
    calls = [
        (text_of(part.name), msgspec.json.decode(text_of(part.args) or "{}")) for part in expected if isinstance(part, CallPart)
    ]
    assert [(part.function_call.name, part.function_call.args) for part in said if part.function_call] == calls
    assert all(part.function_call.id for part in said if part.function_call)
    signed = [part for part in expected if getattr(part, "signature", b"") or isinstance(part, RedactedPart)]
    assert len([part for part in said if part.thought_signature]) == len(signed)
    end = answer[-1]
    assert end.candidates[0].finish_reason is not None
    if reply.usage.known:
        counts = end.usage_metadata
        assert counts.total_token_count == max(reply.usage.prompt, 0) + max(reply.usage.output, 0)


@JUDGES
@pytest.mark.parametrize("name", FAILED)
def test_google_genai_raises_for_a_stream_that_failed(twin: Any, name: str, judge: Any) -> None:
    source = dialect_of(name)
    found = run(piped(twin, source, "gemini"), [load(name)])
    assert found.failure is not None
    with pytest.raises(errors.APIError) as caught:
        judge(found.out)
    assert caught.value.message == found.failure.message


@JUDGES
@pytest.mark.parametrize("name", ["gemini_cut", "gemini_error_midway", "gemini_error_first"])
def test_google_genai_raises_for_a_failed_stream_that_passes_by(twin: Any, name: str, judge: Any) -> None:
    found = pass_by(twin, load(name), "gemini")
    with pytest.raises(errors.APIError):
        judge(found.out)


def test_a_chat_of_google_genai_keeps_the_turn_in_its_history(twin: Any) -> None:
    """It drops turns that have a chunk without parts."""
    chat = client_of(run(piped(twin, "openai_chat", "gemini"), [load("openai_chat_text")]).out).chats.create(model="m")
    assert list(chat.send_message_stream("x"))
    assert len(chat.get_history(curated=True)) > 1


# -- the bypass --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in corpus("gemini") if name not in FAILED])
def test_a_good_stream_passes_unchanged(twin: Any, name: str) -> None:
    found = pass_by(twin, load(name), "gemini")
    assert found.out == load(name) and found.ended and found.failure is None


def test_a_failed_frame_is_replaced_by_an_error_that_every_sdk_finds(twin: Any) -> None:
    data = load("gemini_error_midway")
    found = pass_by(twin, data, "gemini")
    assert found.out.startswith(data[: data.index(b'data: {"error')])
    assert read_chunks(found.out)[-1]["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_any_cutting_gives_a_gemini_client_the_same(twin: Any) -> None:
    for name in ("anthropic_thinking_tools", "openai_chat_tools_interleaved", "anthropic_citations"):
        found = every_cutting(lambda name=name: piped(twin, dialect_of(name), "gemini", FOREIGN), load(name))  # type: ignore[misc]
        assert found.ended and payloads(found.out)
