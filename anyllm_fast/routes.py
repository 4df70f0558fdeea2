"""(method, path) -> operation and dialect. A table; an unknown path is answered in the dialect of its prefix."""

from __future__ import annotations

from anyllm_fast.call import Operation, Route
from anyllm_fast.errors import MethodNotAllowed, NotFound

ANTHROPIC = "anthropic"
CHAT = "openai_chat"

_TABLE: tuple[tuple[str, str, Operation, str], ...] = (
    ("POST", "/v1/messages", "generate", ANTHROPIC),
    ("POST", "/v1/messages/count_tokens", "count_tokens", ANTHROPIC),
    ("POST", "/v1/chat/completions", "generate", CHAT),
    ("POST", "/chat/completions", "generate", CHAT),  # a base_url without /v1, as LiteLLM takes it
    ("GET", "/v1/models", "models", ""),
    ("GET", "/models", "models", ""),
)
_PUBLIC: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/health", "health"),
    ("GET", "/", "root"),
)
_GUARDED: tuple[tuple[str, str, Operation], ...] = (("GET", "/metrics", "metrics"),)
_MODEL_PREFIXES = ("/v1/models/", "/models/")
_CHAT_PREFIXES = ("/v1/chat", "/chat", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/images", "/v1/audio")


def _by_path() -> dict[str, dict[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for method, path, operation, dialect in _TABLE:
        table.setdefault(path, {})[method] = Route(operation, dialect)
    for method, path, operation in _PUBLIC:
        table.setdefault(path, {})[method] = Route(operation, ANTHROPIC, public=True)
    for method, path, operation in _GUARDED:
        table.setdefault(path, {})[method] = Route(operation, ANTHROPIC)
    for methods in table.values():
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
    return table


_ROUTES = _by_path()


def dialect_of(path: str, headers: dict[bytes, bytes]) -> str:
    """The dialect in which an answer to an unknown path, or to a path that two dialects share, is written."""
    if b"anthropic-version" in headers:
        return ANTHROPIC
    if path.startswith((*_CHAT_PREFIXES, *_MODEL_PREFIXES)) or path in {"/v1/models", "/models"}:
        return CHAT
    return ANTHROPIC


def find(method: str, path: str, headers: dict[bytes, bytes], backends: frozenset[str]) -> Route:
    """The route of a request. `/{backend}/...` leads to that backend, as in the proxy that we replace.

    Raises NotFound, or MethodNotAllowed with an `allow` header.
    """
    methods = _ROUTES.get(path)
    backend = ""
    if methods is None and backends:
        first, slash, rest = path[1:].partition("/")
        if slash and first in backends:
            backend, path = first, "/" + rest
            methods = _ROUTES.get(path)
    if methods is not None:
        route = methods.get(method)
        if route is None:
            allow = ", ".join(sorted(methods))
            raise MethodNotAllowed(f"{method} is not allowed for {path}; use {allow}", headers=[(b"allow", allow.encode())])
        if route.dialect and not backend:
            return route
        return Route(route.operation, route.dialect or dialect_of(path, headers), route.public, backend=backend)
    for prefix in _MODEL_PREFIXES:
        if path.startswith(prefix) and len(path) > len(prefix):
            if method not in {"GET", "HEAD"}:
                raise MethodNotAllowed(f"{method} is not allowed for {path}; use GET", headers=[(b"allow", b"GET, HEAD")])
            return Route("model", dialect_of(path, headers), argument=path[len(prefix) :], backend=backend)
    raise NotFound("Not found")
