"""Cells about what only Bedrock has: InvokeModel, cache points, its reasoning, its errors and framing, signatures of requests."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import product

from scripted.answer import Answer, Fail, Image, Redacted, Text, Thinking, says
from scripted.asked import Asked, read_messages, user
from scripted.bedrock_habits import DAMAGES, EVENTS

from . import cells_errors, cells_stream, cells_text, cells_thinking, cells_tools
from .cells import CELLS, both, cell, cells_for, crossing, egress, gateway_only, ingress, newest, same_dialect
from .cells_errors import LONG
from .cells_thinking import WORDS, wanting
from .cells_tools import ASK, NOW, OSLO, PARIS, TIME, WEATHER
from .gateway import KEY
from .judges import Sdk
from .lanes import Lane, Way
from .speech_bedrock import CLAUDE

HELLO = Asked((user("hi"),))
MODES = ("whole", "stream", "async", "raw", "count")
TO_INVOKE = tuple(
    Way(Sdk(vendor), "invoke", mode) for vendor, mode in product(("anthropic", "openai", "responses", "gemini", "invoke"), MODES)
)
FROM_INVOKE = tuple(
    Way(Sdk("invoke"), via, mode)
    for via, mode in product(("direct", "anthropic", "openai", "responses", "gemini", "bedrock"), MODES)
)
INVOKES = FROM_INVOKE + TO_INVOKE
"""Claude's own bodies on Bedrock: no vendor of the wide matrix, so that these are the cells of that lane."""

CARRIED = {
    *(cells_text.text, cells_text.unicode_answer, cells_text.unicode_question, cells_text.white_space_is_kept),
    *(cells_text.a_megabyte_of_answer, cells_text.several_turns, cells_text.system, cells_text.picture, cells_text.a_pdf),
    *(cells_text.sampling_parameters, cells_text.the_end_of_the_budget, cells_text.usage_in_the_other_dialect),
    *(cells_text.structured_answer, cells_text.usage_of_a_cached_prompt, cells_text.an_empty_answer_is_an_answer),
    *(cells_tools.one_call, cells_tools.text_before_a_call, cells_tools.arguments_with_odd_characters),
    *(cells_tools.parallel_calls, cells_tools.the_loop, cells_tools.the_loop_with_parallel_calls, cells_tools.three_rounds),
    *(cells_tools.results_in_another_order, cells_tools.an_empty_result, cells_tools.numbers_keep_their_digits),
    *(cells_thinking.thinking_is_asked_for_and_shown, cells_stream.framing, cells_stream.the_first_delta_does_not_wait),
    *(cells_errors.refused_before_the_stream, cells_errors.broken_in_the_middle, cells_errors.a_failure_leaves_the_lane_healthy),
    *(cells_errors.a_call_that_breaks_off_is_no_call, cells_errors.a_document_cut_in_half),
    *(cells_errors.a_passing_failure_is_retried_to_success,),
}
CELLS += [
    replace(made, where=both(made.where, lambda way: way in INVOKES), wide=False, also=INVOKES)
    for made in list(CELLS)
    if made.ask in CARRIED
]


def bedrock(way: Way) -> bool:
    return "bedrock" in (way.ingress, way.egress)


# -- reasoning ---------------------------------------------------------------------------------------------------------


@cell(wide=True, where=egress("bedrock"))
def reasoning_of_converse_comes_back(lane: Lane) -> None:
    """Its signature is checked by the service: altered, it refuses the turn."""
    got = lane.send(
        wanting(lane, tools=(WEATHER, TIME)),
        Answer((Thinking(WORDS), Text("Hm."), PARIS)),
        Answer((Thinking("b"), NOW)),
        says("Sunny."),
    ).same(thinking=WORDS)
    got = got.then(*got.results("sunny")).same(thinking="b")
    done = got.then(*got.results("noon")).same()
    assert [p.text for t in done.heard.turns for p in t.parts if isinstance(p, Thinking)] == [WORDS, "b"], done.record.body


@cell(wide=True, where=both(egress("bedrock")))
def redacted_reasoning_of_converse_comes_back(lane: Lane) -> None:
    answers = (Answer((Thinking("open"), Redacted("secret"), Text("Hm."), PARIS)), says("Sunny."))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers).same(thinking="open")
    done = got.then(*got.results("sunny")).same()
    kinds = [type(p) for t in done.heard.turns for p in t.parts if isinstance(p, Thinking | Redacted)]
    assert kinds == [Thinking, Redacted], done.record.body


