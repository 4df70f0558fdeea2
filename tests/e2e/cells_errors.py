"""Cells about failure: before the stream, in its middle, and answers that only look like one. Half is never whole."""

from __future__ import annotations

from dataclasses import replace

from scripted.answer import Answer, Fail, says
from scripted.asked import Asked, user

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress, newest
from .cells_tools import PARIS
from .lanes import Lane, Way

HELLO = Asked((user("hi"),))
LONG = says("one two three four five six seven eight nine ten").styled(pieces=10)


def foreign(way: Way) -> bool:
    """Not boto3 on AWS itself, which has one form of error and makes a class of the type in a header."""
    return way.crosses or way.ingress != "bedrock"


STATUSES: dict[str, tuple[Fail, str, tuple[int, ...]]] = {
    "400": (Fail(status=400, message="the widget is bent"), "BadRequestError", (400,)),
    "401": (Fail(status=401, message="bad upstream key"), "AuthenticationError", (401,)),
    "403": (Fail(status=403, message="not for you"), "PermissionDeniedError", (403,)),
    "404": (Fail(status=404, message="no such model"), "NotFoundError", (404,)),
    "413": (Fail(status=413, message="too many bytes"), "APIStatusError", (413,)),
    "422": (Fail(status=422, message="unprocessable"), "UnprocessableEntityError", (422,)),
    "429": (Fail(status=429, message="slow down", headers=(("retry-after", "7"),)), "RateLimitError", (429,)),
    "500": (Fail(status=500, message="broken inside"), "InternalServerError", (500, 502)),
    "503": (Fail(status=503, message="not now"), "APIStatusError", (503, 529)),
    "529": (Fail(status=529, message="overloaded now"), "APIStatusError", (529, 503)),
}


@cells_for(STATUSES)
def refused_before_the_stream(lane: Lane, row: tuple[Fail, str, tuple[int, ...]]) -> None:
    fail, kind, statuses = row
    got = lane.send(HELLO, replace(LONG, fail=fail))
    if fail.status == 422 and lane.way.crosses:  # Messages has no 422 of its own
        got.failed(kind, "BadRequestError", status=(400, 422), says=fail.message)
        return
    got.failed(kind, status=statuses, says=fail.message)
    if fail.status == 429:
        assert got.error["headers"].get("retry-after") == "7"


@cells_for(
    {"BadRequestError": "BadRequestError", "odd": "odd_error", "server": "server_error"}, where=both(gateway_only, foreign)
)
def the_status_says_more_than_the_type(lane: Lane, kind: str) -> None:
    """Hosts call their errors what they like: a 400 stays the caller's fault."""
    fail = Fail(status=400, kind=kind, message="the widget is bent")
    lane.send(HELLO, replace(LONG, fail=fail)).failed("BadRequestError", status=400, says=fail.message)


FORMS = {
    "a string": '{"error": "the widget is bent"}',
    "detail": '{"detail": "the widget is bent"}',
    "details of FastAPI": '{"detail": [{"loc": ["body", "x"], "msg": "the widget is bent", "type": "missing"}]}',
    "message alone": '{"message": "the widget is bent"}',
    "old vLLM": '{"object": "error", "message": "the widget is bent", "type": "BadRequestError", "param": null, "code": 400}',
    "numbers": '{"error": {"message": "the widget is bent", "type": null, "code": 400}}',
    "a list": '[{"error": {"code": 400, "message": "the widget is bent", "status": "INVALID_ARGUMENT"}}]',
    "plain text": "the widget is bent",
}


@cells_for(FORMS, where=both(gateway_only, newest, foreign))
def refusals_in_other_forms(lane: Lane, form: str) -> None:
    """Whatever a host calls an error, the client reads its words."""
    fail = Fail(status=400, body=form)
    got = lane.send(HELLO, replace(LONG, fail=fail)).failed("BadRequestError", status=400)
    # the same dialect passes the body on, and the SDK may then show it only as the body of its error
    assert "the widget is bent" in got.error["message"] + ("" if lane.way.crosses else str(got.error["body"]))


@cells_for(
    {
        "a string": '{"error": "the widget is bent"}',
        "old vLLM": '{"object": "error", "message": "the widget is bent", "type": "BadRequestError", "code": 400}',
        "with choices": '{"error": {"message": "the widget is bent", "code": 502}, "choices": [{"index": 0, "delta": '
        '{"content": ""}, "finish_reason": "error"}]}',
        "code as a word": '{"error": {"message": "the widget is bent", "type": "x", "code": "overloaded"}}',
    },
    modes=("stream",),
    where=both(gateway_only, newest, crossing, egress("openai")),
)
def breaks_in_other_forms(lane: Lane, form: str) -> None:
    got = lane.send(HELLO, replace(LONG, fail=Fail("event", "mid", body=form)))
    got.failed("APIError", says="the widget is bent")


@cell(where=both(gateway_only))
def a_long_wait_is_the_callers_to_wait(lane: Lane) -> None:
    """A retry-after of an hour is passed on at once, not slept through."""
    fail = Fail(status=429, message="slow down", headers=(("retry-after", "3600"),))
    got = lane.send(HELLO, replace(LONG, fail=fail)).failed("RateLimitError", status=429)
    assert got.error["headers"].get("retry-after") == "3600"


