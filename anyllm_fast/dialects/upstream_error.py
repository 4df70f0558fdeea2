"""What an upstream meant by an error answer, whoever wrote it and in whatever form. Writes nothing; never raises.

An error comes from the service, or from any box in front of it: so one reader for all dialects, by the shape of the body. Kinds
are told by the vendor's machine-readable words first and by the status where those say nothing. Only one thing is read out of
prose, because most services have no field for it: how long the prompt was when it was too long (clients compact by that).
"""

from __future__ import annotations

import math
import re
from html import unescape
from typing import Any

import msgspec

from anyllm_fast.errors import STATUS_OF, Kind, kind_of_status
from anyllm_fast.neutral.stream import Failure

MAX_MESSAGE = 2000
OVERFLOW = "context_length_exceeded"
"""The code of a prompt that does not fit, whatever the upstream calls it."""

KINDS: dict[str, Kind] = {
    # Anthropic: error.type
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "api_error": "api",
    "overloaded_error": "overloaded",
    "conflict_error": "conflict",
    # OpenAI: error.code, and error.type where it says more than invalid_request_error
    "invalid_api_key": "authentication",
    "account_deactivated": "authentication",
    "insufficient_quota": "billing",
    "billing_hard_limit_reached": "billing",
    "billing_not_active": "billing",
    "credits_required": "billing",
    "unsupported_country_region_territory": "permission",
    "insufficient_permissions": "permission",
    "model_not_found": "not_found",
    "rate_limit_exceeded": "rate_limit",
    "tokens": "rate_limit",
    "requests": "rate_limit",
    "service_unavailable": "overloaded",
    "engine_overloaded": "overloaded",
    "context_length_exceeded": "invalid_request",
    "string_above_max_length": "invalid_request",
    "content_policy_violation": "invalid_request",
    "content_filter": "invalid_request",
    "unsupported_value": "invalid_request",
    "unsupported_parameter": "invalid_request",
    # Google: error.status
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "DEADLINE_EXCEEDED": "timeout",
    "UNAVAILABLE": "overloaded",
    "INTERNAL": "api",
    "UNKNOWN": "api",
    # AWS: __type or x-amzn-errortype
    "ValidationException": "invalid_request",
    "UnrecognizedClientException": "authentication",
    "AccessDeniedException": "permission",
    "ResourceNotFoundException": "not_found",
    "ThrottlingException": "rate_limit",
    "ServiceQuotaExceededException": "rate_limit",
    "ModelTimeoutException": "timeout",
    "ServiceUnavailableException": "overloaded",
    "ModelNotReadyException": "overloaded",
    "InternalServerException": "api",
    "ModelErrorException": "api",
    "ModelStreamErrorException": "api",
    # AWS inside a stream: :exception-type
    "validationException": "invalid_request",
    "throttlingException": "rate_limit",
    "modelTimeoutException": "timeout",
    "serviceUnavailableException": "overloaded",
    "internalServerException": "api",
    "modelStreamErrorException": "api",
    # vLLM, SGLang, llama.cpp, TGI
    "BadRequestError": "invalid_request",
    "AuthenticationError": "authentication",
    "NotFoundError": "not_found",
    "RateLimitError": "rate_limit",
    "InternalServerError": "api",
    "exceed_context_size_error": "invalid_request",
    "unavailable_error": "overloaded",
    "overloaded": "overloaded",
    "validation": "invalid_request",
    "generation": "api",
}
_OVERFLOWS = frozenset({"context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded"})


class _Found:
    """What a body says, by the words of its writer."""

    __slots__ = ("codes", "message", "numbers", "status")

    def __init__(self) -> None:
        self.message = ""
        self.codes: list[str] = []  # machine-readable words, the most telling first
        self.status = 0  # where the body names one
        self.numbers: tuple[int, int] | None = None  # tokens of the prompt, tokens that fit


def read_error(status: int, body: bytes) -> Failure:
    """An error answer as a Failure. The message is bounded, has no control characters and no keys."""
    found = _Found()
    value = _json(body)
    if value is not None:
        _read(value, found, 0)
    if not found.message:
        found.message = _without_json(status, body) if value is None else f"the upstream answered {status}: {_shown(value)}"
    return _failure(found, status)


