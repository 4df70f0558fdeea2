"""anyllm_fast/dialects/bedrock_reply.py: ConverseResponse in and out, with botocore's parser as the judge."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from anyllm_fast.dialects import anthropic_reply, bedrock_request, openai_chat_reply
from anyllm_fast.dialects.bedrock_citations import citation_of, converse_citation
from anyllm_fast.dialects.bedrock_reply import read_reply, read_usage, write_reply
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RedactedPart, RefusalPart, Reply, ReplyPart, TextPart, ThinkingPart
from anyllm_fast.neutral.usage import Usage
from tests import bedrock_judge
from tests.replies import NOTED, OPTIONS, REDACTED, REFUSAL, SPAN, THINKING, USAGE, calls

Json = dict[str, Any]
OWN = replace(OPTIONS, origin="bedrock")
FOREIGN = replace(OPTIONS, origin="anthropic")
STOPS = ["end_turn", "max_tokens", "stop_sequence", "content_filter", "context_window"]


def read(body: Any) -> tuple[Reply, dict[str, str]]:
    losses = Losses()
    return read_reply(body if isinstance(body, bytes) else json.dumps(body).encode(), losses), dict(losses)


def write(reply: Reply, options: Any = OPTIONS) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    out = write_reply(reply, options, losses)
    assert bedrock_judge.lost(out) == []
    bedrock_judge.read(out)
    return json.loads(out), dict(losses)


def response(*content: Any, **members: Any) -> Json:
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
        "metrics": {"latencyMs": 9},
        **members,
    }


def content_of(out: Json) -> list[Json]:
    blocks: list[Json] = out["output"]["message"]["content"]
    return blocks


PLACE = st.sampled_from(
    [
        {"type": "char_location", "document_index": 1, "start_char_index": 2, "end_char_index": 3, "document_title": "T"},
        {"type": "page_location", "document_index": 1, "start_page_number": 2, "end_page_number": 3, "document_title": None},
        {
            "type": "content_block_location",
            "document_index": 1,
            "start_block_index": 2,
            "end_block_index": 3,
            "document_title": "T",
        },
        {"type": "search_result_location", "search_result_index": 1, "start_block_index": 2, "end_block_index": 3, "source": "s"},
        {"type": "web_search_result_location", "url": "http://a/b", "title": "T", "encrypted_index": ""},
    ]
)
CITATION = st.builds(
    lambda place, text: json.dumps({**place, "cited_text": text}, separators=(",", ":"), ensure_ascii=False).encode(),
    PLACE,
    st.text('abc\n"ü', max_size=5),
)
CITED = st.builds(TextPart, SPAN, st.lists(CITATION, max_size=2))
DATA = st.binary(min_size=1, max_size=9).map(base64.b64encode)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    called = draw(calls(2))
    blocks: list[ReplyPart] = draw(st.lists(THINKING | st.builds(RedactedPart, DATA) | CITED, max_size=4))
    stop: Any = "tool_use" if called else draw(st.sampled_from(STOPS))
    usage = draw(USAGE)
    usage.reasoning = -1
    usage.cache_write_1h = min(usage.cache_write, 7) if usage.cache_write >= 0 else -1
    return Reply(b"", b"", [*blocks, *called], stop, b"E\\n" if stop == "stop_sequence" else None, usage, ended=True)


@pytest.mark.parametrize("options", [OWN, OPTIONS], ids=lambda options: options.origin or "nobody")
@given(reply=replies())
def test_what_is_written_reads_back_the_same(options: Any, reply: Reply) -> None:
    losses = Losses()
    again = read_reply(write_reply(reply, options, losses), losses)
    assert plain(again) == plain(reply)
    assert not losses


def plain(reply: Reply) -> Reply:
    """Citations as objects: their members have no order."""
    parts = [
        replace(part, citations=[json.loads(raw) for raw in part.citations]) if isinstance(part, TextPart) else part
        for part in reply.parts
    ]
    return replace(reply, parts=parts)


@given(
    parts=st.lists(THINKING | REDACTED | CITED | REFUSAL | NOTED, max_size=4),
    usage=USAGE,
    called=calls(2),
    options=st.sampled_from([OWN, FOREIGN, OPTIONS]),
)
def test_botocore_reads_all_that_is_written(parts: list[ReplyPart], usage: Usage, called: list[CallPart], options: Any) -> None:
    out = write_reply(Reply(parts=[*parts, *called], usage=usage), options, Losses())
    assert bedrock_judge.lost(out) == []
    seen = bedrock_judge.read(out)
    assert len(seen["output"]["message"]["content"]) == len(parts) + len(called)
    for part, block in zip(called, seen["output"]["message"]["content"][len(parts) :], strict=True):
        assert block["toolUse"]["input"] == json.loads(json.loads(b'"%b"' % part.args))
    assert seen["usage"]["totalTokens"] == usage.prompt + usage.output


# -- content -----------------------------------------------------------------------------------------------------------


def test_every_block_that_others_know_becomes_a_part() -> None:
    reply, losses = read(
        response(
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "SIG"}}},
            {"reasoningContent": {"redactedContent": "QUJD"}},
            {"text": "hi"},
            {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"b": 1, "a": 1.50}}},
            stopReason="tool_use",
        )
    )
    assert reply.parts == [
        ThinkingPart(b"hm", b"SIG"),
        RedactedPart(b"QUJD"),
        TextPart(b"hi"),
        CallPart(b"t1", b"f", rb"{\"b\": 1, \"a\": 1.5}"),
    ]
    assert (reply.stop_reason, reply.ended, losses) == ("tool_use", True, {})


def test_signatures_of_others_leave_with_their_origin_and_come_back_through_a_request() -> None:
    """What an Anthropic upstream signed must reach it again, also from a client that speaks Converse."""
    out, _ = write(Reply(parts=[ThinkingPart(b"t", b"SIG"), RedactedPart(b"DATA\\n")]), FOREIGN)
    blocks = content_of(out)
    assert blocks[0]["reasoningContent"]["reasoningText"]["signature"] == "anyllm:anthropic:SIG"
    body = {"messages": [{"role": "assistant", "content": blocks}]}
    request = bedrock_request.read_request(json.dumps(body).encode(), Losses())
    thought, hidden = request.turns[0].parts
    assert (thought.origin, bytes(thought.signature or b"")) == ("anthropic", b'"SIG"')  # type: ignore[union-attr]  # both are Thinking
    assert (hidden.origin, bytes(hidden.text)) == ("anthropic", b'"DATA\\n"')  # type: ignore[union-attr]  # both are Thinking


def test_bedrocks_own_signatures_leave_as_they_are() -> None:
    out, _ = write(Reply(parts=[ThinkingPart(b"t", b"SIG"), RedactedPart(b"QUJD")]), OWN)
    assert content_of(out) == [
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "SIG"}}},
        {"reasoningContent": {"redactedContent": "QUJD"}},
    ]


def test_blocks_that_only_this_dialect_knows_are_kept_whole_and_go_back() -> None:
    blocks = [
        {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "t", "content": [{"text": "x"}], "type": "nova_grounding_result"}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}},
    ]
    reply, losses = read(response(*blocks, trace={"promptRouter": {"invokedModelId": "m"}}))
    assert [part.name for part in reply.parts if isinstance(part, PrivatePart)] == [
        b"content.toolUse",
        b"content.toolResult",
        b"content.image",
        b"trace",
    ]
    assert losses == {}
    out, losses = write(reply)
    assert content_of(out) == blocks
    assert out["trace"] == {"promptRouter": {"invokedModelId": "m"}}
    assert losses == {}


@pytest.mark.parametrize("writer", [anthropic_reply, openai_chat_reply])
def test_to_others_they_are_losses_by_name(writer: Any) -> None:
    reply, _ = read(response({"audio": {"format": "mp3", "source": {"s3Location": {"uri": "s3://b/k"}}}}, {"text": "x"}))
    losses = Losses()
    writer.write_reply(reply, OPTIONS, losses)
    assert {path for path, _ in losses} == {"content.audio"}


def test_generated_images_are_media_to_everybody() -> None:
    block = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
    reply, _ = read(response(block))
    assert reply.parts == [PrivatePart(b"media", b'{"media_type":"image/png","data":"AAAA"}')]
    assert content_of(write(reply)[0]) == [block]


def test_what_the_api_has_no_place_for_is_said() -> None:
    out, losses = write(Reply(parts=[PrivatePart(b"media", b'{"media_type":"x/y","data":"A"}'), PrivatePart(b"other", b"{}")]))
    assert content_of(out) == []
    assert set(losses) == {"media", "other"}
    _, losses = write(Reply(parts=[TextPart(b"x", logprobs=[b"[]"])]))
    assert set(losses) == {"logprobs"}


def test_arguments_are_spliced_as_the_model_wrote_them_and_always_an_object() -> None:
    args = [rb"{\"b\": 1.50, \"a\": null}", b"", b"[1]", b"{broken"]
    out = write_reply(Reply(parts=[CallPart(b"c%d" % at, b"f", each) for at, each in enumerate(args)]), OPTIONS, Losses())
    assert b'"input":{"b": 1.50, "a": null}' in out
    inputs = [block["toolUse"]["input"] for block in content_of(json.loads(out))]
    assert inputs[1:] == [{}, {"_raw": [1]}, {"_raw_error": "{broken"}]


def test_a_call_without_an_id_gets_one() -> None:
    out, _ = write(Reply(parts=[CallPart(b"", b"f", b"{}")]))
    assert content_of(out)[0]["toolUse"]["toolUseId"] == "call_0123456789abcdef_0"


# -- citations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ({"web": {"url": "http://a/", "domain": "a"}}, "web_search_result_location"),
        ({"documentChar": {"documentIndex": 1, "start": 2, "end": 3}}, "char_location"),
        ({"documentPage": {"documentIndex": 1, "start": 2, "end": 3}}, "page_location"),
        ({"documentChunk": {"documentIndex": 1, "start": 2, "end": 3}}, "content_block_location"),
        ({"searchResultLocation": {"searchResultIndex": 1, "start": 2, "end": 3}}, "search_result_location"),
    ],
)
def test_every_place_of_a_citation_goes_both_ways(location: Json, kind: str) -> None:
    cited = {"title": "T", "sourceContent": [{"text": "quoted"}], "location": location}
    found = citation_of(json.dumps(cited).encode())
    assert found is not None
    citation, lost = found
    assert json.loads(citation)["type"] == kind
    assert json.loads(citation)["cited_text"] == "quoted"
    assert lost == []
    again = converse_citation(citation)
    assert again is not None
    assert (json.loads(again[0]), again[1]) == (cited, [])


def test_cited_text_is_one_text_with_its_citations() -> None:
    block = {
        "citationsContent": {
            "content": [{"text": "one "}, {"text": "two"}],
            "citations": [{"title": "T", "source": "x", "location": {"web": {"url": "http://a/"}}}, {"title": "nowhere"}],
        }
    }
    reply, losses = read(response(block))
    part: Any = reply.parts[0]
    assert part.text == b"one two"
    assert [json.loads(raw)["url"] for raw in part.citations] == ["http://a/"]
    where = "output.message.content.0.citationsContent.citations"
    assert set(losses) == {f"{where}.0.source", f"{where}.1"}


def test_annotations_of_chat_become_citations_of_the_web() -> None:
    raw = json.dumps(
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "http://a/b", "title": "T"}}
    )
    out, losses = write(Reply(parts=[TextPart(b"x", annotations=[raw.encode()])]))
    cited = content_of(out)[0]["citationsContent"]
    assert cited["content"] == [{"text": "x"}]
    assert cited["citations"] == [{"title": "T", "location": {"web": {"url": "http://a/b", "domain": "a"}}}]
    assert losses == {}


def test_an_opaque_index_is_announced() -> None:
    raw = b'{"type":"web_search_result_location","url":"http://a/","title":"T","cited_text":"q","encrypted_index":"E"}'
    _, losses = write(Reply(parts=[TextPart(b"x", [raw])]))
    assert set(losses) == {"citation.encrypted_index"}


# -- why it stopped, and what it took ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("model_context_window_exceeded", "context_window"),
        ("malformed_model_output", "other"),
        ("malformed_tool_use", "other"),
        ("something_new", "other"),
    ],
)
def test_every_stop_reason_has_its_word(word: str, reason: str) -> None:
    reply, losses = read(response({"text": "x"}, stopReason=word))
    assert reply.stop_reason == reason
    assert ("stopReason" in losses) == word.startswith("malformed")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        *(("refusal", "content_filtered"), ("content_filter", "content_filtered"), ("pause_turn", "max_tokens")),
        *(("context_window", "model_context_window_exceeded"), ("other", "end_turn"), (None, "end_turn")),
    ],
)
def test_every_reason_is_said_in_a_word_that_botocore_knows(reason: Any, word: str) -> None:
    assert write(Reply(stop_reason=reason, parts=[RefusalPart(b"no")]))[0]["stopReason"] == word


def test_a_reply_with_calls_stops_for_them() -> None:
    assert read(response({"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}))[0].stop_reason == "tool_use"
    assert write(Reply(parts=[CallPart(b"a", b"f", b"")]))[0]["stopReason"] == "tool_use"


def test_the_stop_sequence_is_in_the_additional_fields() -> None:
    reply, _ = read(
        response({"text": "x"}, stopReason="stop_sequence", additionalModelResponseFields={"stop_sequence": "END", "x": 1})
    )
    assert reply.stop_sequence == b"END"
    out, _ = write(reply)
    assert out["additionalModelResponseFields"] == {"x": 1, "stop_sequence": "END"}


USED = {
    "inputTokens": 10,
    "outputTokens": 5,
    "totalTokens": 65,
    "cacheReadInputTokens": 20,
    "cacheWriteInputTokens": 30,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 12}, {"ttl": "5m", "inputTokens": 18}],
}


def test_counts_are_read_and_written_the_same() -> None:
    reply, _ = read(response({"text": "x"}, usage=USED))
    assert reply.usage == Usage(input=10, output=5, cache_read=20, cache_write=30, cache_write_1h=12)
    assert write(reply)[0]["usage"] == USED


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"usage":7}', b'{"usage":{"inputTokens":"x"}}', b"\xff"])
def test_counts_of_a_body_that_says_none_are_unknown(body: bytes) -> None:
    assert not read_usage(body).known


def test_counts_of_a_body_that_is_passed_on_are_read() -> None:
    assert read_usage(json.dumps(response(usage=USED)).encode()).prompt == 60


# -- what is no reply --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"message":"no"}', b'{"output":{}}', b'{"output":{"message":{"content":"x"}}}']
)
def test_what_is_no_reply_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        read(body)


def test_members_that_say_how_the_call_was_run_are_left_out() -> None:
    body = response({"text": "x"}, serviceTier={"type": "default"}, performanceConfig={"latency": "standard"})
    reply, losses = read(body)
    assert reply.parts == [TextPart(b"x")]
    assert losses == {}
