"""What happens rarely in a Converse stream: blocks that are put together, its end, errors. One source, called by both twins."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.bedrock_citations import citation_of, converse_citation
from anyllm_fast.dialects.bedrock_media import FORMATS
from anyllm_fast.dialects.bedrock_reply import CONTENT, MALFORMED, STOP_WRITTEN, with_sequence, write_media, write_usage
from anyllm_fast.dialects.citations import citation_of as citation_of_annotation
from anyllm_fast.dialects.repair import ABSENT, is_object, objects, string
from anyllm_fast.dialects.upstream_error import KINDS, read_error
from anyllm_fast.errors import STATUS_OF, Kind, kind_of_status
from anyllm_fast.neutral.spans import escaped, text_of
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

ENDED_EARLY: Final = Failure("api", "the upstream's stream ended before messageStop", 502)
NO_BLOCK: Final = Failure("api", "the upstream sent input for a content block that it had not started", 502)
NO_NAME: Final = "it has no event name"

Members = dict[str, Raw]
_decode: Final = msgspec.json.Decoder(Members).decode
_encode: Final = msgspec.json.Encoder().encode


# -- errors ------------------------------------------------------------------------------------------------------------

EXCEPTIONS: Final[dict[Kind, bytes]] = {
    "invalid_request": b"validationException",
    "too_large": b"validationException",
    "unprocessable": b"validationException",
    "not_found": b"validationException",
    "method_not_allowed": b"validationException",
    "conflict": b"validationException",
    "rate_limit": b"throttlingException",
    "billing": b"throttlingException",
    "overloaded": b"serviceUnavailableException",
    "api": b"modelStreamErrorException",
    "timeout": b"modelStreamErrorException",
    "authentication": b"modelStreamErrorException",
    "permission": b"modelStreamErrorException",
}
"""The exception of ConverseStreamOutput that each kind of failure leaves as: SDKs know five."""
STATUSES: Final = {
    "ValidationException": 400,
    "ThrottlingException": 429,
    "ModelStreamErrorException": 424,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
    "ModelTimeoutException": 408,
}


def is_exception(event: bytes) -> bool:
    """Whether an event says that the stream failed."""
    return event.endswith(b"Exception") or event == b"error"


def read_exception(event: bytes, data: bytes) -> Failure:
    """The failure that an event is. What the model's host said first is in `original...`, and tells more."""
    members: dict[str, Any] = {}
    try:
        members = msgspec.json.decode(data.decode("utf-8", "replace"), type=dict[str, Any])
    except (ValueError, RecursionError):
        if data:
            members = {"message": data.decode("utf-8", "replace")}
    name = event.decode("utf-8", "replace")
    word = str(members.get("__type") or "") if name == "error" else name
    word = word[:1].upper() + word[1:]
    original = members.get("originalStatusCode")
    kind = KINDS.get(word, "api")
    status = STATUSES.get(word) or STATUS_OF[kind]
    if isinstance(original, int) and 400 <= original < 600 and kind == "api":
        kind, status = kind_of_status(original), original
    said = members.get("message") or members.get("Message")
    message = said if isinstance(said, str) else ""
    first = members.get("originalMessage")
    if isinstance(first, str) and first not in message:
        message = f"{message} ({first})" if message else first
    found = read_error(status, _encode({"message": message or word or "an error that says nothing", "__type": word}))
    return Failure(kind, found.message, status, found.code)


def write_failure(failure: Failure) -> bytes:
    """The failure as the exception of the stream that fits it. Nothing follows."""
    return b"event: %b\ndata: %b\n\n" % (EXCEPTIONS[failure.kind], _encode({"message": failure.message}))


# -- the end -----------------------------------------------------------------------------------------------------------


def read_extra(raw: bytes) -> tuple[bytes | None, bytes | None]:
    """Of additionalModelResponseFields: the stop sequence that was met, and what else was asked for (None if nothing)."""
    members = _decode(raw)
    sequence = string(members.pop("stop_sequence", ABSENT)) or None
    rest = {name: value for name, value in members.items() if bytes(value) not in (b"null", b"{}", b"[]", b'""')}
    return sequence, _encode(rest) if rest else None


def is_malformed(reason: bytes) -> bool:
    """The model failed to write what it had begun: a reason that no other dialect has a word for."""
    return reason in MALFORMED


def write_end(options: StreamOptions, stop: tuple[StopReason, bytes | None], counts: Usage, losses: list[str]) -> bytes:
    """messageStop and metadata: held until the end, so that a stream that fails late is not taken for a whole one.

    What was lost is said in a member of its own: AWS's framing has no comments. How long the service took is not known: 0.
    """
    reason, sequence = stop
    extra = b"" if sequence is None else b',"additionalModelResponseFields":' + with_sequence(b"{}", sequence)
    lost = b',"x-anyllm-degradation":' + _encode(", ".join(losses)) if losses and options.announce else b""
    return (
        b'event: messageStop\ndata: {"stopReason":"%b"%b}\n\nevent: metadata\ndata: {"usage":%b,"metrics":{"latencyMs":0}%b}\n\n'
    ) % (STOP_WRITTEN[reason], extra, write_usage(counts), lost)