def retry_after(body: bytes) -> int | None:
    """Seconds after which to try again, where Google says so in an error's details (google.rpc.RetryInfo), not in a header."""
    if b"RetryInfo" not in body:
        return None
    match _json(body):
        case {"error": {"details": [*details]}} | [{"error": {"details": [*details]}}, *_]:
            for detail in details:
                match detail:
                    case {"@type": str(kind), "retryDelay": str(delay)} if kind.endswith("RetryInfo"):
                        found = _DELAY.fullmatch(delay)
                        return None if found is None else math.ceil(float(found[1]))
    return None


_DELAY = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")


def read_failure(body: bytes) -> Failure | None:
    """The error in a body that came with status 200; None if the body is no error object."""
    try:
        head = _decode_head(body)
    except (ValueError, RecursionError):
        return None
    error = bytes(head.error)
    inner = _choice_error(head)
    if error in (b"", b"null", b"{}", b'""') and head.type != "error" and head.object != "error" and not inner:
        return None
    found = _Found()
    _read(_json(inner or body), found, 0)
    found.message = found.message or "the upstream answered with an error that says nothing"
    kind = _kind(found, found.status or 500)
    return _failure(found, found.status if found.status >= 400 else STATUS_OF[kind])


class _Choice(msgspec.Struct):
    error: msgspec.Raw = msgspec.Raw()


class _Head(msgspec.Struct):
    type: Any = None
    object: Any = None
    error: msgspec.Raw = msgspec.Raw()
    choices: list[_Choice] | None = None


_decode_head = msgspec.json.Decoder(_Head).decode


def _choice_error(head: _Head) -> bytes:
    """OpenRouter puts what went wrong into the choice, as {"code", "message"}."""
    error = bytes(head.choices[0].error) if head.choices else b""
    return b'{"error":%b}' % error if error[:1] == b"{" and error != b"{}" else b""


def _json(body: bytes) -> Any:
    """The decoded object or array, or None."""
    if body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return msgspec.json.decode(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _read(value: Any, found: _Found, depth: int) -> None:
    """Looks for message and codes where the known forms have them, from the outside in."""
    if depth > 4:
        return
    match value:
        case str():
            found.message = found.message or value
        case [first, *_]:
            _read_list(first, value, found, depth)
        case {"error": (dict() | list() | str()) as inner} if inner:
            _read(inner, found, depth + 1)
            _read_members(value, found)
        case {"detail": (dict() | list() | str()) as inner} if inner:
            _read(inner, found, depth + 1)
        case {"errors": [first, *_]}:
            _read(first, found, depth + 1)
        case dict():
            _read_members(value, found)


def _read_list(first: Any, whole: list[Any], found: _Found, depth: int) -> None:
    """FastAPI's list of validation errors ({loc, msg}), or Google's array around one error object."""
    if not (isinstance(first, dict) and "msg" in first):
        _read(first, found, depth + 1)
        return
    lines = []
    for item in whole[:5]:
        if isinstance(item, dict):
            place = item.get("loc")
            path = ".".join(str(step) for step in place if step != "body") if isinstance(place, list) else ""
            lines.append(f"{path}: {item.get('msg')}" if path else str(item.get("msg")))
    found.message = found.message or "; ".join(lines)
    found.codes.append("BadRequestError")


def _read_members(members: dict[str, Any], found: _Found) -> None:
    for name in ("message", "Message", "msg", "error_description", "detail"):
        text = members.get(name)
        if isinstance(text, str) and text and not found.message:
            found.message = text
    details = members.get("details")
    if isinstance(details, dict) and isinstance(details.get("error_code"), str):
        found.codes.append(details["error_code"])
    for name in ("code", "type", "status", "error_type", "__type"):
        word = members.get(name)
        if isinstance(word, str) and word and word != "error":
            found.codes.append(word.rpartition("#")[2])
        elif isinstance(word, int) and not isinstance(word, bool) and 400 <= word < 600:
            found.status = found.status or word
    prompt, limit = members.get("n_prompt_tokens"), members.get("n_ctx")
    if isinstance(prompt, int) and isinstance(limit, int):
        found.numbers = (prompt, limit)


def _failure(found: _Found, status: int) -> Failure:
    message, kind = clean(found.message), _kind(found, status)
    code = next((word for word in found.codes if word not in _CATEGORIES), None)
    said = overflow_numbers(message) if kind in ("invalid_request", "too_large") else None
    if said or _OVERFLOWS.intersection(found.codes):
        code = OVERFLOW
        if found.numbers and not said:
            message = f"{message} ({found.numbers[0]} tokens > {found.numbers[1]} maximum)"
    return Failure(kind, message, status, code[:100] if code else None)


_CATEGORIES = frozenset(
    {
        "invalid_request_error",
        "authentication_error",
        "billing_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
        "rate_limit_error",
        "timeout_error",
        "api_error",
        "overloaded_error",
        "server_error",
        "tokens",
        "requests",
        "400",
        "401",
        "403",
        "404",
        "429",
        "500",
        "503",
    }
)
"""Words that say no more than the kind does: not a code worth passing on."""


def _kind(found: _Found, status: int) -> Kind:
    """By the upstream's words; `invalid_request_error` and its like mean whatever the status means."""
    for word in found.codes:
        if word in KINDS:
            return KINDS[word]
    return kind_of_status(found.status if status < 400 else status)


# -- messages ----------------------------------------------------------------------------------------------------------

_KEY = re.compile(
    r"\b(sk|rk|pk|gsk|xai|AIza)[-_][-_*A-Za-z0-9.]{6,}|\bAIza[-_A-Za-z0-9]{20,}|(?i:\bbearer) [-_A-Za-z0-9.=/+]{8,}"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean(text: str) -> str:
    """A foreign text for our own answer: one line, bounded, without credentials (services quote them when they refuse one)."""
    text = _CONTROL.sub(" ", text[: 4 * MAX_MESSAGE])
    text = _KEY.sub("[key]", text).strip()
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 3] + "..."


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:200]


