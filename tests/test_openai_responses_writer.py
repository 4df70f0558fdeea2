"""OpenAI Responses streams as a client is sent them: translated from others, and passed by."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import openai
import pytest

from anyllm_fast.dialects.openai_responses import OPENAI_RESPONSES
from anyllm_fast.dialects.openai_responses_ends import KEPT_MAX, LAST_NUMBER
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import CallPart, PrivatePart, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.request import ToolForm
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.streams import (
    OPTIONS,
    PYTHON,
    corpus,
    dialect_of,
    each_twin,
    encoder,
    load,
    payloads,
    piped,
    record,
    run,
    watched,
)

pytestmark = each_twin

OTHERS = [name for name in corpus() if dialect_of(name) in ("anthropic", "openai_chat")]
FAILS = ("cut", "error_first", "failed_first", "failed_midway")
GOOD = [name for name in corpus("openai_responses") if not name.endswith(FAILS)]


def events(out: bytes) -> list[dict[str, Any]]:
    """What was written, with the rules of every stream checked: numbers, indices, ids, and that the end repeats the pieces."""
    found: list[dict[str, Any]] = payloads(b"".join(f + b"\n\n" for f in out.split(b"\n\n")[:-1] if not f.startswith(b":")))
    assert [body["sequence_number"] for body in found] == list(range(len(found)))
    items: list[dict[str, Any]] = []
    pieces: dict[str, str] = {}
    opened: str | None = None
    for body in found:
        kind = body["type"].removeprefix("response.")
        if kind == "output_item.added":
            assert opened is None and body["output_index"] == len(items)
            opened = body["item"]["id"]
        elif kind == "output_item.done":
            assert body["item"]["id"] == opened and body["output_index"] == len(items)
            items.append(body["item"])
            opened = None
        elif "item_id" in body:
            assert body["item_id"] == opened and body["output_index"] == len(items)
        if kind.endswith(".delta"):
            pieces[body["item_id"]] = pieces.get(body["item_id"], "") + body["delta"]
    assert len({item["id"] for item in items}) == len(items)
    if found and found[-1]["type"] in ("response.completed", "response.incomplete"):
        assert found[-1]["response"]["output"] == items and opened is None
        assert {item["id"]: said(item) for item in items if item["id"] in pieces} == pieces
    return found


def said(item: dict[str, Any]) -> str:
    match item["type"]:
        case "message":
            return "".join(part.get("text", "") + part.get("refusal", "") for part in item["content"])
        case "reasoning":
            return "".join(part["text"] for part in item["summary"])
        case "custom_tool_call":
            return str(item["input"])
    return str(item["arguments"])


def judged(stream: bytes) -> Any:
    """The last response by the SDK's own accumulator; raises what a client would see."""
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    transport = httpx2.MockTransport(lambda request: answer)
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))
    with client.responses.stream(model="m", input="x") as made:
        seen: list[Any] = list(made)
    return seen[-1].response


FORMS = {
    b"c": ToolForm("custom", b"c"),
    b"ns__n": ToolForm("namespaced", b"n", b"ns"),
    b"local_shell": ToolForm("local_shell", b"local_shell"),
    b"apply_patch": ToolForm("apply_patch", b"apply_patch"),
}
FORMED = msgspec.structs.replace(OPTIONS, forms=FORMS, origin="anthropic")


@pytest.mark.parametrize("name", OTHERS)
def test_every_stream_of_others_is_accumulated_by_the_sdk(twin: Any, name: str) -> None:
    found = run(piped(twin, dialect_of(name), "openai_responses"), [load(name)])
    written = events(found.out)
    response = judged(found.out)
    assert response.status == written[-1]["response"]["status"]
    if found.failure is not None:
        assert response.status == "failed" and response.error.message == found.failure.message
        return
    reply = record(PYTHON, load(name), dialect_of(name))
    assert response.output_text == "".join(
        msgspec.json.decode(b'"%b"' % part.text) for part in reply.parts if isinstance(part, TextPart)
    )
    calls = [item for item in response.output if item.type == "function_call"]
    assert [call.name.encode() for call in calls] == [part.name for part in reply.parts if isinstance(part, CallPart)]
    if reply.usage.known:
        assert response.usage.input_tokens == max(reply.usage.prompt, 0)
        assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize("name", [name for name in OTHERS if "error" not in name and "overloaded" not in name])
def test_a_stream_ends_with_the_response_that_a_whole_reply_is(twin: Any, name: str) -> None:
    reply = record(PYTHON, load(name), dialect_of(name))
    whole = msgspec.json.decode(OPENAI_RESPONSES.write_reply(reply, FORMED, Losses()))
    found = run(piped(twin, dialect_of(name), "openai_responses", FORMED), [load(name)])
    last = events(found.out)[-1]["response"]
    if found.losses:  # what is lost between two texts parts two messages there and none here
        return
    assert [item["id"] for item in last["output"]] == [item["id"] for item in whole["output"]]
    assert [item["type"] for item in last["output"]] == [item["type"] for item in whole["output"]]
    assert last["usage"] == whole["usage"] and last["id"] == whole["id"] and last["status"] == whole["status"]


