"""What happens once in an OpenAI Responses stream, or once per item: ends, errors. One source, called by both twins."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects import openai_responses_reply as whole_reply
from anyllm_fast.dialects.openai_errors import ERRORS
from anyllm_fast.dialects.openai_responses_items_out import incomplete_reason, response_object, write_response, write_usage
from anyllm_fast.dialects.repair import ABSENT, in_stream_error, is_object, string
from anyllm_fast.dialects.upstream_error import read_failure
from anyllm_fast.dialects.whole import decode_members, says_something
from anyllm_fast.errors import Kind
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

ENDED_EARLY: Final = Failure("api", "the upstream's stream ended before response.completed", 502)
NO_TYPE: Final = "it has no type"
NO_ITEM: Final = Failure("api", "the upstream sent arguments for a tool call that it had not begun", 502)
KEPT_MAX: Final = 64 << 20
"""Bytes of text, reasoning and arguments in one reply: the last event says all of them again."""
KEPT_TOO_MUCH: Final = Failure("api", f"the reply has more than the {KEPT_MAX} bytes that its last event could say again", 502)
LAST_NUMBER: Final = (1 << 31) - 1
"""sequence_number of a failure that we put behind events of the upstream's own, which nobody counted: above all that came before,
and within 32 bits for clients with typed integers."""


# -- reading -----------------------------------------------------------------------------------------------------------


class End(msgspec.Struct):
    """What the last event says of the whole reply. Either `failure` or `reason` counts."""

    usage: Usage | None = None
    failure: Failure | None = None
    reason: StopReason = "end_turn"
    private: list[tuple[bytes, bytes]] = []


_KNOWN: Final = (b"completed", b"incomplete", b"failed", b"cancelled")
_EVENTS: Final = {b"response.completed": b"completed", b"response.incomplete": b"incomplete", b"response.failed": b"failed"}


def judge_end(kind: bytes, raw: bytes, calls: bool, refused: bool) -> End:
    """The end that an event of type `kind` with the Response `raw` is. The response's own status counts before the type."""
    response = decode_members(raw) if raw[:1] == b"{" else {}
    end = End()
    usage = response.get("usage", ABSENT)
    if is_object(usage):
        end.usage = whole_reply.count_all(usage, response.get("tool_usage", ABSENT))
    status = string(response.get("status", ABSENT))
    status = status if status in _KNOWN else _EVENTS.get(kind, b"failed")
    if status in (b"failed", b"cancelled"):
        end.failure = _failure(response.get("error", ABSENT), status)
        return end
    details = response.get("incomplete_details", ABSENT)
    reason = string(decode_members(details).get("reason", ABSENT)) if is_object(details) else b""
    end.reason = whole_reply.judge_stop(status, reason, calls, refused)
    end.private = [
        (b"response." + name.encode(), bytes(response[name]))
        for name in whole_reply.PRIVATE
        if name in response and says_something(response[name])
    ]
    return end


def _failure(error: Raw, status: bytes) -> Failure:
    if is_object(error) and (said := read_failure(b'{"error":%b}' % bytes(error))):
        return _placed(said)
    return Failure("api", f"the upstream broke the response off (status {status.decode()})", 502)


def error_event(data: bytes) -> Failure:
    """The failure that an `error` event says."""
    return _placed(in_stream_error(data))


_CODES: Final[dict[str, Kind]] = {"server_is_overloaded": "overloaded", "slow_down": "overloaded"}
_PROMPTS: Final = ("invalid_", "image_", "empty_image", "unsupported_image", "failed_to_download_image", "bio_policy")


def _placed(failure: Failure) -> Failure:
    """Kinds of the codes that only responses have: what is wrong with the prompt or its images is the caller's business."""
    code = failure.code or ""
    if code in _CODES:
        return Failure(_CODES[code], failure.message, 503, code)
    if failure.kind == "api" and code.startswith(_PROMPTS):
        return Failure("invalid_request", failure.message, 400, code)
    return failure


