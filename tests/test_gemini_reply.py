"""Whole replies of Gemini generateContent: what is read of them, what is written for their clients."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from anyllm_fast.dialects import anthropic_reply, gemini_reply, gemini_request, openai_chat_reply
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RedactedPart, RefusalPart, Reply, TextPart, ThinkingPart
from anyllm_fast.neutral.request import Thinking, ToolCall
from anyllm_fast.neutral.usage import Usage
from tests.replies import ANNOTATION, ARGS, CITATION, COUNT, NAME, OPTIONS, SPAN, span

Json = dict[str, Any]


def answered(*parts: Json, **members: Any) -> Json:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate | members]}


def read(body: Json) -> Reply:
    return gemini_reply.read_reply(json.dumps(body).encode(), Losses())


def written(reply: Reply, origin: str = "") -> tuple[Json, dict[str, str]]:
    """What a client gets, which the SDK's own type takes."""
    losses = Losses()
    out = gemini_reply.write_reply(reply, replace(OPTIONS, origin=origin), losses)
    types.GenerateContentResponse.model_validate_json(out)
    return json.loads(out), dict(losses)


def parts_of(reply: Reply, origin: str = "") -> list[Json]:
    parts: list[Json] = written(reply, origin)[0]["candidates"][0]["content"]["parts"]
    return parts


