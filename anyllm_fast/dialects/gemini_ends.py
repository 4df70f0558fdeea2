"""What happens rarely in a Gemini stream: why it stopped, signatures, code, the last chunk, errors. One source for both twins.

An error that comes when the stream has begun is a bare JSON object with no line break behind it, as Google's own servers send it,
not an event. That is the one form in which every official SDK finds it: the Python SDK takes either form; the JavaScript SDK up
to 2.6 (gemini-cli has 1.30) looks only at what arrives as an object of its own, passes over an `error` in an event as if it said
nothing, and over any other text that a blank line ends. Without the blank line it raises in every version: with the error's own
status where the object arrived in a packet of its own, and otherwise with "Incomplete JSON segment at the end", which gemini-cli
retries.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.arguments import write_input
from anyllm_fast.dialects.gemini_event import Lost, members_of
from anyllm_fast.dialects.gemini_signature import ANY, TEXT, read_proof, write_proof
from anyllm_fast.dialects.gemini_signature import NAME as ORIGIN
from anyllm_fast.dialects.repair import ABSENT, string
from anyllm_fast.errors import Kind
from anyllm_fast.neutral.signatures import redacted, tagged
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

ENDED_EARLY: Final = Failure("api", "the upstream's stream ended before the reply was complete", 502)

STOP_REASONS: Final[dict[bytes, StopReason]] = {
    b"STOP": "end_turn",
    b"MAX_TOKENS": "max_tokens",
    b"SAFETY": "content_filter",
    b"RECITATION": "content_filter",
    b"BLOCKLIST": "content_filter",
    b"PROHIBITED_CONTENT": "content_filter",
    b"SPII": "content_filter",
    b"MODEL_ARMOR": "content_filter",
    b"IMAGE_SAFETY": "content_filter",
    b"IMAGE_PROHIBITED_CONTENT": "content_filter",
    b"IMAGE_RECITATION": "content_filter",
    b"CONTINUATION": "pause_turn",
}
"""finishReason; all others (OTHER, LANGUAGE, MALFORMED_FUNCTION_CALL, NO_IMAGE ...) are `other`."""
STOP_WRITTEN: Final[dict[StopReason, bytes]] = {
    "end_turn": b"STOP",
    "tool_use": b"STOP",
    "stop_sequence": b"STOP",
    "pause_turn": b"MAX_TOKENS",  # not whole, to be gone on with; CONTINUATION would promise a token to do so
    "max_tokens": b"MAX_TOKENS",
    "context_window": b"MAX_TOKENS",
    "refusal": b"SAFETY",
    "content_filter": b"SAFETY",
    "other": b"OTHER",
}


def judge_stop(finish: bytes, blocked: bool, calls: int) -> StopReason:
    """Why the reply stopped. The API says STOP after calls; a prompt that was blocked has no finishReason."""
    if blocked:
        return "content_filter"
    stop = STOP_REASONS.get(finish or b"STOP", "other")
    return "tool_use" if calls and stop in ("end_turn", "other") else stop


def unsaid_finish(finish: bytes) -> Lost:
    """A finishReason that no other dialect has a word for, as the private event that says it."""
    known = finish in STOP_REASONS or finish in _OTHER
    return [] if known else [(b"candidates.finishReason", b'"%b"' % finish)]


_OTHER: Final = (b"", b"OTHER", b"IMAGE_OTHER", b"FINISH_REASON_UNSPECIFIED")


def blocked(feedback: bytes) -> tuple[bool, Lost]:
    """Whether a promptFeedback says that the prompt was blocked, and what else it says that nobody reads."""
    members = members_of(feedback)
    lost: Lost = []
    if rated_blocked(bytes(members.get("safetyRatings", ABSENT))):
        lost.append((b"promptFeedback.safetyRatings", bytes(members["safetyRatings"])))
    if string(message := members.get("blockReasonMessage", ABSENT)):
        lost.append((b"promptFeedback.blockReasonMessage", bytes(message)))
    return string(members.get("blockReason", ABSENT)) not in (b"", b"BLOCKED_REASON_UNSPECIFIED"), lost


def rated_blocked(ratings: bytes) -> bool:
    """Whether one of the safetyRatings blocked something; others say only that nothing did."""
    if b'"blocked"' not in ratings or ratings[:1] != b"[":
        return False
    rated = msgspec.json.decode(ratings)
    return any(isinstance(one, dict) and one.get("blocked") is True for one in rated)


# -- parts -------------------------------------------------------------------------------------------------------------


def code_span(raw: bytes) -> bytes:
    """An executableCode part as text: a fenced block."""
    members = members_of(raw)
    language = string(members.get("language", ABSENT)).lower()
    if language == b"language_unspecified":
        language = b""
    return _fenced(language, string(members.get("code", ABSENT)))


def result_span(raw: bytes) -> bytes:
    """A codeExecutionResult part as text: its output, fenced; the outcome where it is not OUTCOME_OK."""
    members = members_of(raw)
    outcome = string(members.get("outcome", ABSENT))
    return _fenced(b"output" if outcome in (b"", b"OUTCOME_OK") else outcome.lower(), string(members.get("output", ABSENT)))


def _fenced(info: bytes, span: bytes) -> bytes:
    end = b"" if span.endswith(rb"\n") else rb"\n"
    return rb"\n```%b\n%b%b```" % (info, span, end) + rb"\n"


def media_of(raw: bytes) -> bytes | None:
    """An inlineData part in the middle's form; None if it has no data."""
    members = members_of(raw)
    kind, data = members.get("mimeType", ABSENT), members.get("data", ABSENT)
    if not string(data):
        return None
    return b'{"media_type":"%b","data":%b}' % (string(kind), bytes(data))


