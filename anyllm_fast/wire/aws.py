"""AWS event-stream framing: binary messages in any cutting to server-sent events and back. Of a dialect it knows only names.

A message (https://smithy.io/2.0/aws/amazon-eventstream.html), every number big endian:

    4 total length   4 length of the headers   4 CRC32 of those eight bytes   headers   payload   4 CRC32 of all before it
    a header: 1 length of the name, name, 1 type, value; a string (type 7) has 2 bytes of length before it

Everything inside reads and writes server-sent events, so this is a transcoder before and behind the ordinary pipe: one message is
one frame, always. Bedrock sends two sorts of stream. In Converse's each event's JSON is the payload and its name is a header. In
InvokeModel's (`inner`) every payload is {"bytes": base64 of an event of the model's own dialect}: Anthropic's, which leave with
the `event:` line that its clients need.

A wrong checksum or length cannot be recovered from, because nothing marks where the next message begins: `failure` says so, and
nothing is raised.

`AwsToSse` and `SseToAws` are the Python twins of native/aws.pxi and give the same bytes.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from struct import Struct
from typing import Any, Final
from zlib import crc32

import msgspec

from anyllm_fast.neutral.stream import Failure, Remembered, StopReason
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.wire.pipe import WatchedDialect
from anyllm_fast.wire.sse import Frames

PRELUDE: Final = 12
TRAILER: Final = 4
BAD_CHECKSUM: Final = Failure("api", "a message of the upstream's event stream has a wrong checksum", 502)
BAD_LENGTHS: Final = Failure("api", "a message of the upstream's event stream has impossible lengths", 502)
BAD_HEADERS: Final = Failure("api", "a message of the upstream's event stream has headers that cannot be read", 502)
BAD_CHUNK: Final = Failure("api", "a chunk of the upstream's event stream cannot be read", 502)
CUT: Final = Failure("api", "the upstream's event stream ended in the middle of a message", 502)
PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'

_TWO = Struct(">II").unpack_from
_ONE = Struct(">I").unpack_from
_pack_two = Struct(">II").pack
_pack_one = Struct(">I").pack
_encode = msgspec.json.Encoder().encode
_LINE: Final = re.compile(rb"\r\n|\r|\n")
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; 6 and 7 say it themselves."""


def too_large(max_frame: int) -> Failure:
    return Failure("api", f"a message of the upstream's event stream is larger than {max_frame} bytes", 502)


def is_framed(body: bytes) -> bool:
    """Whether a body begins with the prelude of a message."""
    return len(body) >= PRELUDE and crc32(body[:8]) == _ONE(body, 8)[0]


# -- from AWS ----------------------------------------------------------------------------------------------------------


class AwsToSse:
    """`feed` gives the frames of the messages that a chunk completes. What lies between is held, at most `max_frame` bytes."""

    def __init__(self, max_frame: int, inner: bool) -> None:
        self.failure: Failure | None = None
        self.boundary = 0
        """Where in the last chunk the last message that it completed ended; 0 if it completed none."""
        self._max_frame = max_frame
        self._inner = inner
        self._pieces: list[bytes] = []
        self._size = 0  # of the pieces
        self._need = PRELUDE  # bytes before anything can be done
        self._raw: bytes | None = None  # the headers read last: most messages have the same
        self._headers: Headers = {}

    def feed(self, chunk: bytes) -> bytes:
        self.boundary = 0
        if self.failure is not None:
            return b""
        before = self._size
        if before + len(chunk) < self._need:
            self._hold(chunk)
            return b""
        data = b"".join((*self._pieces, chunk)) if before else chunk
        out: list[bytes] = []
        end = self._read(data, out)
        self.boundary = max(end - before, 0)
        self._pieces.clear()
        self._size = 0
        if self.failure is None:
            self._hold(data[end:])
        return b"".join(out)

    def finish(self) -> bytes:
        """The body ended: a failure, if that was in the middle of a message."""
        if self._size and self.failure is None:
            self.failure = CUT
        return b""

    def _hold(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)

    def _read(self, data: bytes, out: list[bytes]) -> int:
        """Where the last whole message of `data` ends; sets `_need` for what is behind it."""
        place = 0
        while True:
            self._need = PRELUDE
            if len(data) - place < PRELUDE:
                return place
            total, headers = _TWO(data, place)
            if crc32(data[place : place + 8]) != _ONE(data, place + 8)[0]:
                self.failure = BAD_CHECKSUM
            elif total > self._max_frame:
                self.failure = too_large(self._max_frame)
            elif total < PRELUDE + TRAILER + headers:
                self.failure = BAD_LENGTHS
            elif len(data) - place < total:
                self._need = total
                return place
            elif frame := self._message(data[place : place + total], PRELUDE + headers):
                out.append(frame)
                place += total
            if self.failure is not None:
                return place

    def _message(self, message: bytes, begin: int) -> bytes:
        """The frame of a whole message whose payload begins at `begin`."""
        end = len(message) - TRAILER
        if crc32(message[:end]) != _ONE(message, end)[0]:
            self.failure = BAD_CHECKSUM
            return b""
        raw = message[PRELUDE:begin]
        if raw != self._raw:
            headers = read_headers(raw)
            if headers is None:
                self.failure = BAD_HEADERS
                return b""
            self._raw, self._headers = raw, headers
        payload = message[begin:end]
        kind = self._headers.get(b":message-type")
        if kind == b"exception" or kind == b"error":
            return write_exception(self._headers, payload, self._inner)
        name = self._headers.get(b":event-type", b"")
        if not self._inner:
            return write_frame(name, payload)
        if name != b"chunk":
            return PING
        inner = read_chunk(payload)
        if inner is None:
            self.failure = BAD_CHUNK
            return b""
        return write_frame(type_of(inner), inner)


