"""gateway, relay, bridge and operations together, driven as ASGI over a network of bytes."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from anyllm_fast.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from anyllm_fast.policy.metrics import Metrics
from tests.asgi import ANTHROPIC, OPENAI, ByteReply, ask, open_app

JSON = [(b"content-type", b"application/json")]
SSE = [(b"content-type", b"text/event-stream")]
CHAT_REPLY = json.dumps(
    {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }
).encode()
MESSAGE_REPLY = json.dumps(
    {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
).encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"} | more
    body.setdefault("choices", [{"index": 0, "delta": delta, "finish_reason": finish}])
    return b"data: " + json.dumps(body).encode() + b"\n\n"


CHAT_STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    chunk({}, choices=[], usage={"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}),
    b"data: [DONE]\n\n",
]
MESSAGES = {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


def good(*reads: bytes, headers: Any = JSON, status: int = 200) -> ByteReply:
    return ByteReply(status, headers, reads)


async def test_the_same_dialect_goes_through_byte_for_byte() -> None:
    body = b'{ "messages":[{"content":"\\u0048i","role":"user"}],\n "model":"gpt-4o", "future_field": {"b":1,"a":[1.50]}}'
    app, network = open_app(OPENAI, good(CHAT_REPLY))
    answer = await ask(app, "POST", "/v1/chat/completions", body)
    assert answer.status == 200
    assert network.requests[0].body == body
    assert answer.body == CHAT_REPLY


async def test_only_the_model_is_spliced_when_it_is_mapped() -> None:
    backend = OPENAI.__class__(**({name: getattr(OPENAI, name) for name in OPENAI.__struct_fields__} | {"big_model": "gpt-big"}))
    body = b'{"messages": [{"role":"user","content":"model"}], "model" : "my-opus",  "x":1.50}'
    app, network = open_app(backend, good(CHAT_REPLY))
    await ask(app, "POST", "/v1/chat/completions", body)
    assert network.requests[0].body == body.replace(b'"my-opus"', b'"gpt-big"')


async def test_the_callers_credential_never_goes_upstream() -> None:
    app, network = open_app(OPENAI, good(CHAT_REPLY), good(CHAT_REPLY))
    headers = {
        "x-api-key": "sk-caller-1",
        "authorization": "Bearer sk-caller-2",
        "cookie": "session=1",
        "x-forwarded-for": "1.2.3.4",
    }
    for path, body in (("/v1/chat/completions", CHAT), ("/v1/messages", MESSAGES)):
        await ask(app, "POST", path, body, headers)
    for request in network.requests:
        sent = b"\n".join(name + b": " + value for name, value in request.headers)
        assert b"sk-caller" not in sent and b"session" not in sent
        assert (b"authorization", b"Bearer sk-upstream-key") in request.headers


async def test_a_whole_reply_is_translated() -> None:
    app, network = open_app(OPENAI, good(CHAT_REPLY))
    answer = await ask(app, "POST", "/v1/messages", MESSAGES)
    message = answer.json()
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert message["model"] == "claude-sonnet-4-6"
    assert message["stop_reason"] == "end_turn"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (10, 5)
    assert json.loads(network.requests[0].body)["messages"] == [{"role": "user", "content": "Hi"}]
    assert network.requests[0].target == b"/v1/chat/completions"


async def test_chat_reaches_an_anthropic_backend() -> None:
    app, network = open_app(ANTHROPIC, good(MESSAGE_REPLY))
    answer = await ask(app, "POST", "/v1/chat/completions", CHAT)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    assert network.requests[0].target == b"/v1/messages"
    assert json.loads(network.requests[0].body)["max_tokens"] > 0
    sent = dict(network.requests[0].headers)
    assert sent[b"x-api-key"] == b"sk-ant-key" and sent[b"anthropic-version"]


async def test_a_stream_is_translated_and_ends_with_its_terminator() -> None:
    app, network = open_app(OPENAI, good(*CHAT_STREAM, headers=SSE))
    answer = await ask(app, "POST", "/v1/messages", MESSAGES | {"stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events][:2] == ["message_start", "content_block_start"]
    assert "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta") == "Hello"
    assert events[-2]["usage"]["output_tokens"] == 2 and events[-2]["usage"]["input_tokens"] == 9
    assert events[-1] == {"type": "message_stop"}
    assert answer.complete
    assert json.loads(network.requests[0].body)["stream_options"] == {"include_usage": True}


async def test_the_same_dialects_stream_passes_untouched() -> None:
    app, _ = open_app(OPENAI, good(*CHAT_STREAM, headers=SSE))
    answer = await ask(app, "POST", "/v1/chat/completions", CHAT | {"stream": True})
    assert answer.body == b"".join(CHAT_STREAM)
    metrics = next(policy for policy in app._policies if isinstance(policy, Metrics))
    assert metrics.backends["openai"].output_tokens == 2
    assert metrics.backends["openai"].streams_completed == 1


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize(
    "broken", [None, UpstreamBroken("the upstream closed the connection early"), UpstreamTimeout("idle for 900 s")]
)
async def test_a_cut_stream_is_an_error_and_has_no_terminator(path: str, broken: Any) -> None:
    reads = [*CHAT_STREAM[:3], CHAT_STREAM[3][:20]] + ([broken] if broken else [])
    app, _ = open_app(OPENAI, ByteReply(200, SSE, reads))
    answer = await ask(app, "POST", path, (MESSAGES if "messages" in path else CHAT) | {"stream": True})
    assert answer.status == 200 and answer.complete
    assert b"[DONE]" not in answer.body and b"message_stop" not in answer.body
    last = json.loads(answer.body.decode().rstrip().rsplit("data: ", 1)[1])
    assert last["error"]["message"]
    metrics = next(policy for policy in app._policies if isinstance(policy, Metrics))
    assert metrics.backends["openai"].streams_failed == 1


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_stream_that_fails_at_once_has_a_true_status(path: str) -> None:
    failing = b'data: {"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}\n\n'
    app, _ = open_app(OPENAI, good(CHAT_STREAM[0], failing, headers=SSE))
    answer = await ask(app, "POST", path, (MESSAGES if "messages" in path else CHAT) | {"stream": True})
    assert answer.status == 429
    assert answer.json()["error"]["message"] == "slow down"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reads", "headers"),
    [
        ([b"<html><body>hi</body></html>"], [(b"content-type", b"text/html")]),
        ([], JSON),
        ([b'{"error":{"message":"boom","type":"server_error"}}'], JSON),
        ([b"not json"], JSON),
        ([], SSE),
    ],
)
async def test_a_200_that_is_no_reply_is_an_error(path: str, stream: bool, reads: list[bytes], headers: Any) -> None:
    app, _ = open_app(OPENAI, ByteReply(200, headers, reads))
    answer = await ask(app, "POST", path, (MESSAGES if "messages" in path else CHAT) | {"stream": stream})
    assert answer.status >= 500
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_one_document_in_place_of_a_stream_is_replayed_as_a_stream(path: str) -> None:
    app, _ = open_app(OPENAI, good(CHAT_REPLY[:50], CHAT_REPLY[50:]))
    answer = await ask(app, "POST", path, (MESSAGES if "messages" in path else CHAT) | {"stream": True})
    assert answer.status == 200 and b"Hello" in answer.body
    assert (b"message_stop" if "messages" in path else b"data: [DONE]") in answer.body


async def test_an_upstreams_error_keeps_status_message_and_retry_after() -> None:
    body = b'{"error":{"message":"slow","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}'
    headers = [*JSON, (b"retry-after", b"7"), (b"set-cookie", b"a=b")]
    app, _ = open_app(OPENAI, good(body, headers=headers, status=429), good(body, headers=headers, status=429))
    same = await ask(app, "POST", "/v1/chat/completions", CHAT)
    assert (same.status, same.body, same.headers["retry-after"]) == (429, body, "7")
    other = await ask(app, "POST", "/v1/messages", MESSAGES)
    assert (other.status, other.headers["retry-after"]) == (429, "7")
    assert other.json()["error"] == {"type": "rate_limit_error", "message": "slow"}
    assert "set-cookie" not in same.headers and "set-cookie" not in other.headers


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("error", "status"),
    [(UpstreamUnreachable("cannot connect"), 502), (UpstreamTimeout("no answer in 900 s"), 504), (UpstreamBroken("cut"), 502)],
)
async def test_a_dead_upstream_is_an_answer(path: str, error: Any, status: int) -> None:
    app, _ = open_app(OPENAI, error)
    answer = await ask(app, "POST", path, MESSAGES if "messages" in path else CHAT)
    assert answer.status == status
    assert error.message in answer.json()["error"]["message"]


BAD_BODIES = [
    (b"", "empty"),
    (b"not json", "JSON"),
    (b"[]", "object"),
    (b'"x"', "object"),
    (b"{}", "model"),
    (b'{"model":3,"messages":[]}', "model"),
    (b'{"model":"m","messages":"x"}', "messages"),
    (b'{"model":"m","messages":[{"role":"user","content":3}]}', "messages.0.content"),
    (b'{"model":"m","stream":"yes","messages":[]}', "stream"),
    (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "UTF-8"),
    (b'{"model":"m","temperature":NaN,"messages":[]}', "JSON"),
    (b'{"model":"m","messages":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "deep"),
    (b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', "surrogate"),
    (b'{"model":"m","messages":[],}', "JSON"),
]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize(("body", "word"), BAD_BODIES, ids=[str(i) for i in range(len(BAD_BODIES))])
async def test_bad_input_is_a_400_that_says_where(path: str, body: bytes, word: str) -> None:
    backend = OPENAI if "messages" in path else ANTHROPIC
    app, network = open_app(backend, good(CHAT_REPLY))
    answer = await ask(app, "POST", path, body)
    assert answer.status == 400, answer.body
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert word.lower() in error["message"].lower()
    assert not network.requests


async def test_a_body_over_the_limit_is_a_413_before_and_after_decompression() -> None:
    app, _ = open_app(OPENAI, max_body_bytes=1000)
    big = json.dumps(CHAT | {"pad": "x" * 2000}).encode()
    for headers, body in (({"content-length": "2000000"}, b"{}"), ({}, big), ({"content-encoding": "gzip"}, gzip.compress(big))):
        answer = await ask(app, "POST", "/v1/chat/completions", body, headers, pieces=3)
        assert answer.status == 413
        assert "1000" in answer.json()["error"]["message"]


async def test_a_gzip_body_is_accepted_and_a_broken_one_is_a_400() -> None:
    app, network = open_app(OPENAI, good(CHAT_REPLY))
    plain = json.dumps(CHAT).encode()
    answer = await ask(app, "POST", "/v1/chat/completions", gzip.compress(plain), {"content-encoding": "gzip"})
    assert answer.status == 200 and network.requests[0].body == plain
    assert b"content-encoding" not in dict(network.requests[0].headers)
    assert (await ask(app, "POST", "/v1/chat/completions", b"nonsense", {"content-encoding": "gzip"})).status == 400


async def test_unknown_paths_and_methods_are_answered_in_the_right_dialect() -> None:
    app, _ = open_app()
    answer = await ask(app, "GET", "/nope")
    assert answer.status == 404 and answer.json()["error"] == {"type": "not_found_error", "message": "Not found"}
    answer = await ask(app, "GET", "/v1/chat/completions")
    assert answer.status == 405 and answer.headers["allow"] == "POST" and "message" in answer.json()["error"]


async def test_every_answer_carries_the_request_id() -> None:
    app, _ = open_app(OPENAI, good(CHAT_REPLY))
    for path, method in (("/nope", "GET"), ("/health", "GET"), ("/v1/messages", "GET")):
        assert (await ask(app, method, path, headers={"x-request-id": "mine-1"})).headers["x-request-id"] == "mine-1"
    made = (await ask(app, "GET", "/health", headers={"x-request-id": "not\x7flegal"})).headers["x-request-id"]
    assert len(made) == 36


async def test_an_anthropic_client_finds_a_request_id_where_its_sdk_looks() -> None:
    app, _ = open_app(OPENAI, good(CHAT_REPLY))
    answer = await ask(app, "POST", "/v1/messages", MESSAGES)
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    app, _ = open_app(ANTHROPIC, good(MESSAGE_REPLY, headers=[*JSON, (b"request-id", b"req_up")]))
    assert (await ask(app, "POST", "/v1/messages", MESSAGES)).headers["request-id"] == "req_up"


async def test_a_loss_is_announced_by_path_and_refused_where_the_operator_says_so() -> None:
    body = MESSAGES | {"top_k": 5}
    app, network = open_app(OPENAI, good(CHAT_REPLY))
    answer = await ask(app, "POST", "/v1/messages", body)
    assert answer.status == 200 and "top_k" in answer.headers["x-anyllm-degradation"]
    app, network = open_app(OPENAI, good(CHAT_REPLY), on_loss="refuse")
    answer = await ask(app, "POST", "/v1/messages", body)
    assert answer.status == 400 and "top_k" in answer.json()["error"]["message"]
    assert not network.requests
    app, _ = open_app(OPENAI, good(CHAT_REPLY), expose_degradation=False)
    assert "x-anyllm-degradation" not in (await ask(app, "POST", "/v1/messages", body)).headers


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_client_that_leaves_ends_the_call_and_closes_the_upstream(path: str) -> None:
    reply = ByteReply(200, SSE, [*CHAT_STREAM[:2], 30.0, *CHAT_STREAM[2:]])
    app, _ = open_app(OPENAI, reply)
    started = asyncio.get_running_loop().time()
    answer = await ask(app, "POST", path, (MESSAGES if "messages" in path else CHAT) | {"stream": True}, leave_after=0.1)
    assert asyncio.get_running_loop().time() - started < 5
    assert reply.aborted and not answer.complete
    metrics = next(policy for policy in app._policies if isinstance(policy, Metrics))
    assert metrics.backends["openai"].streams_client_disconnected == 1


async def test_the_concurrency_permit_comes_back_after_every_ending() -> None:
    replies = [good(CHAT_REPLY), UpstreamBroken("cut"), good(*CHAT_STREAM, headers=SSE), ByteReply(200, SSE, [30.0])]
    app, _ = open_app(OPENAI, *replies, max_concurrency=1)
    assert (await ask(app, "POST", "/v1/chat/completions", CHAT)).status == 200
    assert (await ask(app, "POST", "/v1/chat/completions", CHAT)).status == 502
    assert (await ask(app, "POST", "/v1/chat/completions", CHAT | {"stream": True})).status == 200
    waiting = asyncio.create_task(ask(app, "POST", "/v1/chat/completions", CHAT | {"stream": True}, leave_after=0.2))
    await asyncio.sleep(0.05)
    full = await ask(app, "POST", "/v1/messages", MESSAGES)
    assert full.status == 429 and full.headers["retry-after"] == "1"
    assert full.json()["error"]["type"] == "rate_limit_error"
    await waiting
    app._upstreams["openai"].replies.append(good(CHAT_REPLY))
    assert (await ask(app, "POST", "/v1/chat/completions", CHAT)).status == 200


async def test_a_fault_of_ours_is_a_500_in_the_dialect_without_its_inside(capfd: pytest.CaptureFixture[str]) -> None:
    class Surprise:
        async def send(self, request: Any) -> Any:
            raise RuntimeError("secret inside")

        async def close(self) -> None: ...

    app, _ = open_app()
    app._upstreams["openai"] = Surprise()
    answer = await ask(app, "POST", "/v1/messages", MESSAGES)
    assert answer.status == 500 and b"secret inside" not in answer.body
    assert "secret inside" in capfd.readouterr().err


async def test_models_are_listed_in_the_dialect_of_who_asks() -> None:
    listing = b'{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1700000000,"owned_by":"openai"}]}'
    app, _ = open_app(OPENAI, good(listing), good(listing), good(listing), good(listing))
    assert (await ask(app, "GET", "/v1/models")).json()["data"][0]["object"] == "model"
    anthropic = {"anthropic-version": "2023-06-01"}
    assert (await ask(app, "GET", "/v1/models", headers=anthropic)).json()["data"][0]["type"] == "model"
    assert (await ask(app, "GET", "/v1/models/gpt-4o")).json()["id"] == "gpt-4o"
    missing = await ask(app, "GET", "/v1/models/nope")
    assert missing.status == 404 and missing.json()["error"]["code"] == "model_not_found"


async def test_tokens_are_counted_by_an_upstream_that_can_and_else_approximately() -> None:
    app, network = open_app(ANTHROPIC, good(b'{"input_tokens":42}'))
    body = {"model": "claude-x", "messages": [{"role": "user", "content": "Hi"}]}
    answer = await ask(app, "POST", "/v1/messages/count_tokens", body)
    assert answer.json() == {"input_tokens": 42} and network.requests[0].target == b"/v1/messages/count_tokens"
    app, network = open_app(OPENAI)
    answer = await ask(app, "POST", "/v1/messages/count_tokens", body)
    assert answer.json()["input_tokens"] > 0 and "approximate" in answer.headers["x-anyllm-token-counter"]
    assert not network.requests


async def test_health_says_which_twin_runs_and_head_has_no_body() -> None:
    app, _ = open_app()
    answer = await ask(app, "GET", "/health", headers={"authorization": ""})
    assert answer.json()["status"] == "ok" and answer.json()["implementation"] in {"native", "python"}
    head = await ask(app, "HEAD", "/", headers={"authorization": ""})
    assert head.status == 200 and head.body == b""


async def test_metrics_speak_json_and_prometheus() -> None:
    app, _ = open_app()
    assert "backends" in (await ask(app, "GET", "/metrics")).json()
    scraped = await ask(app, "GET", "/metrics", headers={"accept": "text/plain;version=0.0.4"})
    assert b"anyllm_requests_total" in scraped.body
    assert (await ask(app, "GET", "/metrics", headers={"authorization": ""})).status == 401


LONG = "mcp__a_server_with_a_very_long_name__and_a_tool_whose_name_is_longer_than_that"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_name_that_the_backend_does_not_take_has_an_alias_there_and_nowhere_else(stream: bool) -> None:
    tools = [{"name": LONG, "input_schema": {"type": "object", "properties": {}}}]
    turns = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": LONG, "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "done"}]},
    ]
    body = MESSAGES | {"tools": tools, "messages": turns, "tool_choice": {"type": "tool", "name": LONG}, "stream": stream}
    app, network = open_app(OPENAI, good(CHAT_REPLY))
    await ask(app, "POST", "/v1/messages", body | {"stream": False})
    sent = json.loads(network.requests[0].body)
    alias = sent["tools"][0]["function"]["name"]
    assert len(alias) <= 64 and alias.startswith(LONG[:55])
    assert sent["tool_choice"]["function"]["name"] == sent["messages"][1]["tool_calls"][0]["function"]["name"] == alias
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": alias, "arguments": "{}"}}
    whole = json.loads(CHAT_REPLY)
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    whole["choices"][0] |= {"message": message, "finish_reason": "tool_calls"}
    frames = [chunk({"role": "assistant", "tool_calls": [call]}), chunk({}, "tool_calls"), b"data: [DONE]\n\n"]
    reply = good(*frames, headers=SSE) if stream else good(json.dumps(whole).encode())
    app, _ = open_app(OPENAI, reply)
    answer = await ask(app, "POST", "/v1/messages", body)
    assert f'"name":"{LONG}"'.encode() in answer.body and alias.encode() not in answer.body