@cell(wide=True, where=both(ingress("bedrock"), egress("anthropic")))
def reasoning_of_messages_comes_back_through_converse(lane: Lane) -> None:
    answers = (Answer((Thinking(WORDS), Redacted("secret"), Text("Hm."), PARIS)), says("Sunny."))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers).same(thinking=WORDS)
    done = got.then(*got.results("sunny")).same()
    kinds = [type(p) for t in done.heard.turns for p in t.parts if isinstance(p, Thinking | Redacted)]
    assert kinds == [Thinking, Redacted], done.record.body


@cell(wide=True, where=both(ingress("bedrock"), same_dialect))
def an_altered_signature_of_converse_is_refused(lane: Lane) -> None:
    got = lane.send(wanting(lane, tools=(WEATHER,)), Answer((Thinking("mine"), PARIS)), says("Sunny."))
    turn = got.replay()
    turn.parts[0].message["content"][0]["reasoningContent"]["reasoningText"]["text"] = "not mine"  # type: ignore[union-attr]
    done = got.then(*got.results("sunny"), turn=turn)
    done.failed("BadRequestError", status=400, says="signature")


# -- the bypass --------------------------------------------------------------------------------------------------------


@cell(wide=True, modes=("framed",), where=same_dialect)
def bytes_of_converse_are_untouched(lane: Lane) -> None:
    """Padding and all: what the service wrote is what arrives, and what boto3 wrote is what the service reads."""
    if lane.way.ingress != "bedrock":
        return
    answer = Answer((Thinking("hm"), Text("Both."), PARIS, OSLO))
    got = lane.send(wanting(lane, tools=(WEATHER,)), answer)
    frames = lane.upstream.frames(got.record, answer)
    wrote = b"".join([*frames.head, *frames.body, *frames.tail, *frames.last])
    assert base64.b64decode(got.verdict["framed"]) == wrote
    assert base64.b64decode(got.verdict["sent"]) == got.record.request.body


# -- framing -----------------------------------------------------------------------------------------------------------


@cells_for({name: name for name in EVENTS}, wide=True, modes=("stream",), where=both(crossing, egress("bedrock")))
def habits_of_converse(lane: Lane, habit: str) -> None:
    got = lane.send(ASK, says("Both of them.", PARIS, OSLO, NOW).styled(habit=habit)).same()
    assert len(set(got.call_ids())) == 3


@cells_for({name: name for name in DAMAGES}, wide=True, modes=("stream",), where=both(egress("bedrock")))
def damaged_messages(lane: Lane, damage: str) -> None:
    """A wrong checksum, or half a message at the end of a body that is whole for the transport: never a whole answer."""
    got = lane.send(HELLO, LONG.styled(habit=damage))
    assert "final" not in got.verdict, got.verdict
    if lane.way.direct and damage == "half_message":
        return  # boto3 itself does not see it
    if lane.way.ingress != "bedrock":
        got.failed("APIError")
    assert got.verdict["error"] and LONG.text.startswith(got.verdict["partial"])


# -- cache points ------------------------------------------------------------------------------------------------------

MARK = {"cache_control": {"type": "ephemeral"}}
MESSAGES = {
    "max_tokens": 50,
    "system": [{"type": "text", "text": "You are terse.", **MARK}],
    "tools": [{"name": "t", "input_schema": {"type": "object", "properties": {}}, **MARK}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi {script}", **MARK}]}],
}
FUNCTION = {"name": "t", "parameters": {"type": "object", "properties": {}}}
CHAT = {
    "max_completion_tokens": 50,
    "tools": [{"type": "function", "function": FUNCTION, **MARK}],
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "You are terse.", **MARK}]},
        {"role": "user", "content": [{"type": "text", "text": "hi {script}", **MARK}]},
    ],
}
MARKED = {"anthropic": MESSAGES, "openai": CHAT}


@cell(wide=True, where=both(egress("bedrock"), newest, lambda way: way.ingress in MARKED))
def cache_control_becomes_a_cache_point(lane: Lane) -> None:
    body = lane.send_body(MARKED[lane.way.ingress], says("ok")).same().record.body
    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "You are terse."}, point]
    assert body["toolConfig"]["tools"][1:] == [point]
    assert body["messages"][0]["content"][1:] == [point]


def cache_control_stays_in_invoke_model(lane: Lane) -> None:
    body = lane.send_body(MARKED[lane.way.ingress], says("ok")).same().record.body
    assert body["system"] == [{"type": "text", "text": "You are terse.", **MARK}]
    assert body["tools"][0]["cache_control"] == MARK["cache_control"]
    assert body["messages"][0]["content"][0]["cache_control"] == MARK["cache_control"]