@cells_for({"429": 429, "500": 500, "529": 529}, where=newest)
def a_passing_failure_is_retried_to_success(lane: Lane, status: int) -> None:
    fail = Fail(status=status, times=1, headers=(("retry-after", "0"),))
    got = lane.send(HELLO, replace(LONG, fail=fail), retries=2).same()
    assert len(got.records) == 2


@cells_for(
    {
        "HTML 502": Fail("html", status=502),
        "HTML 200": Fail("html", status=200),
        "200 with an error body": Fail("json200", status=500, message="sorry, broken"),
        "an empty 200": Fail("empty"),
        "cut before the head": Fail("cut"),
        "reset before the head": Fail("reset"),
        "an error event first": Fail("event", status=529, message="overloaded at once"),
    },
    where=gateway_only,
)
def no_answer_is_an_error(lane: Lane, fail: Fail) -> None:
    if fail.how == "event" and not lane.way.streamed:
        return
    got = lane.send(HELLO, replace(LONG, fail=fail))
    got.failed("APIStatusError", "APIError")
    if fail.how in ("json200", "event"):
        assert fail.message in got.error["message"], got.error


@cells_for(
    {
        f"{how} {at}": Fail(how, at, status=529, message="overloaded in the middle")
        for how in ("event", "cut", "reset", "eof")
        for at in ("after_first", "mid", "late")
    },
    modes=("stream",),
    where=gateway_only,
)
def broken_in_the_middle(lane: Lane, fail: Fail) -> None:
    """The SDK raises the vendor's error; what it had until then is a true beginning."""
    got = lane.send(HELLO, replace(LONG, fail=fail))
    got.failed("APIError")
    assert LONG.text.startswith(got.verdict["partial"]) and got.verdict["partial"]
    if fail.how == "event":
        assert fail.message in got.error["message"]


@cells_for({how: how for how in ("cut", "reset")}, modes=("stream",), where=both(gateway_only, crossing))
def a_call_that_breaks_off_is_no_call(lane: Lane, how: str) -> None:
    answer = replace(says("Go.", PARIS).styled(pieces=6), fail=Fail(how, "late"))  # type: ignore[arg-type]
    lane.send(replace(HELLO), answer).failed("APIError")


# A call of Gemini's is whole in its chunk, and its models now and then end without a finishReason after one.
@cell(modes=("stream",), where=both(gateway_only, crossing, lambda way: way.egress != "gemini"))
def a_call_at_an_early_end_is_no_call(lane: Lane) -> None:
    answer = replace(says("Go.", PARIS).styled(pieces=6), fail=Fail("eof", "late"))
    lane.send(replace(HELLO), answer).failed("APIError")


@cells_for({how: how for how in ("cut", "reset")}, modes=("whole",), where=gateway_only)
def a_document_cut_in_half(lane: Lane, how: str) -> None:
    got = lane.send(HELLO, replace(LONG, fail=Fail(how, "mid")))  # type: ignore[arg-type]
    got.failed("APIStatusError", "APIConnectionError")
    if "APIStatusError" in got.error["classes"]:
        assert got.error["status"] in (500, 502, 503, 529)


@cells_for({"event": "event", "cut": "cut"}, modes=("stream",), where=lambda way: way.direct)
def the_judge_itself_sees_a_break(lane: Lane, how: str) -> None:
    """Without a gateway: an SDK that did not notice would judge nothing."""
    answer = replace(LONG, fail=Fail(how, "mid", status=529, message="overloaded in the middle"))  # type: ignore[arg-type]
    got = lane.send(HELLO, answer)
    assert got.error["classes"]


@cell(where=gateway_only)
def a_prompt_too_long_is_said_in_words_that_clients_know(lane: Lane) -> None:
    """Claude Code reads the numbers out of this sentence to compact; Chat clients look at the code."""
    if lane.way.egress == "openai":
        words = "This model's maximum context length is 128000 tokens. However, your messages resulted in 200001 tokens."
    else:
        words = "prompt is too long: 200001 tokens > 128000 maximum"
    got = lane.send(HELLO, replace(LONG, fail=Fail(status=400, message=words)))
    got.failed("BadRequestError", status=400)
    assert "128000" in got.error["message"]
    if lane.way.ingress == "anthropic":
        assert "prompt is too long" in got.error["message"], got.error


@cell(where=both(gateway_only, ingress("anthropic")))
def a_bad_request_names_its_place(lane: Lane) -> None:
    body = {"max_tokens": 50, "messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}, {"role": "x"}]}
    verdict = lane.judged({"model": lane.model(), **body}, {})
    error = verdict["error"]
    assert error["status"] == 400 and "messages.0" in error["message"], error


@cell(where=both(gateway_only, ingress("openai")))
def a_bad_chat_request_names_its_place(lane: Lane) -> None:
    verdict = lane.judged({"model": lane.model(), "messages": [{"role": "user", "content": [{"type": 5}]}]}, {})
    error = verdict["error"]
    assert error["status"] == 400 and "messages" in error["message"], error


@cell()
def a_failure_leaves_the_lane_healthy(lane: Lane) -> None:
    for fail in (Fail("reset", "mid"), Fail("cut"), Fail(status=500), Fail("reset")):
        got = lane.send(HELLO, replace(LONG, fail=fail))
        assert "error" in got.verdict, got.verdict
        lane.send(HELLO, Answer(LONG.parts)).same()
