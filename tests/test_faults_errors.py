"""The whole server before an upstream that says that it failed, in any way there is; and what the official SDKs make of it."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.called import JSON, SSE, Called, Lane, every_lane, open_lane
from tests.raw_client import KEY
from tests.raw_upstream import CHUNKED, LAST_CHUNK, Close, Early, Hang, Script, chunk, head, ok
from tests.served import free_port
from tests.speech import (
    PATHS,
    TEXT,
    TEXTS,
    TONGUES,
    Tongue,
    error_body,
    error_frame,
    frame,
    question,
    sent,
    speak,
    streamed,
    whole,
)
from tests.stage import IMPLS, Gateway, Stage, each

pytestmark = pytest.mark.asyncio(loop_scope="session")


@every_lane
async def test_a_200_that_is_no_reply_is_an_error(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    page = b"<!DOCTYPE html><html><title>Just a moment...</title><body>Checking your browser</body></html>"
    answers = {
        "HTML": ok(page, b"content-type: text/html"),
        "HTML labelled as a stream": ok(page, SSE),
        "empty": ok(b"", JSON),
        "an empty stream": ok(b"", SSE),
        "an empty chunked stream": CHUNKED + LAST_CHUNK,
        "nothing but comments": ok(b": hi\n\n: there\n\n", SSE),
        "white space": ok(b" \n\n ", JSON),
        "no content": head(status=b"204 No Content"),
        "text": ok(b"upstream overloaded", b"content-type: text/plain"),
        "an array": ok(b"[]", JSON),
        "null": ok(b"null", JSON),
        "half of JSON": ok(b'{"id":"x","choi', JSON),
        "garbage": ok(bytes(range(128, 256)), JSON),
        "only [DONE]": ok(frame("[DONE]"), SSE),
    }

    async def check(stream: bool, script: Script) -> None:
        called.is_refused(await (called.stream if stream else called.whole)(script), 502)

    await each({f"{name}, {stream=}": check(stream, [answer]) for name, answer in answers.items() for stream in (True, False)})
    for stream in (True, False):
        for label in (JSON, SSE):
            script = [ok(error_body(lane.up, "slow down"), label)]
            error = called.is_refused(await (called.stream if stream else called.whole)(script), 429)
            assert error["message"] == "slow down" and error["type"] == "rate_limit_error"


@every_lane
async def test_an_error_event_before_the_reply_has_a_true_status_and_later_is_in_the_stream(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    failing = error_frame(lane.up, "slow down")
    first = [CHUNKED + chunk(failing) + LAST_CHUNK]
    second = [sent(spoken.opening[0], failing) + LAST_CHUNK]
    hanging = [sent(failing), Hang()]
    for script in (first, second, hanging):
        error = called.is_refused(await called.stream(script), 429)
        assert error["message"] == "slow down"
    for tail in ([], [*spoken.deltas, *spoken.stop, *spoken.end]):
        heard = called.is_cut(await called.stream([sent(*spoken.opening, *spoken.deltas[:1], failing, *tail) + LAST_CHUNK]))
        assert heard.text == TEXTS[0] and heard.error is not None and heard.error["message"] == "slow down"
    broken = frame('{"type": [tru', "message" if lane.up == "messages" else "")
    called.is_cut(await called.stream([sent(*spoken.opening, *spoken.deltas, broken, *spoken.stop, *spoken.end) + LAST_CHUNK]))
    called.is_refused(await called.stream([sent(broken, *spoken.frames) + LAST_CHUNK]), 502)


STATUSES: dict[int, tuple[str, dict[Tongue, int]]] = {
    400: ("invalid_request_error", {}),
    401: ("authentication_error", {}),
    403: ("permission_error", {}),
    404: ("not_found_error", {}),
    413: ("request_too_large", {}),
    429: ("rate_limit_error", {}),
    500: ("api_error", {}),
    503: ("overloaded_error", {"messages": 529}),
    529: ("overloaded_error", {"chat": 503}),
}


@every_lane
async def test_a_refusal_keeps_its_status_and_retry_after_and_is_answered_at_once(stage: Stage, lane: Lane) -> None:
    """A retry-after of an hour is told, not slept through; the upstream's cookies and internals stay out."""
    called = await open_lane(stage, lane)
    headers = (JSON, b"retry-after: 3600", b"set-cookie: a=b", b"x-internal: 1")

    async def check(stream: bool, status: int) -> None:
        kind, translated = STATUSES[status]
        body = error_body(lane.up, "no, and here is why", kind)
        case = stage.file([ok(body, *headers, status=b"%d Whatever" % status)])
        answer = await called.gateway.call(lane.tongue, case, stream=stream)
        expected = status if lane.same else translated.get(lane.tongue, status)
        assert called.is_refused(answer, expected)["message"] == "no, and here is why"
        assert answer.headers["retry-after"] == "3600"
        assert not {"set-cookie", "x-internal"} & answer.headers.keys()
        if lane.same:
            assert answer.body == body

    await each({f"{status}, {stream=}": check(stream, status) for status in STATUSES for stream in (True, False)})


