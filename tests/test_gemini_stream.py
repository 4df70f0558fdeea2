"""Gemini streams: what the API sends, as other clients get it. (What a Gemini client is sent: test_gemini_encoder.py.)

The numbers W65 to W145 are faults that were found in another gateway; each test that bears one says what must not happen again.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anyllm_fast.dialects.gemini_ends import STOP_REASONS
from anyllm_fast.dialects.repair import HELD_MAX, MAX_CALLS
from anyllm_fast.neutral.reply import CallPart, PrivatePart, TextPart, ThinkingPart
from anyllm_fast.neutral.spans import text_of
from anyllm_fast.neutral.usage import Usage
from tests.gemini_streams import STOP, chunk, counted, part
from tests.streams import (
    blocks,
    data_frame,
    each_twin,
    last,
    load,
    pass_by,
    piped,
    record,
    run,
    translate,
    watched,
)

pytestmark = each_twin


# -- reading -----------------------------------------------------------------------------------------------------------


def test_w65_text_goes_on_from_chunk_to_chunk_also_where_one_repeats_the_last(twin: Any) -> None:
    stream = part(text="ab") + part(text="ab") + part(text="a") + STOP
    assert blocks(translate(twin, stream, "gemini").out)[0]["text"] == "ababa"


def test_w70_a_signature_comes_before_its_call_and_says_where_it_sat(twin: Any) -> None:
    reply = record(twin, load("gemini_thinking_tools"), "gemini")
    thought, first, second = reply.parts[:3]
    assert isinstance(thought, ThinkingPart) and thought.signature.startswith(b"c:AAEC")
    assert isinstance(first, CallPart) and first.ident == b"call_8f1a"
    assert isinstance(second, CallPart) and msgspec.json.decode(text_of(second.args))["city"] == 'Oslo "north"'


def test_a_signature_on_a_text_comes_behind_it_and_one_on_a_thought_ends_it(twin: Any) -> None:
    reply = record(twin, load("gemini_text_signature"), "gemini")
    assert [type(one) for one in reply.parts] == [ThinkingPart, TextPart, ThinkingPart]
    assert reply.parts[2].signature.startswith(b"t:")
    stream = part(text="hm", thought=True, thoughtSignature="S1") + part(text="x", thoughtSignature="S2") + part(text="y") + STOP
    found = record(twin, stream, "gemini").parts
    assert [getattr(one, "signature", one) for one in found] == [b"h:S1", TextPart(b"x"), b"t:S2", TextPart(b"y")]


def test_what_google_documents_as_no_signature_seals_nothing(twin: Any) -> None:
    stream = part(functionCall={"name": "f"}, thoughtSignature="skip_thought_signature_validator") + STOP
    assert [type(one) for one in record(twin, stream, "gemini").parts] == [CallPart]


def test_calls_without_id_get_ones_and_no_two_calls_share_one(twin: Any) -> None:
    found = blocks(translate(twin, load("gemini_call_without_id"), "gemini").out)
    idents = [block["id"] for block in found if block["type"] == "tool_use"]
    assert len(set(idents)) == 2 and all(idents)
    assert [block["input"] for block in found[1:]] == [{}, {"path": "a/b.txt", "limits": {"from": 1, "to": 1000.0}}]
    same = b"".join(part(functionCall={"name": "f", "id": "a", "args": {"n": n}}) for n in range(3)) + STOP
    idents = [block["id"] for block in blocks(translate(twin, same, "gemini").out)]
    assert idents[0] == "a" and len(set(idents)) == 3


def test_a_reply_that_stops_after_a_call_stopped_for_it_and_needs_no_finish_reason(twin: Any) -> None:
    assert translate(twin, load("gemini_call_without_id"), "gemini").stop_reason == "tool_use"
    found = translate(twin, part(functionCall={"name": "f", "args": {}}), "gemini")
    assert (found.stop_reason, found.failure) == ("tool_use", None)
    cut_off = part(functionCall={"name": "f"}) + chunk([{"text": "x"}], finishReason="MAX_TOKENS")
    assert translate(twin, cut_off, "gemini").stop_reason == "max_tokens"


def test_arguments_that_come_in_pieces_are_put_together(twin: Any) -> None:
    call = record(twin, load("gemini_partial_args"), "gemini").parts[1]
    assert isinstance(call, CallPart) and call.ident == b"fc1"
    assert msgspec.json.decode(text_of(call.args)) == {
        "brightness": 50,
        "scene": {"name": 'warm \\" und süß'},
        "rooms": ["hall", False],
        "a b": None,
    }


@pytest.mark.parametrize(
    ("pieces", "args"),
    [
        ([("$.a", "x"), ("$.a", "y")], {"a": "y"}),
        ([("$.a.b", "x"), ("$.a", "y")], {"a": "y"}),
        ([("$.a", "x"), ("$.a.b", "y")], {"a": {"b": "y"}}),
        ([("$[0]", "x"), ("nonsense[", "x"), ("", "x")], {"0": "x"}),
        ([("$.l[7]", "x"), ("$.l[0]", "z"), ("$.l[1][0].k", "y")], {"l": ["z", [{"k": "y"}]]}),
        ([("$['a.b'].c", "x"), ('$["q\\"r"]', "y")], {"a.b": {"c": "x"}, 'q"r': "y"}),
    ],
)
def test_pieces_at_any_path_make_one_object(twin: Any, pieces: list[tuple[str, str]], args: Any) -> None:
    listed = [{"jsonPath": path, "stringValue": text} for path, text in pieces]
    stream = part(functionCall={"name": "f", "partialArgs": listed, "willContinue": True}) + part(functionCall={}) + STOP
    call = record(twin, stream, "gemini").parts[0]
    assert isinstance(call, CallPart) and msgspec.json.decode(text_of(call.args)) == args


def test_a_call_that_is_cut_in_its_pieces_is_a_failure(twin: Any) -> None:
    stream = part(functionCall={"name": "f", "willContinue": True})
    assert translate(twin, stream, "gemini").failure is not None
    assert record(twin, stream + STOP, "gemini").parts == [CallPart(b"", b"f", b"{}")]


def test_counts_are_of_all_so_far_and_in_the_middles_convention(twin: Any) -> None:
    found = record(twin, load("gemini_thinking_tools"), "gemini").usage
    assert found == Usage(input=32, output=157, cache_read=64, reasoning=120)
    found = record(twin, load("gemini_code_execution"), "gemini").usage
    assert found == Usage(input=110, output=33, tool_prompt=80)
    details = [{"modality": "TEXT", "tokenCount": 5}, {"modality": "AUDIO", "tokenCount": 95}]
    top = counted(promptTokenCount=100, candidatesTokenCount=3, promptTokensDetails=details)
    assert record(twin, chunk([], finishReason="STOP", top=top), "gemini").usage == Usage(input=100, output=3, audio_input=95)


def test_counts_of_chunks_that_look_alike_are_read_all_the_same(twin: Any) -> None:
    def one(n: int) -> bytes:
        return chunk([{"text": "w"}], top=counted(promptTokenCount=9, candidatesTokenCount=n, totalTokenCount=9 + n))

    made = piped(twin, "gemini", "anthropic")
    for n in (1, 2, 10, 99, 100, 12345):
        made.feed(one(n))
        assert (made.usage.input, made.usage.output) == (9, n)
    made.feed(one(100).replace(b"9,", b"8,"))
    assert made.usage.input == 8
    made.feed(one(200).replace(b":200", b":0200"))
    assert made.failure is not None


def test_usage_that_comes_after_the_finish_reason_is_sent(twin: Any) -> None:
    stream = part(text="x") + STOP + data_frame(counted(promptTokenCount=3, candidatesTokenCount=4))
    assert last(translate(twin, stream, "gemini").out, "message_delta")["usage"]["output_tokens"] == 4


@pytest.mark.parametrize(("finish", "stop"), [*STOP_REASONS.items(), (b"LANGUAGE", "other"), (b"NEW_WORD", "other")])
def test_every_finish_reason_is_a_stop_reason(twin: Any, finish: bytes, stop: str) -> None:
    assert record(twin, part(text="x") + chunk(finishReason=finish.decode()), "gemini").stop_reason == stop


def test_a_prompt_that_is_blocked_is_a_content_filters_stop_and_no_failure(twin: Any) -> None:
    for pipe in (
        translate(twin, load("gemini_blocked_prompt"), "gemini"),
        pass_by(twin, load("gemini_blocked_prompt"), "gemini"),
    ):
        assert (pipe.stop_reason, pipe.failure, pipe.usage.input) == ("content_filter", None, 31)


def test_safety_ratings_are_a_loss_only_where_something_was_blocked(twin: Any) -> None:
    assert translate(twin, load("gemini_safety"), "gemini").losses == ("candidates.safetyRatings",)
    assert translate(twin, load("gemini_vertex"), "gemini").losses == ()


@pytest.mark.parametrize("name", ["gemini_error_first", "gemini_error_midway"])
def test_an_error_in_the_stream_is_a_failure_of_its_own_kind(twin: Any, name: str) -> None:
    found = translate(twin, load(name), "gemini")
    assert found.failure is not None and found.failure.status in (429, 503)
    assert b"message_stop" not in found.out


def test_a_stream_without_finish_reason_was_cut(twin: Any) -> None:
    for found in (translate(twin, load("gemini_cut"), "gemini"), pass_by(twin, load("gemini_cut"), "gemini")):
        assert found.failure is not None and found.failure.status == 502
        assert found.usage.output == 3


def test_sources_become_annotations_whose_places_are_characters(twin: Any) -> None:
    text = record(twin, load("gemini_grounding"), "gemini").parts[0]
    assert isinstance(text, TextPart)
    said = text_of(text.text)
    cited = [msgspec.json.decode(raw)["url_citation"] for raw in text.annotations]
    assert [said[one["start_index"] : one["end_index"]] for one in cited] == ["16.3 m in Kanada", "16.3 m in Kanada", ""]
    assert cited[0]["url"] == "https://example.com/tides?a=1&2"


def test_what_is_left_of_grounding_and_citations_is_named(twin: Any) -> None:
    found = translate(twin, load("gemini_url_context"), "gemini")
    assert found.losses == ("candidates.urlContextMetadata", "candidates.citationMetadata.citations.license")


def test_code_and_its_output_are_text(twin: Any) -> None:
    (block,) = blocks(translate(twin, load("gemini_code_execution"), "gemini").out)
    assert "```python\nprint(sum(range(10)))\n```" in block["text"]
    assert "```output\n45\n```" in block["text"] and block["text"].endswith("The sum is 45.")
    failed = part(codeExecutionResult={"outcome": "OUTCOME_DEADLINE_EXCEEDED", "output": "x"}) + STOP
    assert "```outcome_deadline_exceeded\nx\n```" in blocks(translate(twin, failed, "gemini").out)[0]["text"]


def test_media_and_log_probabilities_are_in_the_middles_form(twin: Any) -> None:
    parts = record(twin, load("gemini_image"), "gemini").parts
    assert parts[1] == PrivatePart(b"media", b'{"media_type":"image/png","data":"iVBORyBmYWtl"}')
    text = record(twin, load("gemini_logprobs"), "gemini").parts[0]
    assert isinstance(text, TextPart)
    tokens = [token for raw in text.logprobs for token in msgspec.json.decode(raw)]
    assert [(token["token"], token["logprob"]) for token in tokens] == [("Hé", -0.25), ("!", 0.0)]
    assert tokens[0]["bytes"] == [72, 195, 169] and tokens[0]["top_logprobs"][1]["token"] == "Ho"


def test_only_the_first_candidate_is_followed_and_the_others_are_announced(twin: Any) -> None:
    found = translate(twin, load("gemini_two_candidates"), "gemini")
    assert b'"one"' in found.out and b"other" not in found.out and found.losses == ("candidates",)


def test_snake_case_is_read(twin: Any) -> None:
    reply = record(twin, load("gemini_snake_case"), "gemini")
    assert (reply.ident, reply.model, reply.usage.cache_read) == (b"r1", b"gemini-pro", 4)
    assert isinstance(reply.parts[-1], CallPart) and reply.parts[-1].args == rb"{\"snake_key\": 1}"


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}', "x"),
        (b'{"candidates":[null,5,{"content":{"parts":[0,{"text":"x"},[]],"role":7},"index":null}],"error":null}', "x"),
        (b'{"candidates":[{"content":{"parts":[{"text":"x","functionCall":[],"thought":"true","inlineData":null}]}}]}', "x"),
        (b'{"c\\u0061ndidates":[{"content":{"parts":[{"t\\u0065xt":"x"}]}}],"usageMetadata":[]}', "x"),
        (b'{"candidates":[],"candidates":[{"content":{},"content":{"parts":[],"parts":[{"text":"y","text":"x"}]}}]}', "x"),
        (b'{"candidates":{"content":{}}}', ""),
        (b'{"candidates":[{"content":[{"parts":[{"text":"y"}]}]}]}', ""),
    ],
)
def test_members_that_are_absent_null_or_of_a_wrong_type_cost_nothing(twin: Any, frame: bytes, text: str) -> None:
    found = translate(twin, data_frame(frame) + STOP, "gemini")
    assert "".join(block["text"] for block in blocks(found.out)) == text
    assert found.failure is None and found.losses == ()


def test_what_nobody_reads_is_named_once_by_its_path(twin: Any) -> None:
    body = {"modelStatus": {"message": "m"}, "empty_one": {}}
    strange = {"text": "x", "part_metadata": {"a": 1}, "fileData": {"fileUri": "u"}}
    stream = chunk([strange, strange], top=body, finishMessage="why") * 2 + STOP
    found = translate(twin, stream, "gemini")
    assert set(found.losses) == {
        "modelStatus",
        "candidates.finishMessage",
        "candidates.content.parts.partMetadata",
        "candidates.content.parts.fileData",
    }
    assert found.out.count(b'"text":"x"') == 4


def test_a_frame_that_is_no_chunk_is_a_failure_with_its_beginning(twin: Any) -> None:
    for frame in (b"[1]", b"{", b'"x"', b'{"candidates":[{"content":{"parts":[}]}]}', b"[" * 500, b'{"a":' * 200):
        found = run(piped(twin, "gemini", "anthropic"), [part(text="a") + data_frame(frame) + STOP])
        assert found.failure is not None and "cannot be read" in found.failure.message


def test_there_is_a_bound_on_calls_and_on_what_is_kept(twin: Any) -> None:
    calls = chunk([{"functionCall": {"name": "f"}}] * (MAX_CALLS + 1))
    assert "tool calls" in run(piped(twin, "gemini", "anthropic"), [calls]).failure.message  # type: ignore[union-attr]
    piece = {"name": "", "partialArgs": [{"jsonPath": "$.a", "stringValue": "x" * 500_000}], "willContinue": True}
    more = part(functionCall={**piece, "name": "f"}) + part(functionCall=piece) * (HELD_MAX // 500_000)
    assert "wait to be put in order" in run(piped(twin, "gemini", "anthropic"), [more]).failure.message  # type: ignore[union-attr]


def test_a_stream_cut_anywhere_ends_well_only_where_it_was_complete(twin: Any) -> None:
    for name in ("gemini_text", "gemini_thinking_tools", "gemini_blocked_prompt", "gemini_partial_args", "gemini_snake_case"):
        data = load(name)
        for at in range(0, len(data), 23):
            *frames, rest = data[:at].replace(b"\r\n", b"\n").split(b"\n\n")
            half = rest.startswith(b"data:") and bool(rest[5:].strip())
            sound = half and is_sound(rest[5:])
            whole = b"".join([*frames, rest] if sound else frames)
            told = (b'"finishReason"', b'"finish_reason"', b'"blockReason"', b'"functionCall"')
            complete = any(word in whole for word in told) and (name != "gemini_partial_args" or b'"STOP"' in whole)
            for made in (piped(twin, "gemini", "anthropic"), watched(twin, "gemini")):
                found = run(made, [data[:at]])
                assert found.ended
                assert (found.failure is None) == (complete and (sound or not half)), at


def is_sound(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