class TestReading:
    def test_texts_thoughts_and_calls(self) -> None:
        reply = read(
            answered(
                {"text": "hm", "thought": True},
                {"text": "a"},
                {"text": "b"},
                {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "U0lH"},
                {"functionCall": {"id": "2", "name": "g"}},
            )
        )
        assert reply.parts == [
            ThinkingPart(b"hm"),
            TextPart(b"ab"),
            ThinkingPart(b"", b"c:U0lH"),
            CallPart(b"", b"f", rb"{\"x\": 1}"),
            CallPart(b"2", b"g", b"{}"),
        ]
        assert reply.stop_reason == "tool_use" and reply.ended

    def test_a_signature_is_of_the_thought_before_its_call(self) -> None:
        """W70 of the reference: signatures were not kept."""
        reply = read(answered({"text": "hm", "thought": True}, {"functionCall": {"name": "f"}, "thoughtSignature": "U0lH"}))
        assert reply.parts[0] == ThinkingPart(b"hm", b"c:U0lH")
        assert read(answered({"text": "a", "thoughtSignature": "U0lH"})).parts[1] == ThinkingPart(b"", b"t:U0lH")

    @pytest.mark.parametrize(
        ("finish", "reason"),
        [
            ("STOP", "end_turn"),
            ("MAX_TOKENS", "max_tokens"),
            ("SAFETY", "content_filter"),
            ("RECITATION", "content_filter"),
            ("BLOCKLIST", "content_filter"),
            ("PROHIBITED_CONTENT", "content_filter"),
            ("SPII", "content_filter"),
            ("IMAGE_SAFETY", "content_filter"),
            ("LANGUAGE", "other"),
            ("MALFORMED_FUNCTION_CALL", "other"),
            ("SOMETHING_NEW", "other"),
        ],
    )
    def test_why_it_stopped(self, finish: str, reason: str) -> None:
        """The reference calls all but MAX_TOKENS a normal end."""
        assert read(answered({"text": "a"}, finishReason=finish)).stop_reason == reason

    def test_an_answer_with_calls_stopped_for_them(self) -> None:
        """W51 and W66 of the reference."""
        assert read(answered({"functionCall": {"name": "f"}}, finishReason="STOP")).stop_reason == "tool_use"

    def test_a_blocked_prompt_is_an_answer(self) -> None:
        """The reference makes an empty message of it."""
        reply = read({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}})
        assert reply.stop_reason == "content_filter" and reply.usage.input == 5

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"null", b"{}", b'{"usageMetadata":{}}', b'{"candidates":[]}', b'{"error":{"code":500}}']
    )
    def test_what_is_no_reply_is_refused(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            gemini_reply.read_reply(body, Losses())

    def test_an_answer_that_does_not_say_why_it_stopped_is_one(self) -> None:
        body = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
        assert (read(body).stop_reason, read(body).ended) == ("end_turn", True)

    def test_counts(self) -> None:
        """The reference ignores thoughts and cached tokens."""
        counts = {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 30,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 5,
            "toolUsePromptTokenCount": 7,
            "totalTokenCount": 132,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 90}, {"modality": "AUDIO", "tokenCount": 10}],
        }
        expected = Usage(input=77, output=25, cache_read=30, reasoning=5, audio_input=10, tool_prompt=7)
        body = {**answered({"text": "a"}), "usageMetadata": counts}
        assert read(body).usage == expected
        assert gemini_reply.read_usage(json.dumps(body).encode()) == expected
        back = written(read(body))[0]["usageMetadata"]
        assert {name: back[name] for name in counts if name != "promptTokensDetails"} == {
            name: n for name, n in counts.items() if name != "promptTokensDetails"
        }

    @pytest.mark.parametrize("body", [b"", b"[", b"[]", b'{"usageMetadata":5}', b'{"usageMetadata":{"promptTokenCount":"x"}}'])
    def test_counts_of_what_is_no_reply_are_unknown(self, body: bytes) -> None:
        assert not gemini_reply.read_usage(body).known

    def test_sources_are_annotations_whose_places_count_characters(self) -> None:
        grounding = {
            "groundingChunks": [{"web": {"uri": "http://a", "title": "A"}}, {"web": {"uri": "http://b"}}],
            "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 6}, "groundingChunkIndices": [0, 1]}],
            "webSearchQueries": ["q"],
        }
        reply = read(answered({"text": "é b c"}, groundingMetadata=grounding))
        (text, lost) = reply.parts
        assert isinstance(text, TextPart) and isinstance(lost, PrivatePart)
        places = [json.loads(raw)["url_citation"] for raw in text.annotations]
        assert [(place["url"], place["start_index"], place["end_index"]) for place in places] == [
            ("http://a", 2, 5),
            ("http://b", 2, 5),
        ]
        assert lost.name == b"candidates.groundingMetadata.webSearchQueries"

    def test_code_that_google_ran_is_text(self) -> None:
        parts = [
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        ]
        (text,) = read(answered(*parts)).parts
        assert isinstance(text, TextPart) and b"```python" in text.text and b"2" in text.text

    def test_pictures(self) -> None:
        (media,) = read(answered({"inlineData": {"mimeType": "image/png", "data": "AAAA"}})).parts
        assert media == PrivatePart(b"media", b'{"media_type":"image/png","data":"AAAA"}')

    def test_members_in_snake_case(self) -> None:
        body = {
            "candidates": [{"content": {"parts": [{"function_call": {"name": "f"}}]}, "finish_reason": "STOP"}],
            "usage_metadata": {"prompt_token_count": 3},
        }
        assert read(body).parts == [CallPart(b"", b"f", b"{}")] and read(body).usage.input == 3
        assert gemini_reply.read_usage(json.dumps(body).encode()).input == 3

    def test_a_second_candidate_is_announced(self) -> None:
        body = answered({"text": "a"})
        body["candidates"].append({"content": {"parts": [{"text": "b"}]}, "index": 1})
        assert PrivatePart(b"candidates", b"null") in read(body).parts

    def test_it_reaches_the_clients_of_others(self) -> None:
        reply = read(answered({"text": "a"}, {"functionCall": {"id": "1", "name": "f", "args": {"x": 1}}}))
        message = json.loads(anthropic_reply.write_reply(reply, OPTIONS, Losses()))
        assert [block["type"] for block in message["content"]] == ["text", "tool_use"] and message["stop_reason"] == "tool_use"
        completion = json.loads(openai_chat_reply.write_reply(reply, OPTIONS, Losses()))
        assert completion["choices"][0]["finish_reason"] == "tool_calls"