def test_items_are_written_as_openai_writes_them(twin: Any) -> None:
    made = encoder(twin, "openai_responses", FORMED)
    made.thinking(b"t")
    made.seal(b"s")
    made.text(b"x")
    made.text(b"")
    made.text(b"y")
    made.redacted(b"r")
    made.tool(0, b"i", b"f")
    made.args(0, b"{}")
    made.usage(Usage(input=1, output=2))
    made.end()
    body = events(made.take())
    ident = OPTIONS.ident.decode()
    assert [item["id"] for item in body[-1]["response"]["output"]] == [
        f"{prefix}_{ident}_{at}" for at, prefix in enumerate(("rs", "msg", "rs", "fc"))
    ]
    thought, message, hidden, call = body[-1]["response"]["output"]
    assert thought["encrypted_content"] == "anyllm:anthropic:s" and hidden["encrypted_content"] == "anyllm:anthropic:redacted:r"
    assert [part["text"] for part in message["content"]] == ["x", "y"]
    assert (call["arguments"], call["call_id"], call["status"]) == ("{}", "i", "completed")
    assert body[0]["type"] == "response.created" and body[0]["response"]["status"] == "in_progress"
    assert body[-1]["response"]["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(
    ("name", "args", "item"),
    [
        (b"c", rb"{\"input\":\"a\\n\\\"b\\\"\"}", {"type": "custom_tool_call", "name": "c", "input": 'a\n"b"'}),
        (b"c", rb"{\"patch\":1}", {"type": "custom_tool_call", "name": "c", "input": '{"patch":1}'}),
        (b"ns__n", b"{}", {"type": "function_call", "name": "n", "namespace": "ns", "arguments": "{}"}),
        (b"ns__n", b"", {"type": "function_call", "name": "n", "namespace": "ns", "arguments": "{}"}),
        (b"local_shell", rb"{\n\"command\":[\"ls\"]}", {"type": "local_shell_call", "action": {"command": ["ls"]}}),
        (b"apply_patch", rb"{\"type\":\"delete_file\"}", {"type": "apply_patch_call", "operation": {"type": "delete_file"}}),
        (b"apply_patch", rb"[]", {"type": "function_call", "name": "apply_patch", "arguments": "[]"}),
    ],
)
def test_a_call_is_written_as_the_client_knows_the_tool(twin: Any, name: bytes, args: bytes, item: dict[str, Any]) -> None:
    made = encoder(twin, "openai_responses", FORMED)
    made.text(b"x")
    made.tool(0, b"i", name)
    made.args(0, args)
    made.tool(1, b"j", b"plain")
    made.args(1, b"{}")
    made.end()
    found = events(made.take())[-1]["response"]["output"]
    assert len(found) == 3 and item.items() <= found[1].items() and found[1]["call_id"] == "i"


def test_annotations_and_logprobs_stay_with_their_text(twin: Any) -> None:
    nested = b'{"type":"url_citation","url_citation":{"url":"https://x","title":"X","start_index":0,"end_index":1}}'
    cited = b'{"type":"web_search_result_location","url":"https://y","title":"Y","cited_text":"q","encrypted_index":"e"}'
    made = encoder(twin, "openai_responses")
    made.private(b"citation", cited)
    made.text(rb"a\u00e9")
    made.private(b"logprobs", b'[{"token":"a"}]')
    made.private(b"logprobs", b'[\n{"token":"b"}]')
    made.private(b"annotation", nested)
    made.private(b"annotation", b'{"type":"file_citation"}')
    made.private(b"media", b'{"media_type":"image/png","data":"aGk="}')
    made.private(b"media", b'{"media_type":"audio/wav","data":"aGk="}')
    made.end()
    message, image = events(made.take())[-1]["response"]["output"]
    part = message["content"][0]
    assert [note["url"] for note in part["annotations"]] == ["https://x", "https://y"]
    assert part["annotations"][1]["end_index"] == 2 and part["annotations"][1]["cited_text"] == "q"
    assert part["logprobs"] == [{"token": "a"}, {"token": "b"}]
    assert (image["type"], image["result"], image["output_format"]) == ("image_generation_call", "aGk=", "png")
    assert made.losses == ["annotation", "media"]