class _Media(msgspec.Struct):
    media_type: Raw = ABSENT
    data: Raw = ABSENT


_decode_media = msgspec.json.Decoder(_Media).decode


def write_media(raw: bytes) -> bytes | None:
    """The part for a `media` of the middle."""
    try:
        media = _decode_media(raw)
    except ValueError:
        return None
    if not string(media.data):
        return None
    return b'{"inlineData":{"mimeType":"%b","data":%b}}' % (string(media.media_type), bytes(media.data))


def read_args(span: bytes) -> bytes:
    """The arguments of a call as one line of JSON: an object, whatever the model wrote."""
    return one_line(write_input(span).translate(_SPACES))


def one_line(text: bytes) -> bytes:
    """JSON text without JavaScript's own line ends (U+2028, U+2029): gemini-cli splits a stream at them, so they are escaped."""
    if b"\xe2\x80" not in text:
        return text
    return text.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")


_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")
"""Line breaks in sound JSON are only between its parts."""

# -- signatures --------------------------------------------------------------------------------------------------------


def read_seal(kind: str, signature: bytes) -> tuple[bool, bytes] | None:
    """(it is redacted reasoning, what to say) of a thoughtSignature; None for the words that stand for none.

    One that we wrote ourselves as Gemini's is read back as it was said. One that another vendor made and a gateway like this one
    packed is an upstream's signature like any other.
    """
    proof = read_proof(signature, kind)
    if proof is None:
        return None
    if proof.origin != ORIGIN:
        return False, b"%b:%b" % (kind.encode(), signature)
    return (False, proof.opaque) if proof.data is None else (True, proof.data)


def write_seal(origin: str, opaque: bytes, thought: bytes) -> tuple[str, bytes]:
    """(kind of the part to put it on, thoughtSignature). What is not Gemini's own waits for the next call or text.

    Clients give back signatures but not the text of thoughts, so the text goes along where its vendor wants both.
    """
    kind, value = write_proof(opaque, origin, thought)
    if kind == ANY and origin in ("", ORIGIN):
        return TEXT, base64.b64encode(tagged(ORIGIN, opaque))
    return kind, value


def write_redacted(origin: str, data: bytes) -> bytes:
    return base64.b64encode(tagged(origin or ORIGIN, redacted(data)))


# -- the last chunk ----------------------------------------------------------------------------------------------------

HEAD: Final = b'data: {"candidates":[{"content":{"parts":['


def chunk_tail(options: StreamOptions) -> bytes:
    """What follows the parts in every chunk but the last."""
    return b'],"role":"model"},"index":0}],' + _names(options) + b"}\n\n"