@every_lane
async def test_an_error_page_of_a_proxy_keeps_its_status(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

    async def check(stream: bool, script: Script, status: int) -> None:
        error = called.is_refused(await (called.stream if stream else called.whole)(script), status)
        assert "<" not in error["message"]

    html = b"content-type: text/html"
    overloaded = 529 if lane.tongue == "messages" else 503
    scripts: dict[str, tuple[Script, int]] = {
        "502": ([ok(page, html, status=b"502 Bad Gateway")], 502),
        "503": ([ok(page, html, status=b"503 Service Unavailable")], overloaded),
        "504": ([ok(page, html, status=b"504 Gateway Timeout")], 504),
        "404": ([ok(page, html, status=b"404 Not Found")], 404),
        "empty 500": ([ok(b"", status=b"500 Oops")], 500),
        "cut 500": ([head(html, b"content-length: 1000", status=b"500 Oops") + page, Close()], 502),
        "a stream with status 500": ([ok(error_frame(lane.up, "x"), SSE, status=b"500 Oops")], 500),
        "endless": ([head(html, status=b"500 Oops") + page * 30000, Close()], 502),
    }
    await each({f"{name}, {stream=}": check(stream, *row) for name, row in scripts.items() for stream in (True, False)})


@every_lane
async def test_a_redirect_is_a_502_and_never_followed(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)

    async def check(status: bytes) -> None:
        elsewhere = f"location: {stage.upstream.url}/elsewhere".encode()
        case = stage.file([ok(b"", elsewhere, status=status)])
        answer = await called.gateway.call(lane.tongue, case, stream=True)
        called.is_refused(answer, 502)
        assert "location" not in answer.headers
        assert len(case.requests) == 1

    statuses = (b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary Redirect", b"308 Permanent Redirect", b"304 No")
    await each({status.decode(): check(status) for status in statuses})


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_models_and_counts_of_a_broken_upstream_are_errors_with_a_true_status(stage: Stage, impl: str, kind: str) -> None:
    gateway = await stage.gateway(kind, impl)
    up: Tongue = "messages" if kind == "anthropic" else "chat"
    limited = error_body(up, "slow down")
    scripts: dict[str, tuple[Script, int]] = {
        "HTML": ([ok(b"<html>x</html>", b"content-type: text/html")], 502),
        "empty": ([ok(b"")], 502),
        "an array": ([ok(b"[1]")], 502),
        "half of JSON": ([ok(b'{"input_tok')], 502),
        "other members": ([ok(b'{"data":[{"id":7}],"input_tokens":"x"}')], 502),
        "cut": ([head(b"content-length: 100") + b"{", Close()], 502),
        "dead": ([Close()], 502),
        "redirected": ([ok(b"", b"location: /x", status=b"302 Found")], 502),
        "an error with status 200": ([ok(limited)], 429),
        "an error": ([ok(limited, status=b"429 Too Many")], 429),
        "an HTML error": ([ok(b"<html>x</html>", status=b"500 Oops")], 500),
    }
    paths: list[tuple[str, str, bytes | dict[str, Any]]] = [("GET", "/v1/models", b""), ("GET", "/v1/models/x", b"")]
    if kind == "anthropic":
        paths.append(("POST", "/v1/messages/count_tokens", question("messages")))

    async def check(method: str, path: str, body: bytes | dict[str, Any], script: Script, status: int) -> None:
        case = stage.file(script)
        answer = await gateway.ask(method, path, body, case.headers | {"anthropic-version": "2023-06-01"})
        assert answer.status == status and answer.json()["type"] == "error" and answer.json()["error"]["message"], answer

    await each({f"{path[1]}, {name}": check(*path, *row) for path in paths for name, row in scripts.items()})
    none = [ok(b"<html>x</html>", status=b"404 Not Found")]
    answer = await gateway.ask("GET", "/v1/models", headers=stage.file(none).headers)
    assert answer.status == 200 and answer.json()["object"] == "list"
    assert "fault in the gateway" not in gateway.errors


@pytest.mark.parametrize("impl", IMPLS)
async def test_an_upstream_that_is_not_there_is_a_502_and_said_to_be_so(stage: Stage, impl: str) -> None:
    await stage.gateway("openai", impl)  # skips where the twin is missing
    gateway = await Gateway("openai", impl, free_port()).ready()
    try:
        for tongue in TONGUES:
            called = Called(stage, gateway, Lane(impl, "openai", tongue))
            for stream in (True, False):
                error = called.is_refused(await (called.stream if stream else called.whole)([Close()]), 502)
                assert "cannot connect" in error["message"]
    finally:
        gateway.stop()


@every_lane
async def test_a_refusal_before_the_request_was_read_is_given(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    early = stage.file([Early(), ok(error_body(lane.up, "too long", "request_too_large"), status=b"413 Too Large"), Close()])
    body = question(lane.tongue, messages=[{"role": "user", "content": "x" * 1_000_000}])
    answer = await called.gateway.ask("POST", PATHS[lane.tongue], body, early.headers)
    assert called.is_refused(answer, 413)["message"] == "too long"


# --- as the official SDKs see it ---------------------------------------------------------------------------------------------


async def read_with_sdk(gateway: Gateway, tongue: Tongue, ident: str, stream: bool) -> str:
    """The text that the vendor's own SDK puts together. Raises what it raises."""
    root = f"http://127.0.0.1:{gateway.port}"
    headers = {"x-request-id": ident}
    messages: Any = [{"role": "user", "content": "Hi"}]
    if tongue == "messages":
        async with anthropic.AsyncAnthropic(base_url=root, api_key=KEY, max_retries=0, timeout=20) as client:
            if not stream:
                message = await client.messages.create(model="m", max_tokens=9, messages=messages, extra_headers=headers)
                return message.content[0].text  # type: ignore[union-attr]  # the upstream sends text
            async with client.messages.stream(model="m", max_tokens=9, messages=messages, extra_headers=headers) as events:
                return await events.get_final_text()
    async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key=KEY, max_retries=0, timeout=20) as caller:
        if not stream:
            reply = await caller.chat.completions.create(model="m", messages=messages, extra_headers=headers)
            return reply.choices[0].message.content or ""
        async with caller.chat.completions.stream(model="m", messages=messages, extra_headers=headers) as pieces:
            return (await pieces.get_final_completion()).choices[0].message.content or ""


ERRORS: dict[Tongue, Any] = {"chat": openai, "messages": anthropic}


@every_lane
async def test_the_sdks_raise_their_errors_and_never_take_half_an_answer_for_a_whole_one(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    said = sent(*spoken.opening, *spoken.deltas[:2])
    library = ERRORS[lane.tongue]
    limited = ok(error_body(lane.up, "slow down"), JSON, status=b"429 Too Many Requests")
    page = ok(b"<html>oops</html>", b"content-type: text/html", status=b"502 Bad Gateway")

    async def raises(script: Script, error: type[Exception], streams: tuple[bool, ...] = (True, False)) -> None:
        for stream in streams:
            with pytest.raises(error) as raised:
                await read_with_sdk(called.gateway, lane.tongue, stage.file(script).ident, stream)
            assert raised.type is error or error is library.APIError, raised

    async def gives(script: Script, stream: bool) -> None:
        assert await read_with_sdk(called.gateway, lane.tongue, stage.file(script).ident, stream) == TEXT

    await each(
        {
            "a good stream": gives([streamed(lane.up)], True),
            "a good document": gives([whole(lane.up)], False),
            "a document for a stream": gives([whole(lane.up)], True),
            "a stream for a document": gives([streamed(lane.up)], False),
            "a stream in CR": gives([ok(spoken.body.replace(b"\n", b"\r"), SSE)], True),
            "cut": raises([said, Close()], library.APIError, (True,)),
            "ended early": raises([said + LAST_CHUNK], library.APIError, (True,)),
            "failed later": raises([said + chunk(error_frame(lane.up, "x"))], library.APIError, (True,)),
            "failed at once": raises([sent(error_frame(lane.up, "x")) + LAST_CHUNK], library.RateLimitError),
            "429": raises([limited], library.RateLimitError),
            "HTML 502": raises([page], library.InternalServerError),
            "nobody there": raises([Close()], library.InternalServerError),
            "empty": raises([ok(b"", SSE)], library.InternalServerError),
        }
    )