Headers = dict[bytes, bytes]


def read_headers(raw: bytes) -> Headers | None:
    """The headers that are strings; the last one of a name. None if they cannot be read, or a value has a line end in it."""
    found: Headers = {}
    place, end = 0, len(raw)
    while place < end:
        name = raw[place + 1 : place + 1 + raw[place]]
        place += 1 + raw[place]
        if place >= end:
            return None
        kind = raw[place]
        place += 1
        if kind in (6, 7):
            if place + 2 > end:
                return None
            size = raw[place] << 8 | raw[place + 1]
            place += 2
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            return None
        if place + size > end:
            return None
        value = raw[place : place + size]
        place += size
        if kind == 7:
            if b"\n" in value or b"\r" in value:
                return None
            found[name] = value
    return found


def write_frame(name: bytes, data: bytes) -> bytes:
    """A server-sent event. Data that has line ends in it is several lines of data; an event without a name has none."""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE.split(data))
    return b"event: %b\ndata: %b\n\n" % (name, data) if name else b"data: %b\n\n" % data


class _Chunk(msgspec.Struct):
    bytes: str


class _Typed(msgspec.Struct):
    type: str = ""


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_LEADS: Final = re.compile(rb'\{"type":"([a-z_]+)"')


def read_chunk(payload: bytes) -> bytes | None:
    """The event in a payload of InvokeModel's stream; None if there is none."""
    try:
        return b64decode(_decode_chunk(payload).bytes, validate=True)
    except ValueError:  # msgspec's errors and binascii's are ValueErrors
        return None


def type_of(inner: bytes) -> bytes:
    """The type of an Anthropic event, which leads it; b"" if it has none that could be a name."""
    if leads := _LEADS.match(inner):
        return leads[1]
    try:
        name = _decode_typed(inner).type.encode()
    except (ValueError, RecursionError):
        return b""
    return b"" if b"\n" in name or b"\r" in name else name


def write_exception(headers: Headers, payload: bytes, inner: bool) -> bytes:
    """The frame of a message that says that the stream failed: an `exception`, or an `error` that the service has no model of."""
    members: dict[str, Any] = {}
    try:
        members = msgspec.json.decode(payload, type=dict[str, Any])
    except (ValueError, RecursionError):
        if text := payload.decode("utf-8", "replace").strip():
            members = {"message": text}
    name = headers.get(b":exception-type") or headers.get(b":error-code", b"")
    if (said := headers.get(b":error-message")) and not members.get("message"):
        members["message"] = said.decode("utf-8", "replace")
    if inner:
        kind = TO_ANTHROPIC.get(name) or name.decode("utf-8", "replace") or "api_error"
        message = members.get("originalMessage") or members.get("message") or name.decode("utf-8", "replace")
        return write_frame(b"error", _encode({"type": "error", "error": {"type": kind, "message": message}}))
    if not name.endswith(b"Exception"):
        return write_frame(b"error", _encode({**members, "__type": name.decode("utf-8", "replace")}))
    return write_frame(name, _encode(members))


TO_ANTHROPIC: Final = {
    b"throttlingException": "rate_limit_error",
    b"serviceUnavailableException": "overloaded_error",
    b"validationException": "invalid_request_error",
    b"modelTimeoutException": "timeout_error",
    b"internalServerException": "api_error",
    b"modelStreamErrorException": "api_error",
}
"""What the exceptions of InvokeModel's stream are in Anthropic's words: by those its clients decide whether to try again."""


# -- to AWS ------------------------------------------------------------------------------------------------------------

FROM_ANTHROPIC: Final = {
    "rate_limit_error": b"throttlingException",
    "overloaded_error": b"serviceUnavailableException",
    "invalid_request_error": b"validationException",
    "request_too_large": b"validationException",
    "not_found_error": b"validationException",
    "timeout_error": b"modelTimeoutException",
    "api_error": b"internalServerException",
}
MODEL_ERROR: Final = b"modelStreamErrorException"
MAX_NAME: Final = 255


