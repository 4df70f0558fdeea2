"""anyllm_fast/wire/aws.py and its twin: AWS messages to server-sent events and back, by botocore's parser and a writer here."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Iterator
from struct import pack
from typing import Any
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer

from anyllm_fast._impl import native
from anyllm_fast.wire import aws
from anyllm_fast.wire.aws import AwsWatch, is_framed
from tests.streams import MAX_FRAME, corpus, cut, cuttings, load, outcome

TWINS = [aws] if native is None or not hasattr(native, "AwsToSse") else [aws, native]
each_twin = pytest.mark.parametrize("twin", TWINS, ids=lambda twin: "python" if twin is aws else "native")


def headers(**named: str | bytes | int) -> bytes:
    """Headers in the order given; `_` stands for `-`. Numbers are of type 4, bytes of type 6."""
    out = b""
    for name, value in named.items():
        key = (":" + name.replace("_", "-")).encode()
        out += pack(">B", len(key)) + key
        if isinstance(value, int):
            out += pack(">Bi", 4, value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += pack(">BH", 7 if isinstance(value, str) else 6, len(raw)) + raw
    return out


def framed(head: bytes, payload: bytes) -> bytes:
    prelude = pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + pack(">I", crc32(prelude)) + head + payload
    return message + pack(">I", crc32(message))


def message(name: str, payload: bytes) -> bytes:
    """As Bedrock sends an event, or an exception."""
    if name.endswith("Exception"):
        return framed(headers(exception_type=name, content_type="application/json", message_type="exception"), payload)
    return framed(headers(event_type=name, content_type="application/json", message_type="event"), payload)


def framed_corpus(name: str) -> bytes:
    """A corpus stream as Bedrock sends it."""
    out = b""
    for frame in load(name).split(b"\n\n")[:-1]:
        event, data = frame.split(b"\n")
        out += message(event.removeprefix(b"event: ").decode(), data.removeprefix(b"data: "))
    return out


def invoked(name: str) -> bytes:
    """An Anthropic corpus stream as InvokeModel sends it, padded."""
    out = b""
    for at, frame in enumerate(load(name).split(b"\n\n")):
        if data := b"".join(line.removeprefix(b"data: ") for line in frame.splitlines() if line.startswith(b"data: ")):
            body: dict[str, Any] = {"bytes": b64encode(data).decode()}
            if at % 2:
                body["p"] = "abcdefgh"[: at % 8]
            out += message("chunk", json.dumps(body, separators=(",", ":")).encode())
    return out


def parsed(body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """What botocore reads."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [(dict(one.headers), one.payload) for one in buffer]


def through(made: Any, chunks: list[bytes]) -> bytes:
    return b"".join([*(made.feed(chunk) for chunk in chunks), made.finish()])


# -- from AWS ----------------------------------------------------------------------------------------------------------


@each_twin
def test_messages_become_frames_in_any_cutting(twin: Any) -> None:
    for name in ("bedrock_text", "bedrock_error_midway"):
        for chunks in few_cuttings(framed_corpus(name)):
            made = twin.AwsToSse(MAX_FRAME, False)
            assert through(made, chunks) == load(name) and made.failure is None


def few_cuttings(data: bytes) -> Iterator[list[bytes]]:
    for at, chunks in enumerate(cuttings(data)):
        if len(chunks) != 2 or at % 7 == 0:
            yield chunks


@each_twin
def test_all_streams_of_the_corpus_come_out_as_they_are(twin: Any) -> None:
    for name in corpus("bedrock"):
        assert through(twin.AwsToSse(MAX_FRAME, False), [framed_corpus(name)]) == load(name)


@each_twin
def test_the_events_inside_invoke_model_leave_with_their_names(twin: Any) -> None:
    name = "anthropic_thinking_tools"
    expected = b"".join(
        b"event: %b\ndata: %b\n\n" % (json.loads(data)["type"].encode(), data)
        for data in (line[6:] for line in load(name).splitlines() if line.startswith(b"data: "))
    )
    for chunks in few_cuttings(invoked(name)):
        assert through(twin.AwsToSse(MAX_FRAME, True), chunks) == expected