@cell(wide=True, where=both(ingress("bedrock"), egress("anthropic")))
def a_cache_point_becomes_cache_control(lane: Lane) -> None:
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    asked = {
        "system": [{"text": "You are terse."}, point],
        "messages": [{"role": "user", "content": [{"text": "hi {script}"}, point]}],
    }
    body = lane.send_body(asked, says("ok")).same().record.body
    mark = {"type": "ephemeral", "ttl": "1h"}
    assert body["system"][0]["cache_control"] == mark and body["messages"][0]["content"][0]["cache_control"] == mark


# -- errors ------------------------------------------------------------------------------------------------------------

EXCEPTIONS = {
    "throttled": (429, "throttlingException"),
    "unavailable": (503, "serviceUnavailableException"),
    "internal": (500, "internalServerException"),
    "invalid": (400, "validationException"),
}


@cells_for(EXCEPTIONS, wide=True, modes=("stream",), where=ingress("bedrock"))
def exceptions_in_mid_stream_have_names(lane: Lane, row: tuple[int, str]) -> None:
    """boto3 raises EventStreamError with the name as its code, whichever vendor failed."""
    status, name = row
    got = lane.send(HELLO, replace(LONG, fail=Fail("event", "mid", status=status, message="it broke")))
    if lane.way.egress == "bedrock":  # the others have other words for some of them
        assert got.error["code"] == name, got.verdict
    assert "EventStreamError" in got.error["classes"] and "it broke" in got.error["message"], got.verdict


@cell(wide=True, modes=("stream",), where=both(egress("bedrock"), gateway_only))
def a_model_that_fails_is_not_the_callers_fault(lane: Lane) -> None:
    """424 before the stream and modelStreamErrorException in it."""
    got = lane.send(HELLO, replace(LONG, fail=Fail(status=424, message="the model failed")))
    assert got.error["status"] is None or got.error["status"] >= 424, got.error
    got = lane.send(HELLO, replace(LONG, fail=Fail("event", "mid", status=424, message="the model failed")))
    assert "the model failed" in got.error["message"]


# -- addresses, keys and counts ----------------------------------------------------------------------------------------

PROFILES = {
    "inference profile": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn": f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{CLAUDE}",
}


@cells_for(PROFILES, wide=True, where=egress("bedrock"))
def ids_of_models_go_into_the_path(lane: Lane, model: str) -> None:
    if lane.way.ingress == "gemini" and "/" in model:
        return  # its SDK takes no slash in a name
    got = lane.send(HELLO, says("ok"), model=model).same()
    assert "%3A" in got.record.request.path and got.record.request.path.count("/") == 3


@cell(wide=True, where=both(ingress("bedrock"), gateway_only))
def a_signature_alone_is_no_key(lane: Lane) -> None:
    """Nobody but AWS can check one, so the gateway's own key must be beside it; neither reaches the upstream."""
    got = lane.send(HELLO, says("ok"), key="")
    got.failed("AuthenticationError", status=403)
    assert not got.records
    record = lane.send(HELLO, says("ok")).same().record
    head = record.request.head.decode()
    assert KEY not in head and "x-api-key;" not in head and "amz-sdk-invocation-id" not in head.lower()


@cell(wide=True, modes=("count",), where=both(lambda way: way.ingress in ("bedrock", "anthropic"), bedrock))
def tokens_of_converse_are_counted(lane: Lane) -> None:
    def counted(text: str) -> int:
        row = {"type": "text", "text": text} if lane.way.ingress == "anthropic" else {"text": text}
        final = lane.send_body({"messages": [{"role": "user", "content": [row]}]}, says("ok")).final
        return int(final.get("inputTokens") or final["input_tokens"])

    assert 0 < counted("hi {script}") < counted("word " * 400 + "{script}")


@cell(wide=True, where=both(egress("bedrock"), lambda way: way.ingress == "anthropic"))
def the_stop_sequence_that_was_met_is_told(lane: Lane) -> None:
    answer = Answer((Text("one two"),), stop="stop_sequence", stop_sequence="END")
    got = lane.send(Asked((user("count"),), stops=("END",)), answer).same()
    assert got.final["stop_sequence"] == "END"


@cell(wide=True, where=both(egress("bedrock"), crossing, lambda way: way.ingress != "gemini"))
def a_picture_by_its_address_is_refused_by_its_place(lane: Lane) -> None:
    """Converse takes pictures as bytes or from S3, and the gateway fetches nothing."""
    image = Image(url="https://example.com/cat.png")
    got = lane.send(Asked((user("what is this?", image),)), says("a cat"))
    got.failed("BadRequestError", status=400, says="URL")
    assert not got.records


