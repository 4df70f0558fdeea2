"""Bedrock Converse streams: what the service sends, as clients of other dialects get it, and what boto3 is sent.

boto3 is the judge of what is written: it gets it in AWS's framing from a loopback server.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
from botocore.exceptions import EventStreamError

from anyllm_fast.dialects.bedrock_ends import read_exception
from anyllm_fast.dialects.repair import HELD_MAX
from anyllm_fast.errors import STATUS_OF, Kind
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RedactedPart, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.boto_judge import judged
from tests.streams import OPTIONS, blocks, corpus, each_twin, encoder, last, load, outcome, piped, record, run, translate, watched

pytestmark = each_twin

BEDROCK = msgspec.structs.replace(OPTIONS, origin="bedrock")
CLAUDE = msgspec.structs.replace(OPTIONS, origin="anthropic")


def event(name: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(members))


def delta(index: int, **kind: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=kind)


def stop(index: int) -> bytes:
    return event("contentBlockStop", contentBlockIndex=index)


START = event("messageStart", role="assistant")
END = event("messageStop", stopReason="end_turn")
END += event("metadata", usage={"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}, metrics={"latencyMs": 1})


def events(out: bytes) -> list[tuple[str, Any]]:
    """What was written, frame by frame; fails on anything that is none, and on blocks that are not in order."""
    found = []
    for frame in out.split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        found.append((name.removeprefix(b"event: ").decode(), json.loads(data.removeprefix(b"data: "))))
    assert not out or out.endswith(b"\n\n")
    opened, closed = -1, -1
    for name, body in found:
        if name in ("contentBlockStart", "contentBlockDelta"):
            assert body["contentBlockIndex"] == closed + 1
            opened = closed + 1
        elif name == "contentBlockStop":
            assert body["contentBlockIndex"] == opened == closed + 1
            closed = opened
    return found


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_reply_is_read_block_by_block(twin: Any) -> None:
    reply = record(twin, load("bedrock_reasoning_tools"), "bedrock")
    assert reply.parts == [
        ThinkingPart(b"First a.", b"S1=="),
        TextPart(b"Reading."),
        CallPart(b"tooluse_x", b"read", rb"{\"path\":\"a.txt\"}"),
    ]
    assert (reply.stop_reason, reply.usage, reply.ended) == ("tool_use", Usage(input=9, output=40), True)


def test_parallel_calls_and_one_without_input_are_whole(twin: Any) -> None:
    reply = record(twin, load("bedrock_tools_parallel"), "bedrock")
    assert reply.parts[1:] == [
        CallPart(b"tooluse_Ab1", b"read", rb"{\"path\": \"a.txt\"}"),
        CallPart(b"tooluse_Cd2", b"list", b"{}"),
    ]
    assert reply.usage == Usage(input=410, output=88, cache_read=1800, cache_write=250, cache_write_1h=50)


def test_two_texts_stay_two_without_a_start(twin: Any) -> None:
    parts = record(twin, load("bedrock_two_texts"), "bedrock").parts
    assert parts == [TextPart(b"a"), TextPart(b"b"), ThinkingPart(b"why"), TextPart(b"cd")]
    unstopped = START + delta(0, text="a") + delta(1, text="b") + delta(1, text="c") + END
    assert record(twin, unstopped, "bedrock").parts == [TextPart(b"a"), TextPart(b"bc")]


def test_redacted_reasoning_is_the_blob_as_it_came(twin: Any) -> None:
    assert record(twin, load("bedrock_redacted"), "bedrock").parts[0] == RedactedPart(b"RXJvRENrWUlCUkFCR0FJPQ==")


def test_a_signature_may_come_alone_or_in_pieces(twin: Any) -> None:
    alone = START + delta(0, reasoningContent={"signature": "S="}) + stop(0) + END
    assert record(twin, alone, "bedrock").parts == [ThinkingPart(b"", b"S=")]
    pieces = START + b"".join(delta(0, reasoningContent={"signature": piece}) for piece in ("a", "b")) + stop(0) + END
    assert record(twin, pieces, "bedrock").parts == [ThinkingPart(b"", b"ab")]


def test_a_generated_image_is_media_and_one_that_failed_is_kept(twin: Any) -> None:
    parts = record(twin, load("bedrock_image"), "bedrock").parts
    assert parts[1] == PrivatePart(b"media", b'{"media_type":"image/png","data":"iVBORw0KGgo="}')
    assert parts[2] == PrivatePart(b"content.image", b'{"image":{"format":"png","error":{"message":"blocked by policy"}}}')


def test_the_bytes_of_an_image_in_pieces_are_one(twin: Any) -> None:
    pieces = [b64encode(b"ab").decode(), b64encode(b"cde").decode()]
    stream = START + event("contentBlockStart", contentBlockIndex=0, start={"image": {"format": "png"}})
    stream += b"".join(delta(0, image={"source": {"bytes": piece}}) for piece in pieces) + stop(0) + END
    part = record(twin, stream, "bedrock").parts[0]
    assert isinstance(part, PrivatePart) and b64decode(json.loads(part.raw)["data"]) == b"abcde"


def test_tools_of_the_service_are_put_together_as_in_a_whole_reply(twin: Any) -> None:
    parts = record(twin, load("bedrock_server_tools"), "bedrock").parts
    assert [(part.name, json.loads(part.raw)) for part in parts if isinstance(part, PrivatePart)] == [
        (
            b"content.toolUse",
            {
                "toolUse": {
                    "toolUseId": "srv_1",
                    "name": "nova_code_interpreter",
                    "type": "server_tool_use",
                    "input": {"snippet": "1+1"},
                }
            },
        ),
        (
            b"content.toolResult",
            {
                "toolResult": {
                    "toolUseId": "srv_1",
                    "type": "nova_code_interpreter_result",
                    "status": "success",
                    "content": [{"json": {"stdOut": "2"}}, {"text": "ok"}],
                }
            },
        ),
    ]


def test_nothing_that_only_bedrock_knows_is_lost_in_silence(twin: Any) -> None:
    assert translate(twin, load("bedrock_unknown"), "bedrock").losses == (
        "weatherEvent",
        "delta",
        "additionalModelResponseFields",
    )
    assert translate(twin, load("bedrock_guardrail"), "bedrock").losses == ("trace",)


def test_a_stream_is_complete_with_its_stop_and_cut_without(twin: Any) -> None:
    assert translate(twin, load("bedrock_no_metadata"), "bedrock").failure is None
    failure = translate(twin, load("bedrock_cut"), "bedrock").failure
    assert failure is not None and "before messageStop" in failure.message


def test_counts_may_come_before_the_stop_or_in_the_second_metadata(twin: Any) -> None:
    stopped = event("messageStop", stopReason="end_turn")
    counts = event("metadata", usage={"inputTokens": 5, "outputTokens": 3}, metrics={"latencyMs": 1})
    none = event("metadata", metrics={"latencyMs": 1})
    for ending in (counts + stopped, none + stopped + counts, stopped + none + counts):
        found = translate(twin, START + delta(0, text="x") + stop(0) + ending, "bedrock")
        assert found.failure is None and found.usage == Usage(input=5, output=3)


def test_a_stop_sequence_is_said_where_it_was_asked_for(twin: Any) -> None:
    assert last(translate(twin, load("bedrock_stop_sequence"), "bedrock").out, "message_delta")["delta"] == {
        "stop_reason": "stop_sequence",
        "stop_sequence": "three",
    }


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("throttlingException", "rate_limit", 429),
        ("validationException", "invalid_request", 400),
        ("serviceUnavailableException", "overloaded", 503),
        ("internalServerException", "api", 500),
        ("modelStreamErrorException", "api", 424),
        ("modelTimeoutException", "timeout", 408),
        ("brandNewException", "api", 500),
    ],
)
def test_an_exception_is_a_failure_of_its_kind(twin: Any, name: str, kind: Kind, status: int) -> None:
    found = translate(twin, event(name, message="why"), "bedrock")
    assert found.failure == Failure(kind, "why", status, name[0].upper() + name[1:]) and not found.committed
    assert watched(twin, "bedrock").feed(event(name, message="why")) == event(name, message="why")


def test_an_exception_says_what_the_models_host_said(twin: Any) -> None:
    found = translate(twin, load("bedrock_error_midway"), "bedrock")
    assert found.failure is not None and found.committed
    assert (found.failure.kind, found.failure.status) == (
        "overloaded",
        503,
    ) and "(model pool is draining)" in found.failure.message
    assert read_exception(b"error", b'{"__type":"throttlingException"}').kind == "rate_limit"
    assert read_exception(b"error", b"").message == "an error that says nothing"
    assert read_exception(b"validationException", b"no json").message == "no json"


def test_input_for_a_block_that_never_started_is_a_failure(twin: Any) -> None:
    failure = translate(twin, START + delta(0, toolUse={"input": "{}"}) + END, "bedrock").failure
    assert failure is not None and "had not started" in failure.message


def test_events_without_an_index_go_on_with_the_block_before(twin: Any) -> None:
    stream = START + event("contentBlockDelta", delta={"text": "a"}) + event("contentBlockStop")
    stream += event("contentBlockStart", start={"toolUse": {"toolUseId": "i", "name": "n"}})
    stream += event("contentBlockDelta", delta={"toolUse": {"input": {"a": 1}}}) + event("contentBlockStop") + END
    assert record(twin, stream, "bedrock").parts == [TextPart(b"a"), CallPart(b"i", b"n", rb"{\"a\":1}")]


def test_a_delta_of_another_kind_ends_the_block_of_its_index(twin: Any) -> None:
    stream = START + event("contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "i", "name": "n"}})
    stream += delta(0, toolResult=[{"text": "x"}]) + stop(0) + END
    parts = record(twin, stream, "bedrock").parts
    assert parts == [
        CallPart(b"i", b"n", b"{}"),
        PrivatePart(b"content.toolResult", b'{"toolResult":{"content":[{"text":"x"}]}}'),
    ]


def test_what_is_kept_is_bounded(twin: Any) -> None:
    stream = START + event("contentBlockStart", contentBlockIndex=0, start={"toolResult": {"toolUseId": "i"}})
    piece = delta(0, toolResult=[{"text": "x" * 65536}])
    made = watched(twin, "bedrock")
    assert outcome(made, made.feed(stream)).failure is None
    reply = record(twin, stream + piece * (HELD_MAX // len(piece) + 1) + stop(0) + END, "bedrock")
    assert reply.failure is not None and str(HELD_MAX) in reply.failure.message
    many = b"".join(delta(index, text="x") for index in range(129))
    failed = record(twin, START + many + END, "bedrock").failure
    assert failed is not None and "128" in failed.message


# -- writing -----------------------------------------------------------------------------------------------------------


LOSSY = {"bedrock_unknown", "bedrock_guardrail", "bedrock_citations"}
"""They hold something that has no form in the middle, or none in a stream that we write."""


def test_a_recorded_stream_written_again_says_the_same(twin: Any) -> None:
    for name in corpus("bedrock"):
        reply = record(twin, load(name), "bedrock")
        if reply.failure is not None or name in LOSSY:
            continue
        made = encoder(twin, "bedrock", BEDROCK)
        replay(reply, made)
        out = made.take()
        events(out)
        again = record(twin, out, "bedrock")
        assert (again.parts, again.stop_reason, again.stop_sequence, again.ended) == (
            reply.parts,
            reply.stop_reason,
            reply.stop_sequence,
            True,
        )


def test_text_has_no_start_and_every_block_has_a_stop(twin: Any) -> None:
    made = encoder(twin, "bedrock")
    made.text(b"a")
    made.tool(0, b"i", b"n")
    made.args(0, b"{}")
    made.refusal(b"no")
    made.end()
    assert [name for name, _ in events(made.take())] == [
        *("messageStart", "contentBlockDelta", "contentBlockStop"),
        *("contentBlockStart", "contentBlockDelta", "contentBlockStop"),
        *("contentBlockDelta", "contentBlockStop", "messageStop", "metadata"),
    ]


def test_a_call_without_input_gets_an_empty_object(twin: Any) -> None:
    made = encoder(twin, "bedrock")
    made.tool(0, b"i", b"n")
    made.end()
    assert ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}) in events(made.take())


def test_signatures_of_another_vendor_leave_with_its_name(twin: Any) -> None:
    for options, signature, blob in (
        (BEDROCK, "S==", b"QUJD"),
        (CLAUDE, "anyllm:anthropic:S==", b64encode(b"anyllm:anthropic:redacted:QUJD")),
    ):
        made = encoder(twin, "bedrock", options)
        made.thinking(b"t")
        made.seal(b"S==")
        made.redacted(b"QUJD")
        made.end()
        said = [body["delta"]["reasoningContent"] for name, body in events(made.take()) if name == "contentBlockDelta"]
        assert said == [{"text": "t"}, {"signature": signature}, {"redactedContent": blob.decode()}]


def test_losses_are_said_in_the_last_event(twin: Any) -> None:
    for announce in (True, False):
        made = encoder(twin, "bedrock", msgspec.structs.replace(CLAUDE, announce=announce))
        made.text(b"a")
        made.private(b"container", b"{}")
        made.private(
            b"citation", b'{"type":"web_search_result_location","url":"https://x","cited_text":"q","encrypted_index":"E"}'
        )
        made.end()
        name, body = events(made.take())[-1]
        assert name == "metadata" and made.losses == ["container", "citation.encrypted_index"]
        assert body.get("x-anyllm-degradation") == ("container, citation.encrypted_index" if announce else None)


@pytest.mark.parametrize("kind", list(STATUS_OF))
def test_a_failure_leaves_as_an_exception_that_the_sdk_knows(twin: Any, kind: Kind) -> None:
    made = encoder(twin, "bedrock")
    made.text(b"half")
    made.fail(Failure(kind, 'a "message"', 500))
    (name, body) = events(made.take())[-1]
    assert body == {"message": 'a "message"'}
    assert name in {
        *("validationException", "throttlingException", "serviceUnavailableException"),
        *("internalServerException", "modelStreamErrorException"),
    }


# -- the judge ---------------------------------------------------------------------------------------------------------


def test_boto3_rebuilds_what_was_meant(twin: Any) -> None:
    made = encoder(twin, "bedrock", CLAUDE)
    made.start(b"", b"")
    made.thinking(b"hm")
    made.seal(b"S==")
    made.redacted(b"QUJD")
    made.text("é😀 ".encode() + rb"\"q\"\n")
    made.private(
        b"citation",
        b'{"type":"char_location","cited_text":"q","document_index":0,"document_title":"d","start_char_index":1,"end_char_index":2}',
    )
    made.tool(0, b"toolu_1", b"read")
    made.tool(1, b"toolu_2", b"list")
    made.args(1, b"{}")
    made.args(0, rb"{\"path\":\"a.txt\"}")
    made.private(b"media", b'{"media_type":"image/png","data":"iVBORw0KGgo="}')
    made.usage(Usage(input=4, output=18, cache_read=30, cache_write=10, cache_write_1h=3))
    made.stop("tool_use", None)
    made.end()
    message, stopped, metadata = judged(twin, made.take())
    assert message == [
        {"reasoningContent": {"text": "hm", "signature": "anyllm:anthropic:S=="}},
        {"reasoningContent": {"redactedContent": b"anyllm:anthropic:redacted:QUJD"}},
        {
            "text": 'é😀 "q"\n',
            "citations": [
                {
                    "title": "d",
                    "sourceContent": [{"text": "q"}],
                    "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}},
                }
            ],
        },
        {"toolUse": {"toolUseId": "toolu_1", "name": "read", "input": {"path": "a.txt"}}},
        {"toolUse": {"toolUseId": "toolu_2", "name": "list", "input": {}}},
        {"image": {"format": "png", "source": {"bytes": b"\x89PNG\r\n\x1a\n"}}},
    ]
    assert stopped == {"stopReason": "tool_use"}
    assert metadata["usage"] == {
        "inputTokens": 4,
        "outputTokens": 18,
        "totalTokens": 62,
        "cacheReadInputTokens": 30,
        "cacheWriteInputTokens": 10,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 3}, {"ttl": "5m", "inputTokens": 7}],
    }
    assert metadata["metrics"] == {"latencyMs": 0}


def test_boto3_raises_for_a_failure_in_the_stream(twin: Any) -> None:
    made = encoder(twin, "bedrock")
    made.text(b"half")
    made.fail(Failure("rate_limit", "slow down", 429))
    with pytest.raises(EventStreamError, match=r"\(throttlingException\).*slow down"):
        judged(twin, made.take())


def test_the_streams_of_other_vendors_reach_boto3(twin: Any) -> None:
    for name, source in (("anthropic_thinking_tools", "anthropic"), ("openai_chat_tools_interleaved", "openai_chat")):
        out = run(piped(twin, source, "bedrock"), [load(name)]).out
        message, _, _ = judged(twin, out)
        calls = [block["toolUse"] for block in message if "toolUse" in block]
        theirs = [part for part in record(twin, load(name), source).parts if isinstance(part, CallPart)]
        assert [(call["toolUseId"], call["name"]) for call in calls] == [(c.ident.decode(), c.name.decode()) for c in theirs]
    assert [block["type"] for block in blocks(translate(twin, load("bedrock_reasoning_tools"), "bedrock").out)] == [
        *("thinking", "text", "tool_use")
    ]