@each_twin
def test_an_inner_event_may_be_written_in_any_way(twin: Any) -> None:
    pretty = b'{\n  "index": 0,\r\n  "type": "ping"\n}'
    body = b'{ "p": "x", "bytes": "%b" }' % b64encode(pretty)
    out = twin.AwsToSse(MAX_FRAME, True).feed(message("chunk", body))
    assert out == b'event: ping\ndata: {\ndata:   "index": 0,\ndata:   "type": "ping"\ndata: }\n\n'
    untyped = twin.AwsToSse(MAX_FRAME, True).feed(message("chunk", b'{"bytes":"%b"}' % b64encode(b'{"generation":"x"}')))
    assert untyped == b'data: {"generation":"x"}\n\n'
    assert twin.AwsToSse(MAX_FRAME, True).feed(message("initial-response", b"{}")) == aws.PING


@each_twin
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"bytes":5}', b'{"bytes":"*"}', b'{"bytes":"QQ="}', b'{"bytes":"QQ==QQ=="}', b'{"bytes":"Q']
)
def test_a_chunk_without_sound_bytes_is_a_failure(twin: Any, body: bytes) -> None:
    made = twin.AwsToSse(MAX_FRAME, True)
    assert made.feed(message("chunk", body)) == b"" and made.failure == aws.BAD_CHUNK


@each_twin
def test_exceptions_and_errors_keep_their_names(twin: Any) -> None:
    def read(head: bytes, payload: bytes, inner: bool) -> bytes:
        out: bytes = twin.AwsToSse(MAX_FRAME, inner).feed(framed(head, payload))
        return out

    throttled = headers(exception_type="throttlingException", content_type="application/json", message_type="exception")
    unknown = headers(error_code="InternalFailure", error_message="went\twrong", message_type="error")
    assert read(throttled, b'{"message":"slow down"}', False) == b'event: throttlingException\ndata: {"message":"slow down"}\n\n'
    assert read(throttled, b"plain", False) == b'event: throttlingException\ndata: {"message":"plain"}\n\n'
    assert read(throttled, b"", False) == b"event: throttlingException\ndata: {}\n\n"
    assert read(unknown, b"", False) == b'event: error\ndata: {"message":"went\\twrong","__type":"InternalFailure"}\n\n'
    inner = b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}\n\n'
    assert read(throttled, b'{"message":"slow down"}', True) == inner
    assert b'"type":"InternalFailure","message":"went\\twrong"' in read(unknown, b"", True)


@each_twin
def test_headers_of_every_type_are_passed_over(twin: Any) -> None:
    head = b"".join(
        pack(">B", 1) + b"x" + pack(">B", kind) + b"\0" * size
        for kind, size in ((0, 0), (1, 0), (2, 1), (3, 2), (5, 8), (8, 8), (9, 16))
    )
    head += headers(number=7, blob=b"\n", event_type="messageStop")
    assert twin.AwsToSse(MAX_FRAME, False).feed(framed(head, b"{}")) == b"event: messageStop\ndata: {}\n\n"


@each_twin
@pytest.mark.parametrize(
    "head",
    [b"\x05x", b"\x01x", b"\x01x\x0a", b"\x01x\x07\x00", b"\x01x\x07\x00\x02a", b"\x01x\x05abc", headers(event_type="a\nb")],
)
def test_headers_that_cannot_be_read_are_a_failure(twin: Any, head: bytes) -> None:
    made = twin.AwsToSse(MAX_FRAME, False)
    assert made.feed(message("messageStart", b"{}") + framed(head, b"{}")) == b"event: messageStart\ndata: {}\n\n"
    assert made.failure == aws.BAD_HEADERS and made.boundary == len(message("messageStart", b"{}"))


@each_twin
def test_a_wrong_checksum_ends_the_stream_at_that_message(twin: Any) -> None:
    good = message("messageStart", b'{"role":"assistant"}')
    for at in range(len(good)):
        broken = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        made = twin.AwsToSse(MAX_FRAME, False)
        assert made.feed(good + broken) == b'event: messageStart\ndata: {"role":"assistant"}\n\n'
        assert made.failure == aws.BAD_CHECKSUM and made.boundary == len(good)
        assert made.feed(good) == b"" and made.boundary == 0


