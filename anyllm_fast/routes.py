"""(method, path) -> operation and dialect. Tables; an unknown path is answered in the dialect of its prefix."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from anyllm_fast.call import Operation, Route
from anyllm_fast.errors import MethodNotAllowed, NotFound

ANTHROPIC: Final = "anthropic"
CHAT: Final = "openai_chat"
RESPONSES: Final = "openai_responses"
GEMINI: Final = "gemini"
BEDROCK: Final = "bedrock"

_TABLE: Final[tuple[tuple[str, str, Operation, str], ...]] = (
    ("POST", "/v1/messages", "generate", ANTHROPIC),
    ("POST", "/v1/messages/count_tokens", "count_tokens", ANTHROPIC),
    ("POST", "/v1/chat/completions", "generate", CHAT),
    ("POST", "/chat/completions", "generate", CHAT),  # a base_url without /v1, as LiteLLM takes it
    ("GET", "/v1/responses", "websocket", RESPONSES),
    ("POST", "/v1/responses/input_tokens", "count_tokens", RESPONSES),
    ("POST", "/v1/responses/compact", "response_compact", RESPONSES),
    ("GET", "/v1/models", "models", ""),
    ("GET", "/models", "models", ""),
    ("GET", "/v1beta/models", "models", GEMINI),
    ("GET", "/v1alpha/models", "models", GEMINI),
    ("GET", "/foundation-models", "models", BEDROCK),
)
_PUBLIC: Final[tuple[tuple[str, str, Operation], ...]] = (
    ("GET", "/health", "health"),
    ("GET", "/", "root"),
)
_GUARDED: Final[tuple[tuple[str, str, Operation], ...]] = (("GET", "/metrics", "metrics"),)
_SPECIAL: Final = (
    ("/v1/responses", Route("generate", RESPONSES, stateful=True)),
    ("/responses", Route("generate", RESPONSES, stateful=True)),
    ("/v1/completions", Route("generate", CHAT, carrier="completions")),
    ("/completions", Route("generate", CHAT, carrier="completions")),
)
_PREFIXES: Final = (
    (("/v1beta/", "/v1alpha/", "/v1beta1/"), GEMINI),
    (("/model/",), BEDROCK),
    (("/v1/responses", "/responses"), RESPONSES),
    (("/v1/chat", "/chat", "/v1/completions", "/completions", "/v1/embeddings", "/v1/images", "/v1/audio"), CHAT),
    (("/v1/models", "/models"), CHAT),
)
_GOOGLE_HEADERS: Final = (b"x-goog-api-key", b"x-goog-api-client")


def _by_path() -> dict[str, dict[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for method, path, operation, dialect in _TABLE:
        table.setdefault(path, {})[method] = Route(operation, dialect)
    for path, route in _SPECIAL:
        table.setdefault(path, {})["POST"] = route
    for method, path, operation in _PUBLIC:
        table.setdefault(path, {})[method] = Route(operation, ANTHROPIC, public=True)
    for method, path, operation in _GUARDED:
        table.setdefault(path, {})[method] = Route(operation, ANTHROPIC)
    for methods in table.values():
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
    return table


_ROUTES: Final = _by_path()


# -- paths that name something -------------------------------------------------------------------------------------------


_GEMINI_CALL: Final = re.compile(
    r"/v1(?:beta|alpha|beta1)?/(?:projects/[^/]+/locations/[^/]+/publishers/google/)?(?:models|tunedModels)/([^:]+(?::[^:]+)*):(\w+)"
)
_GEMINI_MODEL: Final = re.compile(r"/v1(?:beta|alpha)/models/(.+)")
_BEDROCK_CALL: Final = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)")
_RESPONSE: Final = re.compile(r"(?:/v1)?/responses/([^/]+)(?:/(cancel|input_items))?")
_MODEL: Final = re.compile(r"(?:/v1)?/models/(.+)")

_GEMINI_VERBS: Final[dict[str, tuple[Operation, bool]]] = {
    "generateContent": ("generate", False),
    "streamGenerateContent": ("generate", True),
    "countTokens": ("count_tokens", False),
}
_BEDROCK_VERBS: Final[dict[str, tuple[Operation, str, bool, str]]] = {
    "converse": ("generate", BEDROCK, False, "converse"),
    "converse-stream": ("generate", BEDROCK, True, "converse"),
    "invoke": ("generate", ANTHROPIC, False, "invoke"),
    "invoke-with-response-stream": ("generate", ANTHROPIC, True, "invoke"),
    "count-tokens": ("count_tokens", BEDROCK, False, ""),
}
_RESPONSE_VERBS: Final[dict[str | None, tuple[tuple[str, Operation], ...]]] = {
    None: (("GET", "response"), ("DELETE", "response_delete")),
    "cancel": (("POST", "response_cancel"),),
    "input_items": (("GET", "response_items"),),
}


def _named(method: str, path: str, query: bytes, headers: dict[bytes, bytes]) -> tuple[tuple[str, ...], Route | None] | None:
    """(methods that the path takes, the route for this one); None if it is no such path."""
    if found := _GEMINI_CALL.fullmatch(path):
        known = _GEMINI_VERBS.get(found[2])
        if known is None:
            return None
        operation, streamed = known
        carrier = "json_array" if streamed and b"alt=sse" not in query else ""
        return ("POST",), Route(operation, GEMINI, model=found[1], stream=streamed, carrier=carrier)
    if found := _BEDROCK_CALL.fullmatch(path):
        operation, dialect, streamed, carrier = _BEDROCK_VERBS[found[2]]
        return ("POST",), Route(operation, dialect, model=found[1], stream=streamed, carrier=carrier, errors=BEDROCK)
    if found := _RESPONSE.fullmatch(path):
        verbs = _RESPONSE_VERBS[found[2]]
        operation_of = dict(verbs)
        routed = Route(operation_of[method], RESPONSES, argument=found[1]) if method in operation_of else None
        return tuple(name for name, _ in verbs), routed
    if found := _GEMINI_MODEL.fullmatch(path):
        return ("GET", "HEAD"), Route("model", GEMINI, argument=found[1])
    if found := _MODEL.fullmatch(path):
        return ("GET", "HEAD"), Route("model", dialect_of(path, headers), argument=found[1])
    return None


def dialect_of(path: str, headers: dict[bytes, bytes]) -> str:
    """The dialect in which an answer to an unknown path, or to a path that several dialects share, is written."""
    if b"anthropic-version" in headers:
        return ANTHROPIC
    if any(name in headers for name in _GOOGLE_HEADERS):
        return GEMINI
    return next((dialect for prefixes, dialect in _PREFIXES if path.startswith(prefixes)), ANTHROPIC)


def find(method: str, path: str, query: bytes, headers: dict[bytes, bytes], backends: frozenset[str]) -> Route:
    """The route of a request. `/{backend}/...` leads to that backend, as in the proxy that we replace.

    Raises NotFound, or MethodNotAllowed with an `allow` header.
    """
    methods = _ROUTES.get(path)
    if methods is not None:
        route = methods.get(method)
        if route is None:
            raise _refuse(method, path, tuple(methods))
        return route if route.dialect else Route(route.operation, dialect_of(path, headers))
    if backends:
        first, slash, rest = path[1:].partition("/")
        if slash and first in backends:
            return _behind(first, find(method, "/" + rest, query, headers, frozenset()))
    named = _named(method, path, query, headers)
    if named is None:
        raise NotFound("Not found")
    allowed, found = named
    if found is None or method not in allowed:
        raise _refuse(method, path, allowed)
    return found


def _behind(backend: str, route: Route) -> Route:
    return msgspec.structs.replace(route, backend=backend)


def _refuse(method: str, path: str, methods: tuple[str, ...]) -> MethodNotAllowed:
    allow = ", ".join(sorted(methods))
    return MethodNotAllowed(f"{method} is not allowed for {path}; use {allow}", headers=[(b"allow", allow.encode())])