class TestWriting:
    def test_the_whole(self) -> None:
        reply = Reply(
            parts=[TextPart(b"hi")], stop_reason="end_turn", usage=Usage(input=5, output=7, cache_read=2, reasoning=3), ended=True
        )
        assert written(reply)[0] == {
            "candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {
                "promptTokenCount": 7,
                "candidatesTokenCount": 4,
                "totalTokenCount": 14,
                "cachedContentTokenCount": 2,
                "thoughtsTokenCount": 3,
            },
            "modelVersion": OPTIONS.model.decode(),
            "responseId": OPTIONS.ident.decode(),
        }

    def test_calls_are_stop(self) -> None:
        out = written(Reply(parts=[CallPart(b"1", b"f", rb"{\"a\":1}")], stop_reason="tool_use"))[0]["candidates"][0]
        assert out["finishReason"] == "STOP"
        assert out["content"]["parts"] == [{"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}}]

    def test_a_call_without_an_id_or_arguments(self) -> None:
        """W70 of the reference: args were required."""
        assert parts_of(Reply(parts=[CallPart(b"", b"f", b"")])) == [{"functionCall": {"name": "f", "args": {}}}]
        assert parts_of(Reply(parts=[CallPart(b"", b"f", b"oops")])) == [
            {"functionCall": {"name": "f", "args": {"_raw_error": "oops"}}}
        ]

    @pytest.mark.parametrize(
        ("reason", "finish"),
        [
            ("max_tokens", "MAX_TOKENS"),
            ("content_filter", "SAFETY"),
            ("refusal", "SAFETY"),
            ("context_window", "MAX_TOKENS"),
            ("other", "OTHER"),
        ],
    )
    def test_why_it_stopped(self, reason: Any, finish: str) -> None:
        """W137 of the reference: STOP except MAX_TOKENS."""
        assert written(Reply(parts=[TextPart(b"a")], stop_reason=reason))[0]["candidates"][0]["finishReason"] == finish

    def test_a_refusal_is_a_text_and_says_so(self) -> None:
        out = written(Reply(parts=[RefusalPart(b"no")], stop_reason="end_turn"))[0]["candidates"][0]
        assert out["content"]["parts"] == [{"text": "no"}] and out["finishReason"] == "SAFETY"

    def test_which_stop_sequence_it_was_is_announced(self) -> None:
        assert set(written(Reply(parts=[TextPart(b"a")], stop_reason="stop_sequence", stop_sequence=b"END"))[1]) == {
            "stop_sequence"
        }

    def test_geminis_own_signatures_go_bare_on_their_parts(self) -> None:
        reply = Reply(parts=[ThinkingPart(b"hm", b"c:U0lH"), CallPart(b"", b"f", b"{}")])
        for origin in ("", "gemini"):
            assert parts_of(reply, origin) == [
                {"text": "hm", "thought": True},
                {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "U0lH"},
            ]

    def test_another_vendors_thinking_goes_out_and_comes_back(self) -> None:
        """What clients of Gemini keep is the signature alone; the text rides along in it."""
        reply = Reply(parts=[ThinkingPart(rb"h\nm", b"SIG="), TextPart(b"a"), CallPart(b"c1", b"f", b"{}")])
        parts = parts_of(reply, "anthropic")
        assert base64.b64decode(parts[1]["thoughtSignature"]) == b"anyllm:anthropic:SIG=\n" + rb"h\nm"
        kept = [part for part in parts if not part.get("thought")]  # as gemini-cli does
        done = {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "x"}}}
        contents = [
            {"role": "user", "parts": [{"text": "q"}]},
            {"role": "model", "parts": kept},
            {"role": "user", "parts": [done]},
        ]
        request = gemini_request.read_request(json.dumps({"contents": contents}).encode(), Losses())
        thought, _, call = request.turns[1].parts
        assert isinstance(thought, Thinking) and isinstance(call, ToolCall)
        assert (thought.origin, bytes(thought.text), bytes(thought.signature or b"")) == ("anthropic", rb'"h\nm"', b'"SIG="')

    def test_every_signature_finds_a_part(self) -> None:
        reply = Reply(parts=[ThinkingPart(b"a", b"1"), RedactedPart(b"RED"), ThinkingPart(b"b", b"2")])
        signed = [
            base64.b64decode(part["thoughtSignature"]) for part in parts_of(reply, "anthropic") if "thoughtSignature" in part
        ]
        assert signed == [b"anyllm:anthropic:1\na", b"anyllm:anthropic:redacted:RED", b"anyllm:anthropic:2\nb"]

    def test_reasoning_of_a_host_without_signatures_keeps_the_name_of_its_field(self) -> None:
        reply = Reply(parts=[ThinkingPart(b"hm", b"anyllm:reasoning_content"), TextPart(b"a")])
        value = parts_of(reply, "openai_chat")[1]["thoughtSignature"]
        contents = [{"role": "model", "parts": [{"text": "a", "thoughtSignature": value}]}]
        request = gemini_request.read_request(json.dumps({"contents": contents}).encode(), Losses())
        thought = request.turns[0].parts[0]
        assert isinstance(thought, Thinking) and bytes(thought.signature or b"") == b'"anyllm:reasoning_content"'

    def test_citations_are_sources_whose_places_count_bytes(self) -> None:
        note = b'{"type":"url_citation","url_citation":{"start_index":2,"end_index":3,"url":"http://a","title":"A"}}'
        out = written(Reply(parts=[TextPart("é b".encode(), annotations=[note])]))[0]["candidates"][0]["groundingMetadata"]
        assert out["groundingChunks"] == [{"web": {"uri": "http://a", "title": "A"}}]
        assert out["groundingSupports"][0]["segment"] == {"startIndex": 3, "endIndex": 4, "text": "b"}

    def test_probabilities(self) -> None:
        raw = b'[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5}]}]'
        out = written(Reply(parts=[TextPart(b"a", logprobs=[raw])]))[0]["candidates"][0]["logprobsResult"]
        assert out["chosenCandidates"] == [{"token": "a", "logProbability": -0.5}]

    def test_pictures(self) -> None:
        media = PrivatePart(b"media", b'{"media_type":"image/png","data":"AAAA"}')
        assert parts_of(Reply(parts=[media])) == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]

    def test_what_has_no_place_is_announced(self) -> None:
        losses = written(Reply(parts=[TextPart(b"a"), PrivatePart(b"server_tool_use", b"{}"), PrivatePart(b"media", b"{}")]))[1]
        assert set(losses) == {"server_tool_use", "media"}


