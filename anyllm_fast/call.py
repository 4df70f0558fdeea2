"""One request on its way through: what gateway, router, bridge and policies share about it. Does nothing itself."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from anyllm_fast.neutral.dialect import Dialect, Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.upstream import HeaderList, Origin, UpstreamRequest

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

Operation = Literal[
    "generate",
    "count_tokens",
    "models",
    "model",
    "health",
    "metrics",
    "root",
    "completions",
    "response",
    "response_delete",
    "response_cancel",
    "response_items",
    "response_compact",
    "websocket",
]


class Route(msgspec.Struct, frozen=True):
    """Where a (method, path) leads. `dialect` writes the answers and the errors.

    `model` and `stream` are what the path says of a call, in dialects that have them there ("" and None elsewhere). `carrier` is
    how the client carries the dialect (carriers.py): "" for as it is.
    """

    operation: Operation
    dialect: str
    public: bool = False  # answered without a credential
    argument: str = ""  # the id of /v1/models/{id} or /v1/responses/{id}
    backend: str = ""  # from a /{backend}/ prefix; "" = the default
    model: str = ""
    stream: bool | None = None
    carrier: str = ""
    stateful: bool = False  # the dialect has replies that later calls name: where the upstream does not keep them, we do
    errors: str = ""  # dialect of the errors, where the carrier's clients have their own


class Surface(msgspec.Struct, frozen=True, kw_only=True):
    """One dialect in which a backend can be spoken to, and the way there."""

    dialect: str
    path: Callable[[str, bool], bytes]  # (the upstream's model, streamed) -> path and query of a model call
    profile: Callable[[str], Profile]  # the upstream's model -> facts about it
    carrier: str = ""  # how the host carries the dialect (carriers.py); "" for as it is
    count_tokens: Callable[[str], bytes] | None = None  # the upstream's model -> path of its own count, if it has one


Signer = Callable[[UpstreamRequest], Awaitable[None]]
"""Adds to a finished request what proves who sends it: a signature, or a token that has to be fetched or refreshed. Raises
UpstreamError where it cannot."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A backend as the gateway meets it: where to send, in which dialects, with what credentials. Made by `providers/`."""

    name: str
    origin: Origin
    credentials: tuple[tuple[bytes, bytes], ...]
    model_of: Callable[[str], str]  # requested model name -> the upstream's
    surfaces: Callable[[str], tuple[Surface, ...]]  # the upstream's model -> ways to speak to it, the preferred one first
    sign: Signer | None = None
    models: bytes | None = b"/v1/models"  # path and query of the upstream's models list; None: it has none
    models_dialect: str = ""  # dialect of that list
    in_process: bool = False  # answered by a provider inside this process (demo)

    def surface(self, model: str, dialect: str) -> Surface:
        """The way for a client of `dialect`: its own, where the backend speaks it, else the preferred one."""
        surfaces = self.surfaces(model)
        for surface in surfaces:
            if surface.dialect == dialect:
                return surface
        return surfaces[0]


class Outgoing(msgspec.Struct):
    """What is sent to a target. A body makes it a POST, none a GET, unless `method` says otherwise."""

    path: bytes
    body: bytes
    dialect: str
    accept: bytes = b"application/json"
    method: bytes = b""


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
        "errors",
        "headers",
        "include_usage",
        "key_name",
        "losses",
        "method",
        "model",
        "outcome",
        "owner",
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
        "surface",
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
        self.owner = b""  # digest of the credential: whose the call's state is
        self.target: Target | None = None
        self.target_model = ""
        self.surface: Surface | None = None
        self.errors = dialect  # writes the errors; where the carrier has its own form of them, not the dialect of the bodies
        self.losses = Losses()
        self.outcome = Outcome()
        self.response_headers: HeaderList = []
        self.task: asyncio.Task[Any] | None = None  # runs this call; departures.py cancels it
        self.waiter: asyncio.Task[None] | None = None
        self.permit = False  # holds a place in the concurrency limit
        self.announce = True  # losses are named in x-anyllm-degradation
        self.entered = 0  # how many of the policies, in their order, have let it in

    def detached(self) -> Call:
        """The same call without its client: nobody listens, and it is settled apart."""
        other = copy.copy(self)
        other.outcome = Outcome()
        other.losses = Losses()
        other.response_headers = []
        other.task = other.waiter = None
        other.permit = False
        other.stream = False
        return other


class Policy:
    """Something that every call passes. Knows no dialect and no provider; does local arithmetic only and never awaits.

    `screen` runs before the body is read, `admit` when the model and the target are known. Both may raise a GatewayError; one
    that raised was never in. `settle` runs once for each policy that was in, in reverse order, whatever happened.
    """

    def screen(self, call: Call) -> None: ...

    def admit(self, call: Call) -> None: ...

    def settle(self, call: Call) -> None: ...


Policies = Sequence[Policy]
