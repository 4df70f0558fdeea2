"""The state behind Responses, through the whole app, where the upstream speaks another dialect."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from openai.types.responses import CompactedResponse, Response, ResponseItemList

from anyllm_fast.app import App
from tests.asgi import OPENAI, Answer, ByteUpstream, ask, open_app
from tests.test_gateway import CHAT_REPLY, CHAT_STREAM, SSE, good

PATH = "/v1/responses"
ASKED = {"model": "gpt-4o", "input": "Hi"}
CHAT_TOOL = json.dumps(
    {
        "id": "chatcmpl-2",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Looking.",
                    "tool_calls": [
                        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"it"}'}}
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()


def asked_of(network: ByteUpstream, at: int = -1) -> list[Any]:
    messages: list[Any] = json.loads(network.requests[at].body)["messages"]
    return [(message["role"], message["content"]) for message in messages]


def replies(count: int) -> tuple[App, ByteUpstream]:
    return open_app(OPENAI, *(good(CHAT_REPLY) for _ in range(count)))


async def test_a_call_goes_on_from_an_earlier_one() -> None:
    app, network = replies(3)
    first = (await ask(app, "POST", PATH, ASKED)).json()
    second = (await ask(app, "POST", PATH, {**ASKED, "input": "And?", "previous_response_id": first["id"]})).json()
    assert asked_of(network) == [("user", "Hi"), ("assistant", "Hello"), ("user", "And?")]
    assert second["previous_response_id"] == first["id"] != second["id"]
    await ask(app, "POST", PATH, {**ASKED, "input": "So?", "previous_response_id": second["id"]})
    assert [text for _, text in asked_of(network)] == ["Hi", "Hello", "And?", "Hello", "So?"]
    bodies = [request.body for request in network.requests]
    for shorter, longer in itertools.pairwise(bodies):
        assert longer.startswith(shorter.removesuffix(b"]}")), "the provider's prompt cache would miss"


@pytest.mark.parametrize("kind", [{"type": "item_reference"}, {"type": None}, {}])
async def test_a_reference_stands_for_the_item_of_a_kept_reply(kind: dict[str, Any]) -> None:
    """The AI SDK and the agents SDK name the items of a stored reply by their ids only, calls and texts."""
    app, network = open_app(OPENAI, good(CHAT_TOOL), good(CHAT_REPLY), good(CHAT_REPLY))
    output = (await ask(app, "POST", PATH, ASKED)).json()["output"]
    call = next(item for item in output if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "21"}
    items = [{"role": "user", "content": "Hi"}, {**kind, "id": call["id"]}, result]
    second = (await ask(app, "POST", PATH, {**ASKED, "input": items})).json()
    sent = json.loads(network.requests[-1].body)["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool"]
    assert sent[1]["tool_calls"][0]["function"] == {"name": call["name"], "arguments": call["arguments"]}
    assert second["output"][0]["id"] != call["id"]
    answer = await ask(app, "POST", PATH, {**ASKED, "input": [*items, {**kind, "id": second["output"][0]["id"]}]})
    assert answer.status == 200 and [text for _, text in asked_of(network)][-1] == "Hello"


async def test_a_reference_to_what_is_not_kept_is_refused_by_its_place() -> None:
    app, network = replies(2)
    unkept = (await ask(app, "POST", PATH, {**ASKED, "store": False})).json()["output"][0]["id"]
    kept = (await ask(app, "POST", PATH, ASKED)).json()["output"][0]["id"]
    other = {"authorization": "Bearer somebody-else"}
    for ident, headers in ((unkept, None), (kept, other), (kept + "7", None), ("fc_x", None), ("", None)):
        items = [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": ident}]
        answer = await ask(app, "POST", PATH, {**ASKED, "input": items}, *([headers] if headers else []))
        assert answer.status == 400 and answer.json()["error"]["param"] == "input.1", answer.body
    assert len(network.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_says_what_was_asked_for(stream: bool) -> None:
    """LangChain takes a streamed answer for a structured one by `text.format` of the last event."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    members: dict[str, Any] = {
        "text": {"format": {"type": "json_schema", "name": "x", "strict": True, "schema": schema}},
        "temperature": 0.5,
        "max_output_tokens": 900,
        "metadata": {"of": "mine"},
        "user": None,
    }
    app, _ = open_app(OPENAI, good(*CHAT_STREAM, headers=SSE) if stream else good(CHAT_REPLY))
    body = json.dumps({**ASKED, **members, "stream": stream}, indent=1).encode()
    answer = await ask(app, "POST", PATH, body)
    events = [json.loads(line[6:]) for line in answer.body.decode().split("\n") if line.startswith("data: ")] if stream else []
    said = [event["response"] for event in events if "response" in event] if stream else [answer.json()]
    assert len(said) == (3 if stream else 1)
    for response in said:
        Response.model_validate(response)
        assert {name: response[name] for name in members} == members
        assert response["tool_choice"] == "auto" and response["top_p"] is None
    assert (await ask(app, "GET", f"{PATH}/{said[-1]['id']}")).json()["text"] == members["text"]