@each_twin
def test_lengths_that_cannot_be_are_a_failure_before_the_rest_has_come(twin: Any) -> None:
    def lengths(total: int, head: int) -> bytes:
        prelude = pack(">II", total, head)
        return prelude + pack(">I", crc32(prelude))

    for total, head, failure in (
        (0, 0, aws.BAD_LENGTHS),
        (15, 0, aws.BAD_LENGTHS),
        (16, 1, aws.BAD_LENGTHS),
        (100, 0xFFFFFFFF, aws.BAD_LENGTHS),
        (1001, 0, aws.too_large(1000)),
        (0xFFFFFFFF, 0, aws.too_large(1000)),
    ):
        made = twin.AwsToSse(1000, False)
        assert made.feed(lengths(total, head)) == b"" and made.failure == failure


@each_twin
def test_a_body_that_ends_inside_a_message_is_cut(twin: Any) -> None:
    whole = message("messageStart", b"{}")
    for at in range(1, len(whole)):
        made = twin.AwsToSse(MAX_FRAME, False)
        assert through(made, [whole[:at]]) == b"" and made.failure == aws.CUT


@each_twin
def test_the_boundary_is_where_the_last_whole_message_of_a_chunk_ends(twin: Any) -> None:
    one = message("messageStart", b"{}")
    made = twin.AwsToSse(MAX_FRAME, False)
    found = []
    for chunk in (one + one[:5], one[5:], b"", one[:20], one[20:] + one + one[:1], one[1:-1], one[-1:]):
        made.feed(chunk)
        found.append(made.boundary)
    assert found == [len(one), len(one) - 5, 0, 0, 2 * len(one) - 20, 0, 1]


# -- to AWS ------------------------------------------------------------------------------------------------------------


@each_twin
def test_botocore_reads_what_is_written(twin: Any) -> None:
    for name in corpus("bedrock"):
        out = through(twin.SseToAws(False), [load(name)])
        assert out == framed_corpus(name)
        for (head, payload), frame in zip(parsed(out), load(name).split(b"\n\n")[:-1], strict=True):
            event, data = frame.split(b"\n")
            assert [head.get(":event-type") or head[":exception-type"], payload] == [event[7:].decode(), data[6:]]
            assert head[":content-type"] == "application/json"
            assert head[":message-type"] == ("exception" if ":exception-type" in head else "event")


@each_twin
def test_comments_and_frames_without_data_have_no_form_and_are_dropped(twin: Any) -> None:
    assert twin.SseToAws(False).feed(b": hello\n\nevent: x\n\n") == b""
    out = twin.SseToAws(False).feed(b": hello\nevent: messageStop\r\ndata: {\ndata: }\n\n")
    assert parsed(out)[0][1] == b"{\n}"