class SseToAws:
    """`feed` takes whole frames and gives their messages. Comments have no form here and are dropped."""

    def __init__(self, inner: bool) -> None:
        self._inner = inner
        self._frames = Frames(1 << 62)
        self._name = b""
        self._headers = write_headers(b":event-type", b"", b"event")

    def feed(self, sse: bytes) -> bytes:
        return b"".join([self._message(event, data) for event, data in self._frames.feed(sse)])

    def finish(self) -> bytes:
        return b"".join([self._message(event, data) for event, data in self._frames.finish()])

    def _message(self, event: bytes, data: bytes) -> bytes:
        if self._inner:
            if event == b"error" or data.startswith((b'{"type":"error"', b'{"type": "error"')):
                return exception_of(data)
            event, data = b"chunk", b'{"bytes":"%b"}' % b64encode(data)
        elif event == b"error" or event.endswith(b"Exception"):
            return write_message(
                write_headers(b":exception-type", MODEL_ERROR if event == b"error" else event, b"exception"), data
            )
        if event != self._name:
            self._name, self._headers = event, write_headers(b":event-type", event, b"event")
        return write_message(self._headers, data)


def exception_of(data: bytes) -> bytes:
    """The message for an error event of Anthropic's."""
    try:
        error = msgspec.json.decode(data, type=dict[str, Any]).get("error")
    except (ValueError, RecursionError):
        error = None
    error = error if isinstance(error, dict) else {"message": data.decode("utf-8", "replace")}
    name = FROM_ANTHROPIC.get(str(error.get("type")), MODEL_ERROR)
    body = _encode({"message": str(error.get("message") or error.get("type") or "")})
    return write_message(write_headers(b":exception-type", name, b"exception"), body)


def write_headers(label: bytes, name: bytes, kind: bytes) -> bytes:
    """The three headers of a message, in the order in which Bedrock sends them."""
    pairs = ((label, name[:MAX_NAME]), (b":content-type", b"application/json"), (b":message-type", kind))
    return b"".join(b"%c%b\x07\x00%c%b" % (len(key), key, len(value), value) for key, value in pairs)


def write_message(headers: bytes, payload: bytes) -> bytes:
    prelude = _pack_two(PRELUDE + len(headers) + len(payload) + TRAILER, len(headers))
    message = b"%b%b%b%b" % (prelude, _pack_one(crc32(prelude)), headers, payload)
    return message + _pack_one(crc32(message))


# -- the bypass --------------------------------------------------------------------------------------------------------


class AwsWatch:
    """Implements neutral.stream.Pipe for a Bedrock client of a Bedrock upstream: whole messages go through as they are.

    Beside them a Watch of the dialect that is inside reads what they say. What it gives out is used for one thing only: where the
    stream goes bad, it tells how many frames, and so how many messages, were good.
    """

    def __init__(self, dialect: WatchedDialect, max_frame: int) -> None:
        from anyllm_fast import wire  # that package imports this file, and picks the twins

        inner = dialect != "bedrock"
        self._watch = wire.open_watch(dialect, 2 * max_frame)
        self._before = wire.AwsToSse(max_frame, inner)
        self._behind = wire.SseToAws(inner)
        self._held: list[bytes] = []  # the beginning of a message
        self.committed = False
        self.ended = False
        self.failure: Failure | None = None
        self.stop_reason: StopReason | None = None
        self.usage = Usage()
        self.losses: list[str] = []
        self.remembered: list[Remembered] = []

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        watch, before = self._watch, self._before
        sse = before.feed(chunk)
        seen = watch.feed(sse) if sse else b""
        if watch.ended:
            return self._taken(self._last(chunk, sse, seen))
        out = self._released(chunk, before.boundary)
        if before.failure is not None:
            out += self._behind.feed(watch.fail(before.failure))
        elif before.boundary < len(chunk):
            self._held.append(chunk[before.boundary :])
        return self._taken(out)

    def finish(self) -> bytes:
        if self.ended:
            return b""
        self._before.finish()
        if self._before.failure is not None:
            return self.fail(self._before.failure)
        return self._taken(self._behind.feed(self._watch.finish()))

    def fail(self, failure: Failure) -> bytes:
        if self.ended:
            return b""
        return self._taken(self._behind.feed(self._watch.fail(failure)))

    def _last(self, chunk: bytes, sse: bytes, seen: bytes) -> bytes:
        """The messages that were good, and the error in place of the one that was not. An exception is good: it is the end."""
        data = b"".join((*self._held, chunk))
        if sse.startswith(seen):
            return data[: _end_of(data, seen.count(b"\n\n"))]
        failed = seen[seen.rfind(b"\n\n", 0, -2) + 2 :] if seen.count(b"\n\n") > 1 else seen
        return data[: _end_of(data, seen.count(b"\n\n") - 1)] + self._behind.feed(failed)

    def _released(self, chunk: bytes, end: int) -> bytes:
        if not end:
            return b""
        if not self._held:
            return chunk if end == len(chunk) else chunk[:end]
        out = b"".join((*self._held, chunk[:end]))
        self._held.clear()
        return out

    def _taken(self, out: bytes) -> bytes:
        watch = self._watch
        self.committed = watch.committed
        self.ended = watch.ended
        self.failure = watch.failure
        self.stop_reason = watch.stop_reason
        self.usage = watch.usage
        return out


def _end_of(data: bytes, count: int) -> int:
    """Where the first `count` messages end, which are known to be sound."""
    place = 0
    for _ in range(count):
        place += _ONE(data, place)[0]
    return place