async def test_instructions_are_of_one_call_only() -> None:
    app, network = replies(2)
    first = (await ask(app, "POST", PATH, {**ASKED, "instructions": "Rhyme."})).json()
    await ask(app, "POST", PATH, {**ASKED, "previous_response_id": first["id"]})
    assert "Rhyme." in str(asked_of(network, 0)) and "Rhyme." not in str(asked_of(network, 1))


async def test_a_streamed_reply_is_kept_as_well() -> None:
    app, network = open_app(OPENAI, good(*CHAT_STREAM, headers=SSE), good(CHAT_REPLY))
    answer = await ask(app, "POST", PATH, {**ASKED, "stream": True})
    last = json.loads(answer.body.decode().rstrip().rpartition("data: ")[2])
    assert last["type"] == "response.completed"
    found = (await ask(app, "GET", f"{PATH}/{last['response']['id']}")).json()
    assert found == last["response"]
    await ask(app, "POST", PATH, {**ASKED, "previous_response_id": last["response"]["id"]})
    assert [text for _, text in asked_of(network)] == ["Hi", "Hello", "Hi"]


async def test_a_reply_is_read_deleted_and_gone() -> None:
    app, _ = replies(1)
    made = (await ask(app, "POST", PATH, ASKED)).json()
    where = f"{PATH}/{made['id']}"
    assert Response.model_validate((await ask(app, "GET", where)).json()).id == made["id"]
    other = {"authorization": "Bearer somebody-else"}
    assert (await ask(app, "GET", where, b"", other)).status == 404
    assert (await ask(app, "DELETE", where, b"", other)).status == 404
    gone = await ask(app, "DELETE", where)
    assert gone.json() == {"id": made["id"], "object": "response", "deleted": True}
    missing = await ask(app, "GET", where)
    assert missing.status == 404 and missing.json()["error"]["type"] == "invalid_request_error"


async def test_what_the_client_does_not_want_stored_is_not() -> None:
    app, _ = replies(1)
    made = (await ask(app, "POST", PATH, {**ASKED, "store": False})).json()
    assert (await ask(app, "GET", f"{PATH}/{made['id']}")).status == 404
    refused = await ask(app, "POST", PATH, {**ASKED, "previous_response_id": made["id"]})
    error = refused.json()["error"]
    assert refused.status == 400
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize("member", [{"conversation": "conv_1"}, {"prompt": {"id": "pmpt_1"}}])
async def test_what_only_openai_keeps_is_refused_by_name(member: dict[str, Any]) -> None:
    app, network = replies(1)
    answer = await ask(app, "POST", PATH, {**ASKED, **member})
    assert answer.status == 400 and answer.json()["error"]["param"] == next(iter(member))
    assert not network.requests