# -- blocks that are put together --------------------------------------------------------------------------------------


def assemble(kind: bytes, start: bytes, deltas: list[bytes]) -> tuple[bytes, bytes]:
    """(private name, raw) of a block that only this dialect knows, or of an image, from its `start` and its deltas.

    Names and forms are those of a whole reply: the block as Converse has it, under its kind; an image with its bytes is `media`.
    """
    try:
        opened = _decode(start)
        inside = _decode(opened[kind.decode()]) if kind.decode() in opened else {}
        pieces = [_decode(delta)[kind.decode()] for delta in deltas]
        match kind:
            case b"toolUse":
                return CONTENT + kind, _encode({"toolUse": {**inside, "input": _input(pieces)}})
            case b"toolResult":
                content = [item for piece in pieces for item in objects(piece)]
                return CONTENT + kind, _encode({"toolResult": {**inside, "content": content}})
            case b"image":
                return _image(inside, pieces)
    except (ValueError, KeyError):  # msgspec's errors and binascii's are ValueErrors
        pass
    return CONTENT + kind, b'{"start":%b,"deltas":[%b]}' % (start, b",".join(deltas))


def _input(pieces: list[Raw]) -> Raw:
    text = "".join(text_of(string(_decode(piece).get("input", ABSENT))) for piece in pieces)
    return msgspec.json.decode(text, type=Raw) if text.strip() else Raw(b"{}")


def _image(inside: Members, pieces: list[Raw]) -> tuple[bytes, bytes]:
    """An image in the middle's form; as it came, where it lies in S3 or was not made."""
    merged: Members = dict(inside)
    blob = b""
    for piece in pieces:
        said = _decode(piece)
        source = said.get("source", ABSENT)
        if is_object(source) and (data := string(_decode(source).get("bytes", ABSENT))):
            blob = data if not blob else b64encode(b64decode(blob, validate=True) + b64decode(data, validate=True))
            said.pop("source")
        merged |= said
    media_type = FORMATS["image"].get(text_of(string(inside.get("format", ABSENT))))
    if blob and media_type is not None and merged.keys() <= {"format"}:
        return b"media", b'{"media_type":"%b","data":"%b"}' % (media_type.encode(), blob)
    if blob:
        merged["source"] = Raw(b'{"bytes":"%b"}' % blob)
    return CONTENT + b"image", _encode({"image": merged})


def write_private(name: bytes, raw: bytes, index: int) -> bytes | None:
    """A whole block as events: a generated image, or what `assemble` gave. None for what has no form in a stream."""
    if name == b"media":
        written = write_media(raw)
        if written is None:
            return None
        name, raw = CONTENT + b"image", written
    name = name.removeprefix(CONTENT) if name.startswith(CONTENT) else b""
    if name not in (b"image", b"toolUse", b"toolResult"):
        return None
    try:
        inside = _decode(_decode(raw)[name.decode()])
    except (ValueError, KeyError):
        return None
    delta: Any
    if name == b"image":
        start, delta = {"format": inside.pop("format", Raw(b'"png"'))}, inside
    elif name == b"toolUse":
        delta = {"input": Raw(b'"%b"' % escaped(bytes(inside.pop("input", Raw(b"{}")))))}
        start = inside
    else:
        delta, start = inside.pop("content", Raw(b"[]")), inside
    return (
        b'event: contentBlockStart\ndata: {"contentBlockIndex":%d,"start":{"%b":%b}}\n\n'
        b'event: contentBlockDelta\ndata: {"contentBlockIndex":%d,"delta":{"%b":%b}}\n\n'
        b'event: contentBlockStop\ndata: {"contentBlockIndex":%d}\n\n'
    ) % (index, name, _encode(start), index, name, _encode(delta), index)


def read_citation(raw: bytes) -> list[tuple[bytes, bytes]]:
    """A citation as private events: Anthropic's form of it, and what that has no place for, under names with a dot."""
    read = citation_of(raw)
    if read is None:
        return [(b"citation.location", raw)]
    return [(b"citation", read[0]), *((b"citation." + name.encode(), b"null") for name in read[1])]


def write_citation(name: bytes, raw: bytes) -> tuple[bytes, list[bytes]] | None:
    """A citation or an annotation as a delta's `citation`, and the names of what of it was lost; None if it has no form here."""
    citation = raw if name == b"citation" else citation_of_annotation(raw)
    written = None if citation is None else converse_citation(citation)
    if written is None:
        return None
    return written[0], [b"%b.%b" % (name, member.encode()) for member in written[1]]