@pytest.mark.parametrize(
    ("stop", "refusal", "status", "reason"),
    [
        ("end_turn", False, "completed", None),
        ("max_tokens", False, "incomplete", "max_output_tokens"),
        ("content_filter", False, "incomplete", "content_filter"),
        ("refusal", False, "incomplete", "content_filter"),
        ("refusal", True, "completed", None),
    ],
)
def test_a_reply_that_was_cut_short_is_incomplete(twin: Any, stop: Any, refusal: bool, status: str, reason: str | None) -> None:
    made = encoder(twin, "openai_responses")
    (made.refusal if refusal else made.text)(b"x")
    made.stop(stop, None)
    made.end()
    last = events(made.take())[-1]
    assert last["type"] == f"response.{status}" and last["response"]["status"] == status
    assert (last["response"]["incomplete_details"] or {}).get("reason") == reason
    assert last["response"]["output"][0]["status"] == status


def test_a_call_that_was_cut_off_is_incomplete(twin: Any) -> None:
    made = encoder(twin, "openai_responses")
    made.tool(0, b"i", b"f")
    made.args(0, rb"{\"half\":")
    made.stop("max_tokens", None)
    made.end()
    assert events(made.take())[-1]["response"]["output"][0]["status"] == "incomplete"


def test_nothing_follows_the_end_or_a_failure(twin: Any) -> None:
    for finish in (lambda made: made.end(), lambda made: made.fail(Failure("rate_limit", "slow", 429))):
        made = encoder(twin, "openai_responses")
        made.tool(0, b"i", b"n")
        made.text(b"held")
        finish(made)
        assert made.ended and made.take()
        made.text(b"late")
        made.private(b"media", b'{"media_type":"image/png","data":"aGk="}')
        made.redacted(b"r")
        made.stop("end_turn", None)
        made.end()
        made.fail(Failure("api", "again"))
        assert made.take() == b""


def test_a_failure_continues_the_numbers_or_begins_the_stream(twin: Any) -> None:
    for begin in (lambda made: None, lambda made: made.text(b"x")):
        made = encoder(twin, "openai_responses")
        begin(made)
        made.fail(Failure("rate_limit", "slow", 429))
        body = events(made.take())
        assert body[0]["type"] == "response.created" and body[-1]["type"] == "response.failed"
        assert body[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow"}


def test_a_reply_that_could_not_be_repeated_is_a_failure(twin: Any) -> None:
    made = encoder(twin, "openai_responses")
    for _ in range(KEPT_MAX // (4 << 20) + 1):
        made.text(b"x" * (4 << 20))
        if made.failure is None:
            made.take()
    assert made.failure is not None and str(KEPT_MAX) in made.failure.message and made.ended


@pytest.mark.parametrize("name", GOOD)
def test_a_recorded_stream_written_again_says_the_same(twin: Any, name: str) -> None:
    reply = record(twin, load(name), "openai_responses")
    made = encoder(twin, "openai_responses", msgspec.structs.replace(FORMED, origin="openai_responses"))
    replay(reply, made)
    again = record(twin, made.take(), "openai_responses")
    for one in (reply, again):
        for part in one.parts:
            match part:
                case ThinkingPart():
                    part.signature = part.signature.partition(b":")[2]  # the id of the item is ours
                case TextPart():
                    part.annotations = [msgspec.json.encode(msgspec.json.decode(raw), order="sorted") for raw in part.annotations]
    unsaid = (b"message.phase", b"annotation.file_citation")
    assert again.parts == [p for p in reply.parts if not (isinstance(p, PrivatePart) and p.name in unsaid)]
    assert (again.stop_reason, again.usage.prompt, again.usage.output) == (
        reply.stop_reason,
        reply.usage.prompt,
        reply.usage.output,
    )


# -- the bypass --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in corpus("openai_responses") if not name.endswith(FAILS)])
def test_a_good_stream_passes_as_it_is(twin: Any, name: str) -> None:
    data = load(name)
    found = run(watched(twin, "openai_responses"), [data])
    assert found.out == data and found.failure is None
    if name not in ("openai_responses_done_only", "openai_responses_last_only", "openai_responses_vllm_reasoning"):
        assert judged(data).id == "resp_68a1c0ffee"


def test_a_stream_that_is_cut_gets_a_failure_that_clients_raise(twin: Any) -> None:
    found = run(watched(twin, "openai_responses"), [load("openai_responses_cut")])
    last = payloads(found.out)[-1]
    assert (last["type"], last["sequence_number"]) == ("response.failed", LAST_NUMBER)
    assert last["response"]["error"]["message"] == last["error"]["message"]
    with pytest.raises(openai.APIError, match="ended before"):
        judged(found.out)


@pytest.mark.parametrize("name", ["error_first", "failed_first", "failed_midway"])
def test_a_failure_of_the_upstreams_own_passes_as_it_is(twin: Any, name: str) -> None:
    data = load(f"openai_responses_{name}")
    found = run(watched(twin, "openai_responses"), [data])
    assert found.out == data and found.failure is not None