# -- laws --------------------------------------------------------------------------------------------------------------

VALUE = st.binary(min_size=1, max_size=9).map(base64.b64encode)
CALLED = st.builds(
    lambda name, args, value: [ThinkingPart(b"", b"c:" + value), CallPart(b"", span(name), args)], NAME, ARGS, VALUE
)
TEXTS = st.builds(lambda text, value: [TextPart(text), ThinkingPart(b"", b"t:" + value)], SPAN, VALUE)
THOUGHTS = st.builds(lambda text, value: [ThinkingPart(text, b"h:" + value)], SPAN, VALUE)
MEDIA = st.builds(lambda data: [PrivatePart(b"media", b'{"media_type":"image/png","data":"%b"}' % data)], VALUE)
REPLIES = st.builds(
    lambda groups, counts, stop: Reply(
        ident=OPTIONS.ident,
        model=OPTIONS.model,
        parts=[part for group in groups for part in group],
        stop_reason="tool_use"
        if any(isinstance(part, CallPart) for group in groups for part in group) and stop == "end_turn"
        else stop,
        usage=counts,
        ended=True,
    ),
    st.lists(CALLED | TEXTS | THOUGHTS | MEDIA, max_size=5),
    st.builds(
        lambda fresh, out, thoughts: Usage(input=fresh, output=out + thoughts, reasoning=thoughts),
        COUNT,
        COUNT,
        st.integers(1, 99),
    ),
    st.sampled_from(["end_turn", "max_tokens", "content_filter"]),
)


@settings(deadline=None, max_examples=150)
@given(reply=REPLIES)
def test_a_reply_comes_back_as_it_was_written(reply: Reply) -> None:
    losses = Losses()
    assert gemini_reply.read_reply(gemini_reply.write_reply(reply, OPTIONS, losses), losses) == reply
    assert not losses


FOREIGN = st.lists(
    st.builds(ThinkingPart, SPAN, SPAN)
    | st.builds(RedactedPart, SPAN)
    | st.builds(RefusalPart, SPAN)
    | st.builds(TextPart, SPAN, st.lists(CITATION, max_size=2), st.lists(ANNOTATION, max_size=2))
    | st.builds(CallPart, SPAN, st.builds(span, NAME), ARGS),
    max_size=6,
)


@settings(deadline=None, max_examples=150)
@given(parts=FOREIGN, origin=st.sampled_from(["anthropic", "openai_chat", "bedrock", "openai_responses"]))
def test_what_is_written_is_a_reply_of_the_published_type(parts: Any, origin: str) -> None:
    out, _ = written(Reply(parts=parts, stop_reason="end_turn"), origin)
    signatures = sum("thoughtSignature" in part for part in out["candidates"][0]["content"]["parts"])
    assert signatures == sum(isinstance(part, ThinkingPart | RedactedPart) for part in parts)
