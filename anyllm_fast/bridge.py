"""How a call meets a target: verbatim, renamed or translated. The one place that asks whether both dialects are the same."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from anyllm_fast import headers, ids, wire
from anyllm_fast.call import Call, Target
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.dialects.order import call_id
from anyllm_fast.dialects.recorded import is_stream
from anyllm_fast.errors import InvalidRequest, UpstreamBroken, UpstreamRefused
from anyllm_fast.neutral.dialect import Dialect
from anyllm_fast.neutral.reply import CallPart, Reply, replay
from anyllm_fast.neutral.stream import Failure, Pipe, StreamOptions
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.upstream import UpstreamReply


class _Anything(msgspec.Struct):
    """No member is looked at: decoding it only proves that a body is one JSON object, and whole (0.2 us for a short one)."""


_prove = msgspec.json.Decoder(_Anything).decode


class Bridge:
    """One call to one target. `body` is what goes upstream; the rest says how the reply comes back."""

    __slots__ = ("_call", "body", "client", "max_frame", "names", "same", "upstream")

    def __init__(self, call: Call, upstream: Dialect, body: bytes, max_frame: int, names: dict[bytes, bytes]) -> None:
        self._call = call
        self.client = call.dialect
        self.upstream = upstream
        self.same = call.dialect is upstream
        self.body = body
        self.max_frame = max_frame
        self.names = names

    @property
    def options(self) -> StreamOptions:
        """Asked for once, where something is written: the diagonal writes nothing."""
        call = self._call
        return StreamOptions(_escaped(call.model), ids.new_hex().encode(), int(call.started_wall), call.include_usage, self.names)

    def open_pipe(self) -> Pipe:
        return self.upstream.open_pipe(self.client, self.options, self.max_frame)

    def whole(self, body: bytes, call: Call) -> tuple[bytes, Usage, str]:
        """The upstream's whole reply as the client reads it, its token counts, and why it stopped."""
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
        return encoder.take(), reply.usage, reply.stop_reason or ""

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
        return reply

    def _read(self, body: bytes, call: Call) -> Reply:
        try:
            reply = self.upstream.read_reply(body, call.losses)
        except ValueError as error:  # msgspec's errors are ValueErrors
            raise UpstreamBroken(f"the upstream's reply is not a {self.upstream.name} reply: {error}") from error
        count = 0
        for part in reply.parts:
            if isinstance(part, CallPart):
                part.name = self.names.get(part.name, part.name)
                part.ident = part.ident or call_id(self.options.ident, count)
                count += 1
        return reply


def open_bridge(call: Call, target: Target, max_frame: int) -> Bridge:
    """Raises InvalidRequest for a body that cannot be read, or that says something the target's dialect has no words for."""
    upstream = DIALECTS[target.dialect]
    client = call.dialect
    model = call.target_model
    body = call.body
    names: dict[bytes, bytes] = {}
    if client is not upstream:
        try:
            request = client.read_request(body, call.losses)
            body = upstream.write_request(request, model, target.profile(model), call.losses)
            names = request.renamed
        except (msgspec.MsgspecError, RecursionError) as error:  # a reader says where; this is for what it did not think of
            raise InvalidRequest(f"the body holds a value that cannot be read: {error}") from None
    elif model != call.model:
        body = wire.splice_model(body, _escaped(model))
    return Bridge(call, upstream, body, max_frame, names)


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
    error = refused(upstream.read_error(reply.status, body), reply.status, passed)
    if upstream is client and body[:1] == b"{":
        error.verbatim = body
    return error


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
