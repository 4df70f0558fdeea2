"""The whole server given bad input, byte for byte: a clear answer in the dialect of the route, and a healthy server after it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from typing import Any

import pytest

from tests.called import LANES, Called, Lane, every_lane, open_lane
from tests.raw_client import KEY, Answer, ask, chunked, request
from tests.speech import PATHS, TONGUES, Tongue, question, streamed, whole
from tests.stage import BODY_LIMIT, IMPLS, Stage, each

pytestmark = pytest.mark.asyncio(loop_scope="session")

every_impl = pytest.mark.parametrize("impl", IMPLS)

Headers = dict[str, str | None]
NO_LENGTH: Headers = {"content-length": None}


async def speak_raw(called: Called, data: bytes, *, bodiless: bool = False) -> Answer:
    """What comes back for these bytes. The server may close before it has taken them all."""
    client = await called.gateway.connect()
    with contextlib.suppress(ConnectionError):
        await client.send(data)
    try:
        return await client.reply(bodiless=bodiless)
    finally:
        client.leave()


async def is_healthy(called: Called) -> None:
    """A good request succeeds, and the worker is the same."""
    called.is_good_document(await called.whole([whole(called.lane.up)]))
    assert (await called.gateway.health())["status"] == "ok"
    assert "fault in the gateway" not in called.gateway.errors


def nested(depth: int) -> bytes:
    return b'{"model":"m","max_tokens":5,"messages":[],"metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "white space": (b" \n ", "empty"),
    "no JSON": (b"hello", "JSON"),
    "half of JSON": (b'{"model":"m","messages":[{"role"', "JSON"),
    "more after JSON": (b'{"model":"m"}{"model":"n"}', "JSON"),
    "an array": (b"[]", "object"),
    "a string": (b'"x"', "object"),
    "null": (b"null", "object"),
    "no model": (b'{"messages":[]}', "model"),
    "an empty model": (b'{"model":"","messages":[]}', "model"),
    "a number as model": (b'{"model":3,"messages":[]}', "model"),
    "a long model": (b'{"model":"' + b"m" * 10_000 + b'","messages":[]}', "model"),
    "two models": (b'{"model":"a","messages":[],"model":"b"}', "model"),
    "two streams": (b'{"model":"a","stream":true,"messages":[],"stream":false}', "stream"),
    "a word as stream": (b'{"model":"m","stream":"yes","messages":[]}', "stream"),
    "no UTF-8": (b'{"model":"m","messages":[{"role":"user","content":"\xff\xfe"}]}', "UTF-8"),
    "half of a character": (b'{"model":"m","messages":[{"role":"user","content":"\xc3"}]}', "UTF-8"),
    "UTF-16": ('{"model":"m","messages":[]}'.encode("utf-16"), "UTF-8"),
    "a lone surrogate": (b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}', "surrogate"),
    "the other half": (b'{"model":"m","messages":[{"role":"user","content":"\\ude00\\ud83d"}]}', "surrogate"),
    "NaN": (b'{"model":"m","temperature":NaN,"messages":[]}', "JSON"),
    "Infinity": (b'{"model":"m","temperature":-Infinity,"messages":[]}', "JSON"),
    "a comma too many": (b'{"model":"m","messages":[],}', "JSON"),
    "a control character": (b'{"model":"m","messages":[{"role":"user","content":"a\x01b"}]}', "JSON"),
    "too deep, arrays": (b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    "too deep, objects": (nested(100_000), "deep"),
    "too deep and cut": (b'{"model":"m","messages":' + b"[" * 500_000, "deep"),
}


@every_lane
async def test_a_bad_body_is_a_400_that_says_what_is_wrong(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)

    async def check(body: bytes, word: str) -> None:
        case = stage.file([whole(lane.up)])
        error = called.is_refused(await called.gateway.ask("POST", PATHS[lane.tongue], body, case.headers), 400)
        assert error["type"] == "invalid_request_error"
        assert word.lower() in error["message"].lower(), error
        assert not case.requests

    await each({name: check(*row) for name, row in BODIES.items()})
    await is_healthy(called)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "messages": ({"messages": "x"}, "messages"),
    "a message": ({"messages": ["x"]}, "messages.0"),
    "a role": ({"messages": [{"role": 7, "content": "x"}]}, "messages.0.role"),
    "a content": ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
    "a part": ({"messages": [{"role": "user", "content": [{"type": "text", "text": {}}]}]}, "messages.0.content.0"),
    "tools": ({"tools": {}}, "tools"),
    "a number": ({"temperature": "hot"}, "temperature"),
    "stop": ({"stop": 5, "stop_sequences": 5}, "stop"),
}


@pytest.mark.parametrize("lane", [lane for lane in LANES if not lane.same], ids="-".join)
async def test_a_wrong_type_is_a_400_that_says_where(stage: Stage, lane: Lane) -> None:
    """Where nothing is translated the upstream says it."""
    called = await open_lane(stage, lane)

    async def check(wrong: dict[str, Any], where: str) -> None:
        case = stage.file([whole(lane.up)])
        body = question(lane.tongue, **wrong)
        error = called.is_refused(await called.gateway.ask("POST", PATHS[lane.tongue], body, case.headers), 400)
        assert error["message"].startswith(where), error
        assert not case.requests

    await each({name: check(*row) for name, row in WRONG.items()})
    await is_healthy(called)


@every_lane
async def test_any_depth_of_nesting_is_an_answer_and_never_a_fault(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)

    async def check(depth: int) -> None:
        case = stage.file([whole(lane.up)])
        schema = b'{"type":"object","properties":{"a":' * depth + b"{}" + b"}}" * depth
        name = (
            b'"name":"f","input_schema":'
            if lane.tongue == "messages"
            else b'"type":"function","function":{"name":"f","parameters":'
        )
        tool = b"{" + name + schema + (b"}" if lane.tongue == "messages" else b"}}")
        body = json.dumps(question(lane.tongue)).encode()[:-1] + b',"tools":[' + tool + b"]}"
        answer = await called.gateway.ask("POST", PATHS[lane.tongue], body, case.headers)
        if answer.status == 200:
            assert len(case.requests) == 1 and json.loads(case.requests[0].body)["tools"]
        else:
            called.is_refused(answer, 400)

    await each({str(depth): check(depth) for depth in (10, 40, 100, 200, 400, 800, 1600, 5000, 20000)})
    await is_healthy(called)


@every_lane
async def test_a_body_over_the_limit_is_a_413_that_the_client_can_read(stage: Stage, lane: Lane) -> None:
    """Also where the client writes all of it before it reads."""
    called = await open_lane(stage, lane)
    path = PATHS[lane.tongue]
    good = json.dumps(question(lane.tongue)).encode()
    fits = good + b" " * (BODY_LIMIT - len(good))
    chunks: Headers = {**NO_LENGTH, "transfer-encoding": "chunked"}
    squeezed: Headers = {"content-encoding": "gzip"}
    requests = {
        "announced": request("POST", path, b"", {"content-length": str(1 << 40), "expect": "100-continue"}),
        "sent": request("POST", path, fits + b" "),
        "twenty times": request("POST", path, b" " * (20 * BODY_LIMIT)),
        "in chunks": request("POST", path, b"", chunks) + chunked(*[b" " * 65536] * 40),
        "in one chunk": request("POST", path, b"", chunks) + chunked(fits + b" "),
        "a gzip bomb": request("POST", path, gzip.compress(b" " * (50 << 20)), squeezed),
    }

    async def check(data: bytes) -> None:
        error = called.is_refused(await speak_raw(called, data), 413)
        assert str(BODY_LIMIT) in error["message"]

    await each({name: check(data) for name, data in requests.items()})
    for data, headers in ((fits, {}), (chunked(fits), chunks), (gzip.compress(fits), squeezed)):
        case = stage.file([whole(lane.up)])
        start = request("POST", path, b"" if headers is chunks else data, {**headers, **case.headers})
        called.is_good_document(await speak_raw(called, start + (data if headers is chunks else b"")))
    await is_healthy(called)


@every_lane
async def test_compressed_bodies_are_read_and_broken_ones_refused(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    body = json.dumps(question(lane.tongue)).encode()
    squeezed = gzip.compress(body)
    case = stage.file([whole(lane.up)])
    called.is_good_document(
        await called.gateway.ask("POST", PATHS[lane.tongue], squeezed, {"content-encoding": "gzip", **case.headers})
    )
    assert case.requests[0].header(b"content-encoding") is None
    refused = {
        "no gzip": ("gzip", b"nonsense"),
        "half of it": ("gzip", squeezed[:-9]),
        "more behind it": ("gzip", squeezed + b"xx"),
        "empty": ("gzip", b""),
        "an unknown coding": ("rot13", body),
        "too many codings": (", ".join(["gzip"] * 9), squeezed),
    }

    async def check(coding: str, data: bytes) -> None:
        called.is_refused(await called.gateway.ask("POST", PATHS[lane.tongue], data, {"content-encoding": coding}), 400)

    await each({name: check(*row) for name, row in refused.items()})
    await is_healthy(called)


@every_impl
async def test_wrong_lengths_never_turn_one_request_into_two(stage: Stage, impl: str) -> None:
    """A request inside a body must not be answered: the upstream sees one call, or none."""
    called = await open_lane(stage, Lane(impl, "openai", "chat"))
    path = PATHS["chat"]
    body = json.dumps(question("chat")).encode()

    async def check(headers: Headers, payload: bytes, statuses: list[int], *, half: bool = False) -> None:
        case = stage.file([whole("chat")])
        inner = stage.file([whole("chat")])
        client = await called.gateway.connect()
        data = request("POST", path, b"", {**headers, **case.headers}) + payload
        await client.send(data.replace(b"INNER", request("POST", path, body, inner.headers)))
        if half:
            client.finish_writing()
        found = []
        while len(found) < len(statuses):
            answer = await client.reply()
            if not answer.status:
                break
            found.append(answer.status)
        assert found == statuses, found
        client.leave()
        assert len(case.requests) == statuses.count(200)
        assert not inner.requests

    length: Headers = {"content-length": str(len(body))}
    both: Headers = {**length, "transfer-encoding": "chunked"}
    chunks: Headers = {**NO_LENGTH, "transfer-encoding": "chunked"}
    short = str(len(body) - 5)
    await each(
        {
            "shorter than sent": check({"content-length": short}, body, [400, 400]),
            "longer than sent": check({"content-length": "1000"}, body, [400], half=True),
            "none": check(NO_LENGTH, body, [400, 400]),
            "two that differ": check({**length, "Content-Length": "5"}, body, [400]),
            "negative": check({"content-length": "-1"}, body, [400]),
            "signed": check({"content-length": f"+{len(body)}"}, body, [400]),
            "hexadecimal": check({"content-length": hex(len(body))}, body, [400]),
            "a list": check({"content-length": f"{len(body)}, 5"}, body, [400]),
            "endless": check({"content-length": "9" * 40}, body, [400]),
            "chunks that are none": check(chunks, b"zz\r\n", [400]),
            "a chunk cut": check(chunks, b"5\r\nab", [400], half=True),
            "a chunk longer than said": check(chunks, b"2\r\nabcdef\r\n0\r\n\r\n", [400]),
            "an unknown coding": check({**NO_LENGTH, "transfer-encoding": "xchunked"}, chunked(body), [400]),
            "chunked twice": check(
                {**NO_LENGTH, "transfer-encoding": "chunked", "Transfer-Encoding": "x"}, b"0\r\n\r\nINNER", [400]
            ),
            "both": check(both, chunked(body), [200]),
            "both, and the length hides a request": check({**both, "content-length": "4"}, chunked(body) + b"INNER", [200]),
        }
    )
    await is_healthy(called)


@every_impl
async def test_a_path_or_method_that_nobody_knows_is_answered_in_the_dialect_of_its_prefix(stage: Stage, impl: str) -> None:
    async def check(called: Called, method: str, path: str, status: int) -> None:
        data = request(method, path, headers={"content-length": None})
        answer = await speak_raw(called, data, bodiless=method == "HEAD")
        if method == "HEAD":
            assert answer.status == status and not answer.body
            return
        called.is_refused(answer, status)
        assert ("allow" in answer.headers) == (status == 405)

    checks = {}
    prefixes: dict[Tongue, tuple[str, ...]] = {
        "messages": (
            "/v1/messages/x",
            "/v1/complete",
            "/",
            "/nope",
            "//v1/messages",
            "/v1/../v1/messages",
            "/v1/messages%00",
            "/%ff",
        ),
        "chat": ("/v1/chat/completions/x", "/v1/chat", "/v1/audio/speech", "/v1/embeddings", "/chat/x"),
    }
    for tongue in TONGUES:
        called = await open_lane(stage, Lane(impl, "openai", tongue))
        for path in prefixes[tongue]:
            checks[f"POST {path}"] = check(called, "POST", path, 405 if path == "/" else 404)
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "post"):
            checks[f"{method} {PATHS[tongue]}"] = check(called, method, PATHS[tongue], 405)
        checks[f"a long path, {tongue}"] = check(called, "POST", prefixes[tongue][0] + "y" * 5000, 404)
    await each(checks)
    await is_healthy(called)


@every_impl
async def test_a_websocket_upgrade_is_refused_with_a_status(stage: Stage, impl: str) -> None:
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "eA=="}
    for tongue, path, status in (
        ("chat", "/v1/responses", 426),  # as Codex expects it where only POST is served
        ("messages", "/v1/messages", 405),
        ("chat", "/v1/realtime", 404),
    ):
        called = await open_lane(stage, Lane(impl, "openai", tongue))  # type: ignore[arg-type]  # the strings are tongues
        answer = await speak_raw(called, request("GET", path, headers=dict(upgrade)))
        assert answer.status == status and answer.json()["error"]["message"], answer
        await is_healthy(called)


@every_lane
async def test_who_shows_no_key_is_refused_before_the_body_is_read(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    wrong: dict[str, Headers] = {
        "none": {"authorization": None},
        "empty": {"authorization": "Bearer "},
        "another": {"authorization": "Bearer sk-nobody"},
        "basic": {"authorization": "Basic eDp5"},
        "no ASCII": {"authorization": "Bearer \xff\xfe"},
        "long": {"authorization": "Bearer " + "x" * 50_000},
    }

    async def check(headers: Headers) -> None:
        case = stage.file([whole(lane.up)])
        head_only = request("POST", PATHS[lane.tongue], b"", {**headers, **case.headers, "content-length": "1000000"})
        error = called.is_refused(await speak_raw(called, head_only), 401)
        assert "sk-nobody" not in error["message"]
        assert not case.requests

    await each({name: check(headers) for name, headers in wrong.items()})
    await is_healthy(called)


@every_impl
async def test_absurd_heads_are_answered_or_closed_by_the_http_server(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "chat"))
    body = json.dumps(question("chat")).encode()
    good = request("POST", PATHS["chat"], body)

    def with_line(line: bytes) -> bytes:
        return good.replace(b"host:", line + b"\r\nhost:", 1)

    refused = {
        "300 headers": (with_line(b"\r\n".join(b"x-%d: 1" % i for i in range(300))), 431),
        "a megabyte of header": (with_line(b"x: " + b"y" * (1 << 20)), 431),
        "a long path": (good.replace(b" /v1", b" /" + b"y" * 70_000, 1), 414),
        "NUL": (with_line(b"x: a\0b"), 400),
        "a space in a name": (with_line(b"x y: a"), 400),
        "no colon": (with_line(b"xyz"), 400),
        "a folded line": (with_line(b"x: a\r\n b"), 400),
        "no path": (good.replace(b" /v1/chat/completions", b"", 1), 400),
        "HTTP/9.9": (good.replace(b"HTTP/1.1", b"HTTP/9.9", 1), 400),
        "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300, 400),
        "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
        "garbage": (b"\0\1\2\3\r\n\r\n", 400),
    }
    fine = {
        "90 headers": with_line(b"\r\n".join(b"x-%d: 1" % i for i in range(90))),
        "100 KB of header": with_line(b"x: " + b"y" * 100_000),
        "no ASCII": with_line(b"x: \xff\xfe"),
        "a key twice": with_line(b"authorization: Bearer other"),
        "bare LF": good.split(b"\r\n\r\n")[0].replace(b"\r\n", b"\n") + b"\n\n" + body,
        "the whole URL": good.replace(b" /v1", b" http://gateway.test/v1", 1),
        "a query": good.replace(b"completions", b"completions?beta=true&x=%ff", 1),
        "an unknown expectation": with_line(b"expect: fish"),
        "h2c offered": with_line(b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk"),
    }

    async def refuse(data: bytes, status: int) -> None:
        assert (await speak_raw(called, data)).status == status

    async def answers(data: bytes) -> None:
        case = stage.file([whole("chat")])
        line = f"x-request-id: {case.ident}".encode()
        newline = b"\n" if b"\r\n" not in data else b"\r\n"
        called.is_good_document(await speak_raw(called, data.replace(b"host:", line + newline + b"host:", 1)))

    await each({name: refuse(*row) for name, row in refused.items()} | {name: answers(data) for name, data in fine.items()})
    await is_healthy(called)


@every_impl
async def test_request_ids_that_are_no_plain_words_are_replaced(stage: Stage, impl: str) -> None:
    gateway = await stage.gateway("openai", impl)
    for ident in ("a b", "\xff", "x" * 5000, "", "a\tb", "\u00a0"):
        answer = await ask(gateway.port, "GET", "/health", headers={"x-request-id": ident})
        assert answer.status == 200 and len(answer.headers["x-request-id"]) == 36


@every_impl
async def test_http_1_0_and_pipelined_requests_are_answered_in_order(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "messages"))
    path = PATHS["messages"]
    old = stage.file([whole("chat")])
    called.is_good_document(await speak_raw(called, request("POST", path, question("messages"), old.headers, "1.0")))
    old = stage.file([streamed("chat")])
    called.is_good_stream(await speak_raw(called, request("POST", path, question("messages", stream=True), old.headers, "1.0")))
    cases = [stage.file([whole("chat", f"number {number}")]) for number in range(5)]
    client = await called.gateway.connect()
    await client.send(b"".join(request("POST", path, question("messages"), case.headers) for case in cases))
    for number in range(5):
        answer = await client.reply()
        assert answer.status == 200 and answer.json()["content"][0]["text"] == f"number {number}"
    await client.send(request("GET", "/nope") + request("GET", "/health"))
    assert [(await client.reply()).status for _ in range(2)] == [404, 200]
    client.leave()
    await is_healthy(called)


@every_impl
async def test_a_client_that_expects_100_continue_is_told_to_go_on(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "chat"))
    case = stage.file([whole("chat")])
    payload = json.dumps(question("chat")).encode()
    data = request("POST", PATHS["chat"], payload, {"expect": "100-continue", **case.headers})
    client = await called.gateway.connect()
    await client.send(data[: -len(payload)])
    assert (await client.reply()).status == 100
    await client.send(payload)
    called.is_good_document(await client.reply())
    client.leave()
    for expect in ("100-continue", None):
        refused = request("POST", PATHS["chat"], b"", {"expect": expect, "content-length": "99999999"})
        assert (await speak_raw(called, refused)).status == 413


@every_impl
async def test_a_body_that_comes_slowly_is_whole(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "messages"))
    case = stage.file([whole("chat")])
    data = request("POST", PATHS["messages"], question("messages"), case.headers)
    client = await called.gateway.connect()
    for place in range(0, len(data), 20):
        await client.send(data[place : place + 20])
        await asyncio.sleep(0.005)
    called.is_good_document(await client.reply())
    client.leave()
    assert KEY.encode() not in b"".join(value for _, value in case.requests[0].headers)
