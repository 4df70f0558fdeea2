"""How a call meets a target: verbatim, renamed or translated. The one place that asks whether both dialects are the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from anyllm_fast import headers, ids, wire
from anyllm_fast.call import Call, Surface
from anyllm_fast.carriers import CARRIERS, Carrier, Unpacking
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.dialects.order import call_id
from anyllm_fast.dialects.recorded import is_stream
from anyllm_fast.dialects.upstream_error import retry_after
from anyllm_fast.errors import InvalidRequest, UpstreamBroken, UpstreamRefused
from anyllm_fast.neutral.dialect import Dialect
from anyllm_fast.neutral.reply import CallPart, RedactedPart, Reply, ThinkingPart, replay
from anyllm_fast.neutral.request import Request
from anyllm_fast.neutral.signatures import PREFIX
from anyllm_fast.neutral.stream import Failure, Pipe, Remembered, StreamOptions
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.responses.replay import Replay
from anyllm_fast.upstream import UpstreamReply
from anyllm_fast.wire.carried import Framing


class _Anything(msgspec.Struct):
    """No member is looked at: decoding it only proves that a body is one JSON object, and whole (0.2 us for a short one)."""


_prove = msgspec.json.Decoder(_Anything).decode


class Bridge:
    """One call to one target. `body` is what goes upstream; the rest says how the reply comes back."""

    __slots__ = ("_call", "_there", "body", "client", "here", "max_frame", "replay", "request", "same", "tail", "upstream")

    def __init__(self, call: Call, surface: Surface, body: bytes, max_frame: int, request: Request | None) -> None:
        self._call = call
        self.client = call.dialect
        self.upstream = DIALECTS[surface.dialect]
        self.same = call.dialect is self.upstream
        self.here: Carrier = CARRIERS[call.route.carrier]
        self._there: Carrier = CARRIERS[surface.carrier]
        self.body = body
        self.max_frame = max_frame
        self.request = request  # None on the diagonal
        self.replay: Replay | None = None  # keeps what this client will not give back
        self.tail: Framing | None = None  # stands behind a stream: keeps what later calls may name

    @property
    def options(self) -> StreamOptions:
        """Asked for once, where something is written: the diagonal writes nothing."""
        call = self._call
        request = self.request
        return StreamOptions(
            model=_escaped(call.model),
            ident=(ids.new_secret() if call.route.stateful else ids.new_hex()).encode(),
            created=int(call.started_wall),
            include_usage=call.include_usage,
            names=_NONE if request is None else request.renamed,
            forms=_NONE if request is None else request.forms,
            origin=self.upstream.name,
            announce=call.announce,
            remember=self.replay is not None,
        )

    @property
    def content_type(self) -> bytes:
        """Of the client's stream."""
        return self.here.content_type or self.client.content_type_stream

    @property
    def keepalive(self) -> bytes:
        return b"" if self.here.frame is not None else self.client.keepalive

    @property
    def accept(self) -> bytes:
        """The media type that the host is asked for."""
        if not self._call.stream:
            return b"application/json"
        return self._there.accept or b"text/event-stream"

    def open_pipe(self) -> Pipe:
        here, there = self.here, self._there
        if self.same and here is there and here.watch is not None:
            return here.watch(self.max_frame)
        pipe = self.upstream.open_pipe(self.client, self.options, self.max_frame)
        frame = self.tail if here.frame is None else here.frame()
        if frame is None and there.unframe is None:
            return pipe
        return wire.open_carried(pipe, None if there.unframe is None else there.unframe(self.max_frame), frame)

    def whole(self, body: bytes, call: Call) -> tuple[bytes, Usage, str]:
        """The upstream's whole reply as the client reads it, its token counts, and why it stopped."""
        payload, usage, reason = self._whole(body, call)
        return (payload if self.here.repack is None else self.here.repack(payload)), usage, reason

    def _whole(self, body: bytes, call: Call) -> tuple[bytes, Usage, str]:
        if is_stream(body):
            reply = self._read_stream(body)
        elif self.same:
            self._check(body)
            _check_sound(body)
            return body, self.upstream.read_usage(body), ""
        else:
            self._check(body)
            reply = self._read(body, call)
        return self.client.write_reply(reply, self.options, call.losses), reply.usage, reply.stop_reason or ""

    def streamed(self, body: bytes, call: Call) -> tuple[bytes, Usage, str]:
        """The same, where the client asked for a stream and the upstream sent one JSON document."""
        self._check(body)
        reply = self._read(body, call)
        encoder = self.client.encoder(self.options)
        replay(reply, encoder)
        for name in encoder.losses:
            call.losses.add(((), name), "the client's dialect has no words for this part of the reply")
        out = encoder.take()
        frame = self.tail if self.here.frame is None else self.here.frame()
        if frame is not None:
            out = frame.feed(out) + frame.finish()
        return out, reply.usage, reply.stop_reason or ""

    def refusal(self, reply: UpstreamReply, body: bytes) -> UpstreamRefused:
        """An error answer of the upstream as ours; untouched only where client and host write errors alike."""
        error = refusal(reply, body, self.upstream, self.client)
        if (self._there.errors or self.upstream.name) != self._call.errors.name:
            error.verbatim = None
        return error

    def remember(self, signed: list[Remembered]) -> None:
        """What was signed before calls, where the client will not give it back."""
        if self.replay is not None and signed:
            self.replay.keep(self._call.owner, self.upstream.name, signed)

    def _check(self, body: bytes) -> None:
        """A success that is no reply is the upstream's failure: empty, HTML, half a document, an error. Raises UpstreamError."""
        start = body.lstrip()[:1]
        if start != b"{":
            what = "an empty body" if not start else "an HTML page" if start == b"<" else "something that is not a JSON object"
            raise UpstreamBroken(f"the upstream answered with {what}")
        failure = self.upstream.read_failure(body)
        if failure is not None:
            raise refused(failure, 502)

    def _read_stream(self, body: bytes) -> Reply:
        reply = self.upstream.read_stream(body, self.max_frame)
        if reply.failure is not None:
            raise refused(reply.failure, 502)
        return self._called(reply)

    def _read(self, body: bytes, call: Call) -> Reply:
        try:
            reply = self.upstream.read_reply(body, call.losses)
        except ValueError as error:  # msgspec's errors are ValueErrors
            raise UpstreamBroken(f"the upstream's reply is not a {self.upstream.name} reply: {error}") from error
        return self._called(reply)

    def _called(self, reply: Reply) -> Reply:
        """Calls under the client's own names, each with an id."""
        options = self.options
        if self.replay is not None:
            self.remember(reply_signed(reply, options.ident))
        count = 0
        for part in reply.parts:
            if isinstance(part, CallPart):
                part.name = options.names.get(part.name, part.name)
                part.ident = part.ident or call_id(options.ident, count)
                count += 1
        return reply