async def test_input_items_are_listed_in_pages() -> None:
    app, _ = replies(2)
    first = (await ask(app, "POST", PATH, ASKED)).json()
    items = [{"role": "user", "content": "one"}, {"role": "user", "content": [{"type": "input_text", "text": "two"}]}]
    made = (await ask(app, "POST", PATH, {**ASKED, "input": items, "previous_response_id": first["id"]})).json()
    where = f"{PATH}/{made['id']}/input_items"
    page = (await ask(app, "GET", where + "?order=asc&limit=3")).json()
    ResponseItemList.model_validate(page)
    assert [item["content"][0]["text"] for item in page["data"]] == ["Hi", "Hello", "one"] and page["has_more"]
    rest = (await ask(app, "GET", f"{where}?order=asc&after={page['last_id']}")).json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["two"] and not rest["has_more"]
    newest = (await ask(app, "GET", where)).json()
    assert newest["data"][0]["content"][0]["text"] == "two"
    for wrong in ("limit=0", "limit=x", "order=up", "after=nope"):
        assert (await ask(app, "GET", f"{where}?{wrong}")).status == 400


# -- in the background -------------------------------------------------------------------------------------------------


async def ended(app: App, ident: str) -> Any:
    for _ in range(200):
        found = (await ask(app, "GET", f"{PATH}/{ident}")).json()
        if found["status"] not in ("queued", "in_progress"):
            return found
        await asyncio.sleep(0.005)
    raise AssertionError("it never ended")


async def background(app: App, **members: Any) -> Answer:
    return await ask(app, "POST", PATH, {**ASKED, "background": True, **members})


async def test_a_background_call_is_polled() -> None:
    app, _ = replies(2)
    queued = (await background(app)).json()
    assert Response.model_validate(queued).status == "queued" and queued["background"] is True
    done = await ended(app, queued["id"])
    assert Response.model_validate(done).output_text == "Hello"
    assert (done["id"], done["status"], done["background"]) == (queued["id"], "completed", True)
    again = await ask(app, "POST", PATH, {**ASKED, "previous_response_id": queued["id"]})
    assert again.status == 200


async def test_a_background_call_that_fails_says_why() -> None:
    app, _ = open_app(OPENAI, good(b'{"error":{"message":"no such model","code":"model_not_found"}}', status=404))
    failed = await ended(app, (await background(app)).json()["id"])
    assert failed["status"] == "failed" and failed["error"]["message"] == "no such model"


async def test_a_background_call_can_be_cancelled() -> None:
    app, network = open_app(OPENAI)
    network.replies = [good(CHAT_REPLY)]
    network.replies[0].reads.insert(0, 30.0)  # type: ignore[union-attr]  # a pause
    queued = (await background(app)).json()
    await asyncio.sleep(0.02)
    assert (await ask(app, "GET", f"{PATH}/{queued['id']}")).json()["status"] == "in_progress"
    cancelled = (await ask(app, "POST", f"{PATH}/{queued['id']}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    await asyncio.sleep(0.02)
    assert (await ask(app, "GET", f"{PATH}/{queued['id']}")).json()["status"] == "cancelled"
    assert network.requests


async def test_only_background_calls_are_cancelled_and_they_have_to_be_stored() -> None:
    app, _ = replies(1)
    made = (await ask(app, "POST", PATH, ASKED)).json()
    assert (await ask(app, "POST", f"{PATH}/{made['id']}/cancel")).status == 400
    assert (await background(app, store=False)).status == 400


async def test_the_places_of_the_limit_come_back_after_background_calls() -> None:
    app, _ = open_app(OPENAI, *(good(CHAT_REPLY) for _ in range(6)), max_concurrency=2)
    for _ in range(5):
        await ended(app, (await background(app)).json()["id"])
    assert (await ask(app, "POST", PATH, ASKED)).status == 200


# -- compaction --------------------------------------------------------------------------------------------------------


async def test_a_conversation_is_compacted_and_goes_on_from_the_summary() -> None:
    app, network = replies(3)
    first = (await ask(app, "POST", PATH, ASKED)).json()
    compact = {"model": "gpt-4o", "previous_response_id": first["id"]}
    made = (await ask(app, "POST", f"{PATH}/compact", compact)).json()
    parsed = CompactedResponse.construct(**made)
    assert [item.type for item in parsed.output] == ["message", "compaction"]
    assert "summary" in str(asked_of(network)[-1])
    await ask(app, "POST", PATH, {**ASKED, "input": [*made["output"], {"role": "user", "content": "Go on."}]})
    said = [text for _, text in asked_of(network)]
    assert "Hello" in said[1] and said[-1] == "Go on."
