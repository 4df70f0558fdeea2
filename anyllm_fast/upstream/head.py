"""The head of a request as it goes on the wire, and the check that nothing of ours can break out of it. No sockets.

Nearly every header of a call was in an earlier one too: the checked line of a (name, value) pair is kept and found again, which
costs a third of building and checking it. The store is bounded and forgets all at once.
"""

from __future__ import annotations

import re

from anyllm_fast.errors import InvalidRequest

from . import HeaderList, Origin, UpstreamRequest

OWN_HEADERS = frozenset(
    (
        b"host",
        b"content-length",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"te",
        b"trailer",
        b"upgrade",
        b"expect",
        b"accept-encoding",
    )
)
"""What the seam writes itself or what belongs to one connection only (RFC 9110 section 7.6.1). A caller's is dropped: two
lengths or a second host would let one request read as two."""

BODILESS = frozenset((b"GET", b"HEAD", b"DELETE", b"OPTIONS"))
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_TARGET = re.compile(rb"/[\x21-\xff]*")
_UNSAFE = re.compile(rb"[\r\n\0]")
MAX_KEPT = 1024
MAX_KEPT_LINE = 512


class HeadWriter:
    """Writes heads for one upstream client."""

    __slots__ = ("_lines", "_starts")

    def __init__(self) -> None:
        self._lines: dict[tuple[bytes, bytes], bytes] = {}
        self._starts: dict[tuple[Origin, bytes, bytes], bytes] = {}

    def write(self, request: UpstreamRequest) -> bytes:
        """Request line and headers up to the empty line.

        Raises InvalidRequest when a name, a value, the method or the target carries CR, LF, NUL or a space where none may be.
        """
        start = self._starts.get((request.origin, request.method, request.target)) or self._start(request)
        kept = self._lines.get
        lines = [kept(header) or self._line(header) for header in request.headers]
        body = request.body
        if body or request.method not in BODILESS:
            return b"%s%scontent-length: %d\r\n\r\n" % (start, b"".join(lines), len(body))
        return b"%s%s\r\n" % (start, b"".join(lines))

    def _start(self, request: UpstreamRequest) -> bytes:
        check_start(request)
        host = request.origin.host_header
        start = b"%s %s HTTP/1.1\r\nhost: %s\r\naccept-encoding: identity\r\n" % (request.method, request.target, host)
        if len(self._starts) >= MAX_KEPT:
            self._starts.clear()
        if len(start) <= MAX_KEPT_LINE:
            self._starts[request.origin, request.method, request.target] = start
        return start

    def _line(self, header: tuple[bytes, bytes]) -> bytes:
        name, value = header
        if name.lower() in OWN_HEADERS:
            return b""
        check_header(name, value)
        line = name + b": " + value + b"\r\n"
        if len(self._lines) >= MAX_KEPT:
            self._lines.clear()
        if len(line) <= MAX_KEPT_LINE:
            self._lines[header] = line
        return line


def foreign_headers(headers: HeaderList) -> HeaderList:
    """The headers without those that the seam owns."""
    return [header for header in headers if header[0].lower() not in OWN_HEADERS]


def check_request(request: UpstreamRequest) -> None:
    """Raises InvalidRequest that names the part of the request that must not go on the wire, never its value."""
    check_start(request)
    for name, value in request.headers:
        check_header(name, value)


def check_start(request: UpstreamRequest) -> None:
    if not _TOKEN.fullmatch(request.method):
        raise InvalidRequest("the request method is no method")
    if not _TARGET.fullmatch(request.target):
        raise InvalidRequest("the request path contains a character that is not allowed")


def check_header(name: bytes, value: bytes) -> None:
    if not _TOKEN.fullmatch(name) or _UNSAFE.search(value):
        shown = name[:60].decode("ascii", "backslashreplace").encode("unicode_escape").decode("ascii")
        raise InvalidRequest(f"header '{shown}' contains a line break or another character that is not allowed")