def unpack(call: Call) -> None:
    """Makes of a body in a carrier's form the dialect's own, before anything else is asked of it. Raises InvalidRequest."""
    carrier = CARRIERS[call.route.carrier]
    if carrier.unpack is not None:
        sent = Unpacking(call.body, call.route.model, call.route.stream is True, call.headers, call.losses)
        call.body = carrier.unpack(sent)


async def open_bridge(call: Call, surface: Surface, max_frame: int, replay: Replay) -> Bridge:
    """Raises InvalidRequest for a body that cannot be read, or that says something the target's dialect has no words for."""
    model = call.target_model
    body = call.body
    request: Request | None = None
    forgets = False
    if call.dialect.name != surface.dialect:
        request = read(call)
        forgets = DIALECTS[surface.dialect].signs and not call.dialect.gives_back
        if forgets:
            await replay.restore(call.owner, surface.dialect, request)
        body = write(call, surface, request)
    elif PREFIX in body:  # marks of ours, made by a backend of another dialect: the vendor must not see them
        body = write(call, surface, read(call))
    elif model != call.model:
        body = wire.splice_model(body, _escaped(model))
    there = CARRIERS[surface.carrier]
    if there.pack is not None:
        body = there.pack(body, call.headers if request is None else _NONE)
    bridge = Bridge(call, surface, body, max_frame, request)
    bridge.replay = replay if forgets else None
    return bridge