@each_twin
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("rate_limit_error", "throttlingException"),
        ("overloaded_error", "serviceUnavailableException"),
        ("invalid_request_error", "validationException"),
        ("timeout_error", "modelTimeoutException"),
        ("api_error", "internalServerException"),
        ("permission_error", "modelStreamErrorException"),
    ],
)
def test_an_anthropic_error_becomes_the_exception_that_fits(twin: Any, kind: str, name: str) -> None:
    data = json.dumps({"type": "error", "error": {"type": kind, "message": "m"}}).encode()
    for frame in (b"event: error\ndata: %b\n\n" % data, b"data: %b\n\n" % data):
        assert parsed(twin.SseToAws(True).feed(frame)) == [
            ({":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}, b'{"message":"m"}')
        ]


@each_twin
def test_what_goes_in_comes_out_of_the_other_transcoder(twin: Any) -> None:
    for name in corpus("bedrock"):
        assert twin.AwsToSse(MAX_FRAME, False).feed(twin.SseToAws(False).feed(load(name))) == load(name)
    for size in range(40):
        frame = b"event: ping\ndata: %b\n\n" % (b'{"type":"ping","x":"' + b"\xff" * size + b'"}')
        assert twin.AwsToSse(MAX_FRAME, True).feed(twin.SseToAws(True).feed(frame)) == frame


@each_twin
def test_the_checksum_is_right_for_every_length(twin: Any) -> None:
    dice = random.Random(1)
    for size in range(70):
        data = bytes(dice.randrange(32, 127) for _ in range(size))
        assert twin.SseToAws(False).feed(b"event: e\ndata: %b\n\n" % data) == message("e", data)


# -- the bypass --------------------------------------------------------------------------------------------------------


def watched(chunks: list[bytes], dialect: Any = "bedrock") -> Any:
    made = AwsWatch(dialect, MAX_FRAME)
    out = b"".join([*(made.feed(chunk) for chunk in chunks), made.finish()])
    return outcome(made, out)


def test_a_good_stream_passes_as_it_is_in_any_cutting() -> None:
    for name in ("bedrock_text", "bedrock_error_midway", "bedrock_error_first", "bedrock_no_metadata"):
        body = framed_corpus(name)
        first = watched([body])
        assert first.out == body and first.ended
        for chunks in few_cuttings(body):
            assert watched(chunks) == first
    found = watched([framed_corpus("bedrock_tools_parallel")])
    assert (found.usage.input, found.usage.cache_write_1h, found.stop_reason, found.committed) == (410, 50, "tool_use", True)


def test_nothing_follows_the_end() -> None:
    body = framed_corpus("bedrock_text")
    for chunks in few_cuttings(body + body):
        assert watched(chunks).out == body


def test_a_cut_or_broken_stream_ends_with_an_exception_behind_its_last_whole_message() -> None:
    body = framed_corpus("bedrock_text")
    kept = body[: len(body) - len(message("x", b"")) - 40]
    for damaged in (kept, body[:-20] + b"\x00" + body[-19:]):
        found = watched([damaged])
        assert found.failure is not None
        messages = parsed(found.out)
        assert messages[-1][0][":exception-type"] == "modelStreamErrorException"
        assert body.startswith(b"".join(framed(headers(**named(head)), payload) for head, payload in messages[:-1]))
        for chunks in few_cuttings(damaged):
            assert watched(chunks) == found


def named(head: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(":").replace("-", "_"): value for name, value in head.items()}


def test_a_message_that_cannot_be_read_is_replaced_by_an_exception() -> None:
    good = message("messageStart", b'{"role":"assistant"}') + message("contentBlockDelta", b'{"delta":{"text":"x"}}')
    body = good + message("messageStop", b"{") + message("metadata", b"{}")
    for chunks in few_cuttings(body):
        out = watched(chunks).out
        assert out.startswith(good) and len(parsed(out)) == 3
        assert parsed(out)[-1][0][":exception-type"] == "modelStreamErrorException"


def test_invoke_model_passes_as_it_is_and_is_read_beside() -> None:
    body = invoked("anthropic_thinking_tools")
    found = watched([body], "anthropic")
    assert found.out == body and found.usage.output == 89 and found.stop_reason == "tool_use"
    broken = watched([body[:-7]], "anthropic")
    assert parsed(broken.out)[-1][0][":exception-type"] == "internalServerException"


def test_a_framed_body_is_known_by_its_prelude() -> None:
    body = framed_corpus("bedrock_text")
    assert (
        is_framed(body)
        and not is_framed(body[:11])
        and not is_framed(b'{"message":"no"}')
        and not is_framed(load("bedrock_text"))
    )


@pytest.mark.skipif(len(TWINS) == 1, reason="there is one twin")
def test_both_twins_have_the_same_public_members() -> None:
    for name in ("AwsToSse", "SseToAws"):
        arguments = (10, False) if name == "AwsToSse" else (False,)
        members = [{one for one in dir(getattr(twin, name)(*arguments)) if not one.startswith("_")} for twin in TWINS]
        assert members[0] == members[1]


@pytest.mark.skipif(len(TWINS) == 1, reason="there is one twin")
def test_both_twins_write_the_same_for_damaged_messages() -> None:
    dice = random.Random(3)
    for _ in range(300):
        inner = dice.random() < 0.5
        body = bytearray(invoked("anthropic_text") if inner else framed_corpus("bedrock_text"))
        for _ in range(dice.randrange(3)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        chunks = cut(bytes(body), dice)
        found = []
        for twin in TWINS:
            made = twin.AwsToSse(2000, inner)
            found.append([(made.feed(chunk), made.boundary, made.failure) for chunk in chunks] + [(made.finish(), made.failure)])
        assert found[0] == found[1]