_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def _without_json(status: int, body: bytes) -> str:
    """An error that is no JSON: a page is named, never passed on; plain text is; anything else is only measured."""
    head = body[:4096]
    start = head.lstrip()[:1]
    if not start:
        return f"the upstream answered {status} with an empty body"
    if start == b"<":
        title = _TITLE.search(head.decode("utf-8", "replace"))
        named = f' titled "{clean(unescape(title[1]))[:100]}"' if title and title[1].strip() else ""
        return f"the upstream answered {status} with an HTML page{named}"
    try:
        text = body[:MAX_MESSAGE].decode()
    except UnicodeDecodeError:
        return f"the upstream answered {status} with {len(body)} bytes that are not text"
    return f"the upstream answered {status}: {text[:500]}"


_NUMBERS = (
    # Anthropic and ourselves; llama.cpp after read_error
    re.compile(r"(?P<prompt>\d+) tokens? > (?P<limit>\d+)"),
    re.compile(r"exceed context limit: (?P<prompt>\d+) \+ \d+ > (?P<limit>\d+)"),
    # OpenAI, vLLM: maximum first, then what was asked for
    re.compile(
        r"maximum context length (?:is|of) (?P<limit>[\d,]+) tokens.{0,160}?"
        r"(?:resulted in|requested|you provided|contains?)(?: about| at least)? (?P<prompt>[\d,]+) (?:input )?tokens"
    ),
    # Google
    re.compile(r"input token count \(?(?P<prompt>[\d,]+)\)? exceeds the maximum number of tokens allowed \(?(?P<limit>[\d,]+)"),
    # Mistral
    re.compile(r"Prompt contains (?P<prompt>\d+) tokens.{0,80}? model with (?P<limit>\d+) maximum context"),
    # llama.cpp without its fields
    re.compile(r"request \((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<limit>\d+)"),
)


def overflow_numbers(message: str) -> tuple[int, int] | None:
    """(tokens of the prompt, tokens that fit) where a message about a prompt that is too long says both."""
    for pattern in _NUMBERS:
        if found := pattern.search(message):
            return _number(found["prompt"]), _number(found["limit"])
    return None


def _number(digits: str) -> int:
    return int(digits.replace(",", "")[:12])