# -- InvokeModel -------------------------------------------------------------------------------------------------------


def invoke_model_keeps_reasoning(lane: Lane) -> None:
    answers = (Answer((Thinking(WORDS), Redacted("secret"), Text("Hm."), PARIS)), says("Sunny."))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers).same(thinking=WORDS)
    done = got.then(*got.results("sunny")).same()
    kinds = [type(p) for t in done.heard.turns for p in t.parts if isinstance(p, Thinking | Redacted)]
    assert kinds == [Thinking, Redacted], done.record.body


def betas_travel_in_the_body(lane: Lane) -> None:
    betas = ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"]
    header = {"anthropic-beta": ",".join(betas)}
    given = {"headers": header} if lane.way.ingress == "anthropic" else {"extra": {"anthropic_beta": betas}}
    got = lane.send(HELLO, says("ok"), **given).same()
    if lane.way.egress == "invoke":
        assert got.record.body["anthropic_beta"] == betas and got.record.body["anthropic_version"]
    else:
        assert got.record.request.header("anthropic-beta") == header["anthropic-beta"]
        assert "anthropic_version" not in got.record.body and "anthropic_beta" not in got.record.body


def chunks_hold_the_events_of_claude(lane: Lane) -> None:
    kinds = [event["type"] for event in lane.send(ASK, says("Go.", PARIS)).verdict["raw"]]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and kinds.count("message_delta") == 1


def converse_is_preferred_by_its_own_clients(lane: Lane) -> None:
    """A backend that has both speaks to each client in its own dialect."""
    got = lane.send(HELLO, says("ok")).same()
    assert "/converse" in got.record.request.path


def model_and_stream_stay_out_of_the_body(lane: Lane) -> None:
    got = lane.send(HELLO, says("ok")).same()
    assert not {"model", "stream"} & set(got.record.body) and "/invoke" in got.record.request.path
    assert read_messages({"max_tokens": 1, **got.record.body}).turns


def an_altered_signature_is_refused_by_invoke_model(lane: Lane) -> None:
    got = lane.send(wanting(lane, tools=(WEATHER,)), Answer((Thinking("mine"), PARIS)), says("Sunny."))
    turn = got.replay()
    turn.parts[0].message["content"][0]["thinking"] = "not mine"  # type: ignore[union-attr]
    done = got.then(*got.results("sunny"), turn=turn)
    done.failed("BadRequestError", status=400, says="signature")


def errors_have_the_form_of_the_client(lane: Lane) -> None:
    """AWS says in a header what Anthropic says in the body, though both carry the same dialect."""
    got = lane.send(HELLO, replace(LONG, fail=Fail(status=400, message="the widget is bent")))
    got.failed("BadRequestError", status=400, says="the widget is bent")
    if lane.way.ingress == "anthropic":
        assert got.error["body"]["type"] == "error" and got.error["body"]["error"]["type"] == "invalid_request_error"


def register(ask: object, ways: tuple[Way, ...], *modes: str) -> None:
    """One more cell, on these ways alone."""
    cell(modes=modes or ("whole", "stream"), where=lambda way: way in ways)(ask)  # type: ignore[arg-type]
    CELLS[-1] = replace(CELLS[-1], also=ways, wide=False)


def ways_of(*pairs: tuple[str, str]) -> tuple[Way, ...]:
    return tuple(Way(Sdk(vendor), via, mode) for (vendor, via), mode in product(pairs, MODES))


CLAUDES = ways_of(("anthropic", "invoke"), ("invoke", "invoke"), ("invoke", "anthropic"), ("invoke", "direct"))
register(errors_have_the_form_of_the_client, ways_of(("anthropic", "invoke"), ("invoke", "anthropic"), ("openai", "invoke")))
register(cache_control_stays_in_invoke_model, ways_of(("anthropic", "invoke"), ("openai", "invoke")))
register(invoke_model_keeps_reasoning, (*CLAUDES, *ways_of(("openai", "invoke"), ("responses", "invoke"), ("invoke", "bedrock"))))
register(betas_travel_in_the_body, ways_of(("anthropic", "invoke"), ("invoke", "invoke"), ("invoke", "anthropic")))
register(chunks_hold_the_events_of_claude, FROM_INVOKE, "raw")
register(converse_is_preferred_by_its_own_clients, tuple(replace(w, sdk=Sdk("bedrock")) for w in TO_INVOKE[:5]))
register(model_and_stream_stay_out_of_the_body, TO_INVOKE)
register(an_altered_signature_is_refused_by_invoke_model, CLAUDES)
