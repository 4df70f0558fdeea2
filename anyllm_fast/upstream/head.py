"""The head of a request as it goes on the wire, and the check that nothing of ours can break out of it. No sockets."""

from __future__ import annotations

from anyllm_fast.errors import InvalidRequest

from . import HeaderList, UpstreamRequest

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

_BODILESS = frozenset((b"GET", b"HEAD", b"DELETE", b"OPTIONS"))


def write_head(request: UpstreamRequest, host_line: bytes) -> bytes:
    """Request line and headers up to the empty line. `host_line` is `host: name\\r\\n`.

    Raises InvalidRequest when a name, a value, the method or the target carries CR, LF, NUL or a space where none may be.
    """
    headers = request.headers
    if not OWN_HEADERS.isdisjoint([name for name, _ in headers]):
        headers = foreign_headers(headers)
    lines = [name + b": " + value for name, value in headers]
    lines.append(b"accept-encoding: identity")
    if request.body or request.method not in _BODILESS:
        lines.append(b"content-length: %d" % len(request.body))
    block = b"\r\n".join(lines)
    # Counting is much cheaper than looking at each value: the joints are the only line breaks that may be there.
    joints = len(lines) - 1
    start = request.method + b" " + request.target
    if (
        block.count(b"\n") != joints
        or block.count(b"\r") != joints
        or b"\0" in block
        or start.count(b" /") != 1
        or start.count(b" ") != 1
        or b"\n" in start
        or b"\r" in start
        or b"\0" in start
    ):
        check_request(request)
    return start + b" HTTP/1.1\r\n" + host_line + block + b"\r\n\r\n"


def foreign_headers(headers: HeaderList) -> HeaderList:
    """The headers without those that the seam owns."""
    return [header for header in headers if header[0] not in OWN_HEADERS]


def check_request(request: UpstreamRequest) -> None:
    """Raises InvalidRequest that names the part of the request that must not go on the wire, never its value."""
    if _unsafe(request.method) or b" " in request.method or not request.method:
        raise InvalidRequest("the request method contains a character that is not allowed")
    if _unsafe(request.target) or b" " in request.target or not request.target.startswith((b"/", b"*")):
        raise InvalidRequest("the request path contains a character that is not allowed")
    for name, value in request.headers:
        if _unsafe(name) or _unsafe(value):
            shown = name[:60].decode("ascii", "backslashreplace").encode("unicode_escape").decode("ascii")
            raise InvalidRequest(f"header '{shown}' contains a line break or NUL")


def _unsafe(text: bytes) -> bool:
    return b"\r" in text or b"\n" in text or b"\0" in text