def read(call: Call) -> Request:
    """The call's body in the middle. Raises InvalidRequest."""
    try:
        request = call.dialect.read_request(call.body, call.losses)
    except (msgspec.MsgspecError, RecursionError) as error:  # a reader says where; this is for what it did not think of
        raise InvalidRequest(f"the body holds a value that cannot be read: {error}") from None
    request.stream = call.stream
    return request


def write(call: Call, surface: Surface, request: Request) -> bytes:
    """The request as the surface's dialect has it. Raises InvalidRequest."""
    model = call.target_model
    try:
        return DIALECTS[surface.dialect].write_request(request, model, surface.profile(model), call.losses)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(f"the body holds a value that cannot be read: {error}") from None


def reply_signed(reply: Reply, ident: bytes) -> list[Remembered]:
    """What was signed before each call of a whole reply. `ident`: StreamOptions.ident, for calls that have no id yet."""
    out: list[Remembered] = []
    signed: list[tuple[bytes, bytes, bool]] = []
    count = 0
    for part in reply.parts:
        match part:
            case ThinkingPart() if part.signature:
                signed.append((part.text, part.signature, False))
            case RedactedPart():
                signed.append((b"", part.data, True))
            case CallPart():
                out += [Remembered(part.ident or call_id(ident, count), *one) for one in signed]
                signed.clear()
                count += 1
    return out


_NONE: Final[dict[bytes, Any]] = {}


def _check_sound(body: bytes) -> None:
    """Raises UpstreamBroken for half a document. What only msgspec minds (half a surrogate pair, NaN) passes as it is."""
    try:
        _prove(body)
    except (ValueError, RecursionError):
        try:
            json.loads(body)
        except (ValueError, RecursionError) as error:
            raise UpstreamBroken(f"the upstream's reply is not sound JSON: {error}") from None


def refused(failure: Failure, status: int, passed: Iterable[tuple[bytes, bytes]] = ()) -> UpstreamRefused:
    """The upstream's own failure as an answer; `status` where it named none."""
    return UpstreamRefused(failure.message, status=failure.status or status, kind=failure.kind, code=failure.code, headers=passed)


def refusal(reply: UpstreamReply, body: bytes, upstream: Dialect, client: Dialect) -> UpstreamRefused:
    """An error answer of the upstream as ours. On the diagonal its own body goes out untouched if it is JSON."""
    passed = headers.to_client(reply.headers, upstream.name, client.name)
    if (seconds := retry_after(body)) is not None and all(name != b"retry-after" for name, _ in passed):
        passed.append((b"retry-after", b"%d" % seconds))
    error = refused(upstream.read_error(reply.status, _typed(reply, body)), reply.status, passed)
    if upstream is client and body[:1] == b"{":
        error.verbatim = body
    return error


def _typed(reply: UpstreamReply, body: bytes) -> bytes:
    """AWS says the type of an error in a header, and may say it nowhere else."""
    said = next((value for name, value in reply.headers if name == b"x-amzn-errortype"), b"")
    word = said.partition(b":")[0].strip()
    if not word.isalnum() or body[:1] != b"{" or b'"__type"' in body:
        return body
    return b'{"__type":"%b"%b%b' % (word, b"" if body[1:].lstrip()[:1] == b"}" else b",", body[1:])


def refuse_losses(call: Call) -> None:
    """on_loss=refuse: a request that would lose something is not sent."""
    if not call.losses:
        return
    path, reason = next(iter(call.losses))
    others = len(list(call.losses)) - 1
    more = f" (and {others} more: {call.losses.header().decode()})" if others else ""
    raise InvalidRequest(f"cannot be carried to this backend: {reason}{more}; refused because on_loss is `refuse`", where=path)


def _escaped(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]
