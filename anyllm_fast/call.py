"""One request on its way through: what gateway, router, bridge and policies share about it. Does nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from anyllm_fast.neutral.dialect import Dialect, Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.upstream import HeaderList, Origin

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

Operation = Literal["generate", "count_tokens", "models", "model", "health", "metrics", "root"]


class Route(msgspec.Struct, frozen=True):
    """Where a (method, path) leads. `dialect` writes the answers and the errors."""

    operation: Operation
    dialect: str
    public: bool = False  # answered without a credential
    argument: str = ""  # the model id of /v1/models/{id}
    backend: str = ""  # from a /{backend}/ prefix; "" = the default


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A backend as the gateway meets it: where to send, in which dialect, with what credentials. Made by `providers/`."""

    name: str
    dialect: str
    origin: Origin
    generate: bytes  # path and query of a model call
    credentials: tuple[tuple[bytes, bytes], ...]
    model_of: Callable[[str], str]  # requested model name -> the upstream's
    profile: Callable[[str], Profile]  # upstream model name -> facts about it
    models: bytes = b"/v1/models"  # path and query of the upstream's models list
    count_tokens: bytes | None = None  # path of the upstream's own count, if it has one
    in_process: bool = False  # answered by a provider inside this process (demo)


class Outcome(msgspec.Struct):
    """What became of a call; policies settle by it. Times in seconds of the monotonic clock."""

    status: int = 0
    error: str = ""  # kind of the GatewayError, or of the failure inside the stream
    message: str = ""
    usage: Usage = msgspec.field(default_factory=Usage)
    stop_reason: str = ""
    first_byte_at: float = 0.0
    ended_at: float = 0.0
    bytes_out: int = 0
    client_gone: bool = False
    upstream_status: int = 0


class Call:
    """One request. `headers` has lower-case names; of a repeated header the last value counts, as everywhere in the field."""

    __slots__ = (
        "announce",
        "body",
        "dialect",
        "entered",
        "headers",
        "include_usage",
        "key_name",
        "losses",
        "method",
        "model",
        "outcome",
        "path",
        "peer",
        "permit",
        "query",
        "receive",
        "request_id",
        "response_headers",
        "route",
        "send",
        "started",
        "started_wall",
        "stream",
        "target",
        "target_model",
        "task",
        "waiter",
    )

    def __init__(
        self, scope: dict[str, Any], receive: Receive, send: Send, route: Route, dialect: Dialect, request_id: str
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.peer: str = scope["client"][0] if scope.get("client") else ""
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.receive = receive
        self.send = send
        self.route = route
        self.dialect = dialect
        self.request_id = request_id
        self.started = time.monotonic()
        self.started_wall = time.time()
        self.body = b""
        self.model = ""
        self.stream = False
        self.include_usage = False
        self.key_name = ""
        self.target: Target | None = None
        self.target_model = ""
        self.losses = Losses()
        self.outcome = Outcome()
        self.response_headers: HeaderList = []
        self.task: asyncio.Task[Any] | None = None  # runs this call; departures.py cancels it
        self.waiter: asyncio.Task[None] | None = None
        self.permit = False  # holds a place in the concurrency limit
        self.announce = True  # losses are named in x-anyllm-degradation
        self.entered = 0  # how many of the policies, in their order, have let it in


class Policy:
    """Something that every call passes. Knows no dialect and no provider; does local arithmetic only and never awaits.

    `screen` runs before the body is read, `admit` when the model and the target are known. Both may raise a GatewayError; one
    that raised was never in. `settle` runs once for each policy that was in, in reverse order, whatever happened.
    """

    def screen(self, call: Call) -> None: ...

    def admit(self, call: Call) -> None: ...

    def settle(self, call: Call) -> None: ...


Policies = Sequence[Policy]
