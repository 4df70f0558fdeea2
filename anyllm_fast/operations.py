"""What is answered without a model call, or beside one: health, metrics, models, token counts, the root page."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

from anyllm_fast import __version__, headers, response_operations, tokens
from anyllm_fast._impl import IMPL
from anyllm_fast.bridge import read, refusal, refused, write
from anyllm_fast.call import Call, Operation, Outgoing, Surface, Target
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.errors import MethodNotAllowed, NotFound, UpstreamBroken, UpstreamRefused
from anyllm_fast.neutral.dialect import Dialect, ModelInfo, Profile
from anyllm_fast.policy.metrics import Metrics, as_json, as_prometheus
from anyllm_fast.relay import answer
from anyllm_fast.upstream import Timeouts
from anyllm_fast.wire import splice_model

if TYPE_CHECKING:
    from anyllm_fast.gateway import Gateway

_LIST_LIMIT = 8 << 20
_LIST_TIMEOUTS = Timeouts(5.0, 10.0, 10.0, 15.0)
_NO_LIST = (404, 405, 501)
_APPROXIMATE = b"approximate (tiktoken o200k_base); do not use for billing"


async def health(gateway: Gateway, call: Call) -> None:
    body = {"status": "ok", "version": __version__, "implementation": IMPL, "python": sys.version.split()[0]}
    await answer(call, 200, msgspec.json.encode(body))


async def root(gateway: Gateway, call: Call) -> None:
    body = {"name": "anyllm_fast", "version": __version__, "implementation": IMPL, "demo": gateway.settings.demo}
    await answer(call, 200, msgspec.json.encode(body))


async def metrics(gateway: Gateway, call: Call) -> None:
    """JSON as the proxy that we replace; Prometheus text to a scraper (by its Accept header) or with ?format=prometheus."""
    found = next(policy for policy in gateway.policies if isinstance(policy, Metrics))
    accept = call.headers.get(b"accept", b"")
    if b"format=prometheus" in call.query or b"text/plain" in accept or b"openmetrics" in accept:
        await answer(call, 200, as_prometheus(found), b"text/plain; version=0.0.4; charset=utf-8")
    else:
        await answer(call, 200, as_json(found))


async def models(gateway: Gateway, call: Call) -> None:
    await answer(call, 200, call.dialect.write_models(await _known_models(gateway, call)))


async def model(gateway: Gateway, call: Call) -> None:
    wanted = unquote(call.route.argument)
    for info in await _known_models(gateway, call):
        if info.id == wanted:
            await answer(call, 200, call.dialect.write_model(info))
            return
    raise NotFound(f"The model '{wanted}' does not exist or you do not have access to it.", code="model_not_found")


async def count_tokens(gateway: Gateway, call: Call) -> None:
    """The upstream's own count where it has one for this dialect, else tiktoken's, which is approximate and says so."""
    gateway.look(call)
    target = gateway.aim(call)
    surface = call.surface
    if surface is not None and surface.count_tokens is not None and surface.dialect == call.dialect.name:
        await _upstream_count(gateway, call, target, surface.count_tokens(call.target_model))
        return
    count = await tokens.count(_countable(call))
    call.response_headers.append((b"x-anyllm-token-counter", _APPROXIMATE))
    await answer(call, 200, call.dialect.write_count(count))


def _countable(call: Call) -> bytes:
    """The prompt as a Messages body, which is what the counting process reads. Raises InvalidRequest."""
    call.body = call.dialect.read_counted(call.body)
    if call.dialect.name == _COUNTED.dialect:
        return call.body
    return write(call, _COUNTED, read(call))


_COUNTED: Final = Surface(dialect="anthropic", path=lambda model, stream: b"", profile=lambda model: Profile())


async def _upstream_count(gateway: Gateway, call: Call, target: Target, path: bytes) -> None:
    body = call.body
    if call.target_model != call.model:
        body = splice_model(body, msgspec.json.encode(call.target_model)[1:-1])
    dialect = call.dialect
    reply = await gateway.forward(call, target, Outgoing(path, body, dialect.name), _LIST_TIMEOUTS)
    try:
        raw = await reply.read(_LIST_LIMIT)
        if reply.status >= 400:
            raise refusal(reply, raw, dialect, dialect)
        _check_count(raw, dialect)
        call.response_headers += headers.to_client(reply.headers, dialect.name, dialect.name)
        await answer(call, 200, raw)
    finally:
        reply.abort()


def _check_count(raw: bytes, dialect: Dialect) -> None:
    """Raises UpstreamError for a success that is no count."""
    try:
        dialect.read_count(raw)
    except ValueError as error:  # msgspec's errors are ValueErrors
        failure = dialect.read_failure(raw)
        if failure is not None:
            raise refused(failure, 502) from None
        raise UpstreamBroken(f"the upstream's count of tokens cannot be read: {error}") from None


async def websocket(gateway: Gateway, call: Call) -> None:
    """Codex asks for a websocket first; told 426 it falls back to a POST at once, any other answer costs it seconds."""
    error = MethodNotAllowed("Responses over a websocket are not served here; send the request as a POST")
    await answer(call, 426, call.errors.write_error(error, call.request_id))


async def _known_models(gateway: Gateway, call: Call) -> list[ModelInfo]:
    """The backend's own list; where the host has none, the names that the configuration maps to."""
    target = call.target = gateway.router.target(call)
    try:
        if target.models is not None:
            return await _upstream_models(gateway, call, target, target.models)
    except UpstreamRefused as error:
        if error.status not in _NO_LIST:
            raise
    backend = next(backend for backend in gateway.settings.backends if backend.name == target.name)
    return [ModelInfo(name) for name in dict.fromkeys((backend.big_model, backend.small_model)) if name]


async def _upstream_models(gateway: Gateway, call: Call, target: Target, path: bytes) -> list[ModelInfo]:
    reply = await gateway.forward(call, target, Outgoing(path, b"", target.models_dialect), _LIST_TIMEOUTS)
    try:
        raw = await reply.read(_LIST_LIMIT)
    finally:
        reply.abort()
    dialect = DIALECTS[target.models_dialect]
    failure = dialect.read_error(reply.status, raw) if reply.status >= 400 else dialect.read_failure(raw)
    if failure is not None:
        raise refused(failure, reply.status if reply.status >= 400 else 502)
    try:
        return dialect.read_models(raw)
    except ValueError as error:
        raise UpstreamBroken(f"the upstream's list of models cannot be read: {error}") from None


OPERATIONS: dict[Operation, Callable[[Gateway, Call], Awaitable[None]]] = {
    "health": health,
    "root": root,
    "metrics": metrics,
    "models": models,
    "model": model,
    "count_tokens": count_tokens,
    "websocket": websocket,
    "response": response_operations.response,
    "response_delete": response_operations.response_delete,
    "response_cancel": response_operations.response_cancel,
    "response_items": response_operations.response_items,
    "response_compact": response_operations.response_compact,
}
