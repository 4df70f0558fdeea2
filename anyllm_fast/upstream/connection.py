"""One HTTP/1.1 connection: a request out, the events of its reply in. Knows the bytes of a socket, not which one to use.

The way of a read: socket -> `data_received` -> llhttp -> the parts of the body that this read held -> one `deliver`. No task, no
queue, no timer is made on that way.

A request is written in one call, however large it is. In slices it would be gentler, but an upstream that refuses it early (413,
and closed) would make the next slice fail, and a transport whose write fails drops the answer that waits to be read. In one call
the loop does the rest, which reads before it writes: test_an_answer_before_the_end_of_the_request_is_given.

Deadlines: a request moves `_due` forward by plain assignment. The one timer of a connection is armed when none stands early
enough, and when it rings too early it arms itself again; with unchanged timeouts a busy connection makes no timer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from math import inf

import httptools

from anyllm_fast.errors import UpstreamBroken, UpstreamError, UpstreamTimeout

from . import HeaderList, UpstreamRequest
from .bounds import MAX_HEADER_BYTES, MAX_HEADERS, STALE_SECONDS
from .reply import Http1Reply

UNSENT = 65536  # bytes of a request that a transport may hold back and still count as sent
JOINED_BODY = 16384  # up to here copying the body behind the head is cheaper than a second buffer


class Phase(IntEnum):
    SENDING = 0
    FIRST_BYTE = 1
    READING = 2


class Http1Connection(asyncio.Protocol):
    """The protocol object of one socket. `begin` starts an exchange; `on_idle` is called when it is over and the connection can
    carry another, `on_lost` when the socket is gone."""

    __slots__ = (
        "_barren",
        "_complete",
        "_due",
        "_extra",
        "_feed",
        "_head_only",
        "_headers",
        "_idle_limit",
        "_interim",
        "_keep",
        "_parser",
        "_parts",
        "_paused",
        "_phase",
        "_reply",
        "_started",
        "_timeouts",
        "_timer",
        "_timer_at",
        "_total_due",
        "_unsent",
        "_until_close",
        "_version",
        "idle_until",
        "keep_alive",
        "loop",
        "name",
        "on_body",
        "on_idle",
        "on_lost",
        "stale",
        "transport",
        "used",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        on_idle: Callable[[Http1Connection], None],
        on_lost: Callable[[Http1Connection], None],
    ) -> None:
        self.loop = loop
        self.name = name
        self.on_idle = on_idle
        self.on_lost = on_lost
        self.transport: asyncio.Transport  # from connection_made on
        self.used = False  # an exchange was completed on it
        self.stale = False  # it died like one that the upstream had closed while it was idle
        self.idle_until = 0.0
        self.keep_alive = inf  # seconds for which the upstream says it keeps an idle connection
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # the parser calls the list itself: no Python frame per part
        self._headers: HeaderList = []
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data
        self._reply: Http1Reply | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._unsent = 0  # bytes, while the socket does not take the request as fast as it is
        self._version = ""  # of the first answer; a server does not change it on the way

    # One exchange

    def begin(self, request: UpstreamRequest, head: bytes, total_due: float) -> Http1Reply:
        """Writes the request. The reply's `arrival` is done when its headers are there or it has an `error`."""
        transport = self.transport
        reply = self._reply = Http1Reply(self)
        timeouts = self._timeouts = request.timeouts
        self._started = self.loop.time()
        self._total_due = total_due
        self._idle_limit = timeouts.idle or inf
        self._barren = 0
        self._complete = self._extra = self._interim = self._until_close = self._paused = False
        self._head_only = request.method == b"HEAD"
        body = request.body
        if len(body) <= JOINED_BODY:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
            self._unsent = transport.get_write_buffer_size()
            if self._unsent > UNSENT:
                self._expect(Phase.SENDING, timeouts.idle)
                return reply
        self._expect(Phase.FIRST_BYTE, timeouts.first_byte)
        return reply

    def abort(self) -> None:
        """Closes the socket now and forgets the exchange. Whoever calls it tells the reply."""
        self._reply = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = inf
        self.transport.abort()

    def pause(self) -> None:
        self._paused = True
        self._due = self._total_due  # a slow reader is not the upstream's silence
        self.transport.pause_reading()

    def resume(self) -> None:
        self._paused = False
        self._expect(Phase.READING, self._idle_limit)
        self.transport.resume_reading()

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # create_connection gives a Transport

    def resume_writing(self) -> None:
        """The end of the request is with the kernel. After `writelines` asyncio of 3.12 does not say so; `_ring` sees it then."""
        if self._reply is not None and self._phase is Phase.SENDING:
            self._expect(Phase.FIRST_BYTE, self._timeouts.first_byte)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:  # nothing was asked
            self.abort()
            return
        headless = not reply.status
        if headless:
            self._barren += len(data)
            self._phase = Phase.READING
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                self._give_rest(reply)
                self.fail(UpstreamBroken(self._explain(error)))
                return
            self._extra = True
        parts = self._parts
        if parts:
            self._barren = 0
            piece = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            reply.deliver(piece)
            if self._reply is not reply:
                return
        elif not self._complete and not self._bounded(reply, headless, len(data)):
            return
        if self._complete:
            self._finish(reply)
        elif not self._paused:
            due = self.loop.time() + self._idle_limit
            self._due = due if due < self._total_due else self._total_due
            if due < self._timer_at:
                self._arm()

    def eof_received(self) -> None:
        reply = self._reply
        if reply is not None and self._until_close and reply.status:
            self._extra = True
            self._finish(reply)
        else:
            self._lose("closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose("reset the connection" if exc else "closed the connection")
        self._parser = None
        self._feed = _feed_nothing  # the parser holds this object's methods: without this only the collector frees the two
        self.on_lost(self)

    # What the parser says

    def on_message_begin(self) -> None:
        if self._complete:
            raise _Refused("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        reply = self._reply
        parser = self._parser
        headers, self._headers = self._headers, []
        if reply is None or parser is None:
            return
        status = parser.get_status_code()
        if status < 200:
            self._interim = True
            return
        if len(headers) > MAX_HEADERS:
            raise _Refused(f"more than {MAX_HEADERS} headers")
        if self._barren > MAX_HEADER_BYTES and sum(len(n) + len(v) for n, v in headers) > MAX_HEADER_BYTES:
            raise _Refused(f"more than {MAX_HEADER_BYTES} bytes of headers")
        self._keep = parser.should_keep_alive()
        reply.headers = headers
        reply.http_version = self._version = self._version or parser.get_http_version()
        self._read_framing(reply, dict(headers))
        reply.status = status
        if self._head_only:
            self._complete = True
            raise _HeadOnly

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._complete = True

    def _read_framing(self, reply: Http1Reply, known: dict[bytes, bytes]) -> None:
        """Takes note of what the headers say about the body and drops what the parser has undone."""
        reply.encoded = b"content-encoding" in known
        length = known.get(b"content-length")
        coding = known.get(b"transfer-encoding")
        if coding is None:
            reply.length = int(length) if length is not None else -1
            self._until_close = length is None and not self._keep
        elif coding.lower() == b"chunked":
            reply.length = -1
            kept = [header for header in reply.headers if header[0] != b"transfer-encoding"]
            if len(kept) != len(reply.headers) - 1:
                raise _Refused("several transfer-encodings")
            reply.headers = kept
        else:
            raise _Refused("a transfer-encoding other than chunked")
        if b"keep-alive" in known:
            self.keep_alive = _keep_alive_seconds(known[b"keep-alive"])

    # The ends of an exchange

    def _give_rest(self, reply: Http1Reply) -> None:
        """What the read held before the parser stumbled is as good as what came in the reads before."""
        if self._parts:
            rest = b"".join(self._parts)
            self._parts.clear()
            reply.deliver(rest)

    def _bounded(self, reply: Http1Reply, headless: bool, size: int) -> bool:
        """A read without body bytes: part of the head, a trailer, a chunk's extension. Endless ones are refused."""
        if not headless:
            self._barren += size
        elif reply.status:
            self._barren = 0
            reply.wake()
        if self._barren > MAX_HEADER_BYTES:
            self.fail(UpstreamBroken(f"{self.name} sent more than {MAX_HEADER_BYTES} bytes of headers or trailers"))
            return False
        return True

    def _finish(self, reply: Http1Reply) -> None:
        transport = self.transport
        self._reply = None
        self._headers = []
        if self._paused:
            transport.resume_reading()
        if self._keep and not self._extra and not transport.is_closing() and not transport.get_write_buffer_size():
            self.used = True
            self.on_idle(self)
        else:
            self.abort()
        reply.end(None)

    def fail(self, error: UpstreamError) -> None:
        """Closes the socket now; the reply, if there is one, ends with `error`."""
        reply = self._reply
        self.abort()
        if reply is not None:
            reply.end(error)

    def _lose(self, how: str) -> None:
        reply = self._reply
        if reply is None:
            self.abort()
            return
        if reply.status:
            when = "in the middle of its answer"
        elif self._barren:
            when = "in the middle of its headers"
        else:
            when = "before it answered"
            self.stale = self.used and self.loop.time() < self._started + STALE_SECONDS
        self.fail(UpstreamBroken(f"{self.name} {how} {when}"))

    def _explain(self, error: Exception) -> str:
        if isinstance(error, httptools.HttpParserUpgrade):
            return f"{self.name} switched protocols, which nobody asked for"
        if isinstance(error.__context__, _Refused):
            return f"{self.name} sent {error.__context__}"
        return f"{self.name} did not answer in valid HTTP/1.1: {error}"

    # Deadlines

    def _expect(self, phase: Phase, seconds: float) -> None:
        self._phase = phase
        due = self.loop.time() + seconds if seconds else inf
        self._due = due if due < self._total_due else self._total_due
        if self._due < self._timer_at:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._due
        self._timer = self.loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._timer_at = inf
        if self._reply is None or self._due == inf:
            return
        now = self.loop.time()
        if now < self._due:
            self._arm()
        elif now >= self._total_due or self._phase is not Phase.SENDING or not self._sent_more():
            self.fail(UpstreamTimeout(self._late(now)))

    def _sent_more(self) -> bool:
        """Whether the socket took some of the request since it was last asked. Sets the next deadline if so."""
        unsent = self.transport.get_write_buffer_size()
        if unsent >= self._unsent:
            return False
        self._unsent = unsent
        if unsent:
            self._expect(Phase.SENDING, self._timeouts.idle)
        else:
            self._expect(Phase.FIRST_BYTE, self._timeouts.first_byte)
        return True

    def _late(self, now: float) -> str:
        if now >= self._total_due:
            return f"{self.name} took longer than the total limit of {self._timeouts.total:g} s"
        if self._phase is Phase.FIRST_BYTE:
            return f"{self.name} sent no answer within {self._timeouts.first_byte:g} s"
        what = "took nothing of the request" if self._phase is Phase.SENDING else "sent nothing more"
        return f"{self.name} {what} for {self._timeouts.idle:g} s"


class _Refused(Exception):
    """Raised through the parser to stop it: the answer breaks a bound or a rule of ours."""


class _HeadOnly(Exception):
    """Raised through the parser to stop it: an answer to HEAD ends with its headers, whatever they say."""


def _feed_nothing(data: object) -> None:
    return None


def _keep_alive_seconds(value: bytes) -> float:
    for part in value.split(b","):
        name, _, number = part.strip().lower().partition(b"=")
        if name == b"timeout" and number.isdigit() and len(number) < 10:
            return float(number)
    return inf