def annotation(raw: bytes) -> tuple[bytes, bytes]:
    """(name, value) of the private event for an annotation: Chat's form where it has one."""
    nested = whole_reply.nested_annotation(raw)
    if nested is not None:
        return b"annotation", nested
    kind = string(decode_members(raw).get("type", ABSENT))
    return b"annotation." + (kind or b"other"), raw


def image(raw: bytes) -> bytes:
    """A generated image as `media`."""
    return whole_reply.read_image(decode_members(raw))


def unsaid(kind: bytes, raw: bytes) -> list[tuple[bytes, bytes]]:
    """Members of a finished item that the middle has no word for, as (name, value): `message.phase`."""
    known = _MEMBERS.get(kind)
    if known is None:
        return []
    return [
        (b"%b.%b" % (kind, name.encode()), bytes(value))
        for name, value in decode_members(raw).items()
        if name not in known and says_something(value, _SAYS_NOTHING.get(name, ()))
    ]


_KEPT: Final = frozenset({"id", "type", "status", "created_by"})
_MEMBERS: Final = {
    b"message": _KEPT | {"role", "content"},
    b"reasoning": _KEPT | {"summary", "content", "encrypted_content"},
    b"function_call": _KEPT | {"call_id", "name", "namespace", "arguments"},
    b"custom_tool_call": _KEPT | {"call_id", "name", "namespace", "input"},
    b"local_shell_call": _KEPT | {"call_id", "action"},
    b"shell_call": _KEPT | {"call_id", "action", "environment"},
    b"apply_patch_call": _KEPT | {"call_id", "operation"},
    b"image_generation_call": _KEPT | {"result", "output_format", "size", "quality", "background", "action"},
}
"""By type of item: what is read of it, or says nothing of what is in it."""
_SAYS_NOTHING: Final[dict[str, tuple[object, ...]]] = {"caller": ({"type": "direct"},), "async": (False,)}


# -- writing -----------------------------------------------------------------------------------------------------------


def event(kind: bytes, number: int, members: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (kind, kind, number, members)


def write_start(options: StreamOptions) -> bytes:
    """The two events that every stream begins with."""
    response = response_object(options, b"in_progress", (b"null", b"null", b"null"), b"")
    return event(b"response.created", 0, b'"response":' + response) + event(b"response.in_progress", 1, b'"response":' + response)


def write_end(options: StreamOptions, number: int, output: bytes, end: tuple[StopReason, bool, Usage]) -> bytes:
    """`end`: why it stopped, whether a refusal was written, all counts."""
    reason, refused, counts = end
    kind = b"response.incomplete" if incomplete_reason(reason, refused) else b"response.completed"
    return event(kind, number, b'"response":' + write_response(options, output, counts, reason, refused))


def _error(failure: Failure) -> bytes:
    code = failure.code or ERRORS[failure.kind][1]
    if not code:
        code = "invalid_prompt" if failure.kind == "invalid_request" else "server_error"
    return msgspec.json.encode({"code": code, "message": failure.message})


def write_failed(options: StreamOptions, number: int, counts: Usage, failure: Failure) -> bytes:
    """response.failed, which nothing follows. A stream that had not begun begins first: accumulators want it so."""
    start = write_start(options) if number == 0 else b""
    response = response_object(options, b"failed", (_error(failure), b"null", write_usage(counts)), b"")
    return start + event(b"response.failed", number or 2, b'"response":' + response)


def write_failure(failure: Failure) -> bytes:
    """The failure of a stream that was passed on as it came, so the response's id and the last number are not known here.

    The error is said once more beside the response: the SDK raises for it, where it would stumble over a response of another id.
    """
    error = _error(failure)
    response = b'{"id":"resp_failed","object":"response","created_at":0,"status":"failed","error":%b,"output":[]}' % error
    return event(b"response.failed", LAST_NUMBER, b'"response":%b,"error":%b' % (response, error))