def _names(options: StreamOptions) -> bytes:
    return b'"modelVersion":"%b","responseId":"%b"' % (options.model, options.ident)


class LastChunk(msgspec.Struct):
    """What only the last chunk says."""

    stop: StopReason = "end_turn"
    refused: bool = False
    notes: bytes = b""  # members of the candidate
    losses: list[str] = []


def write_last(options: StreamOptions, last: LastChunk, counts: Usage) -> bytes:
    """An empty text, because SDKs keep no turn in a chat's history that has a chunk without parts.

    A refusal has gone out as text; its finishReason is SAFETY, the nearest that the API has.
    """
    finish = STOP_WRITTEN["refusal" if last.refused and last.stop in ("end_turn", "other") else last.stop]
    usage = b'"usageMetadata":%b,' % write_usage(counts) if counts.known else b""
    losses = b',"x-anyllm-degradation":%b' % msgspec.json.encode(", ".join(last.losses)) if last.losses else b""
    return b'%b{"text":""}],"role":"model"},"finishReason":"%b","index":0%b}],%b%b%b}\n\n' % (
        HEAD,
        finish,
        last.notes,
        usage,
        _names(options),
        losses,
    )


def write_usage(counts: Usage) -> bytes:
    """usageMetadata. As in protobuf's JSON, parts that are 0 or unknown are left out."""
    prompt = max(counts.prompt - max(counts.tool_prompt, 0), 0)
    thoughts = max(counts.reasoning, 0)
    answer = max(counts.output - thoughts, 0)
    total = max(counts.prompt, 0) + max(counts.output, 0)
    out = b'{"promptTokenCount":%d,"candidatesTokenCount":%d,"totalTokenCount":%d' % (prompt, answer, total)
    for name, n in (
        (b"cachedContentTokenCount", counts.cache_read),
        (b"thoughtsTokenCount", thoughts),
        (b"toolUsePromptTokenCount", counts.tool_prompt),
    ):
        if n > 0:
            out += b',"%b":%d' % (name, n)
    for name, whole, n in (
        (b"promptTokensDetails", prompt, counts.audio_input),
        (b"candidatesTokensDetails", answer, counts.audio_output),
    ):
        if n > 0:
            details = b'{"modality":"TEXT","tokenCount":%d},{"modality":"AUDIO","tokenCount":%d}' % (max(whole - n, 0), n)
            out += b',"%b":[%b]' % (name, details)
    return out + b"}"


# -- errors ------------------------------------------------------------------------------------------------------------

STATUSES: Final[dict[Kind, tuple[int, str]]] = {
    "invalid_request": (400, "INVALID_ARGUMENT"),
    "authentication": (401, "UNAUTHENTICATED"),
    "billing": (429, "RESOURCE_EXHAUSTED"),
    "permission": (403, "PERMISSION_DENIED"),
    "not_found": (404, "NOT_FOUND"),
    "method_not_allowed": (405, "UNIMPLEMENTED"),
    "conflict": (409, "ABORTED"),
    "too_large": (400, "INVALID_ARGUMENT"),
    "unprocessable": (400, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "overloaded": (503, "UNAVAILABLE"),
}
"""HTTP status and google.rpc.Code of each kind. `api` keeps its own status from 500 up."""
_SERVER: Final = {501: "UNIMPLEMENTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


def status_of(kind: Kind, status: int) -> tuple[int, str]:
    """(HTTP status, google.rpc.Code) of an error. Source: google/rpc/code.proto, which says the HTTP mapping."""
    if known := STATUSES.get(kind):
        return known
    status = status if 500 <= status < 600 else 500
    return status, _SERVER.get(status, "INTERNAL")


class _Error(msgspec.Struct):
    code: int
    message: str
    status: str


class _ErrorBody(msgspec.Struct):
    error: _Error


def write_failure(failure: Failure) -> bytes:
    """The error inside a stream; see the head of this file. Nothing may follow it."""
    code, status = status_of(failure.kind, failure.status)
    return msgspec.json.encode(_ErrorBody(_Error(code, failure.message, status)))
