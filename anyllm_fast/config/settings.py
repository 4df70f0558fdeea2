"""The shape of a configuration: one frozen tree, the same in every process. Reads nothing and checks nothing.

Made by `load.resolve`, or by hand in a test. Pickles (a spawned worker gets it that way); never shows a secret in its repr.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import ClassVar, Literal

import msgspec

from anyllm_fast.config.hosts import Host

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Kind = Literal["openai", "anthropic", "azure", "gemini", "vertex", "bedrock", "compatible", "demo"]
"""What a provider's file speaks. `compatible` stands for every row of the table of hosts (hosts.py)."""
Speech = Literal["chat", "responses", "messages"]
"""A dialect as an operator names it: Chat Completions, Responses, Anthropic's Messages."""
Auth = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key"]
Access = Literal["keys", "open_relay", "demo", "closed"]


def mask(secret: str) -> str:
    """`first4...last4`, so that an operator recognises a key and nobody else learns it; `****` under 12 characters."""
    if not secret:
        return ""
    return f"{secret[:4]}...{secret[-4:]}" if len(secret) >= 12 else "****"


class _Masked(msgspec.Struct, frozen=True):
    """A Struct whose repr shows `****` for the fields in SECRETS, also inside a traceback or a failed assertion."""

    SECRETS: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        parts = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            parts.append(f"{name}={'****' if value and name in self.SECRETS else repr(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Tls(_Masked, frozen=True):
    """Towards the upstream. `ca_file` (PEM) is trusted beside the system's authorities."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"p12_password"})

    ca_file: str = ""
    p12_file: str = ""
    p12_password: str = ""


class Proxy(_Masked, frozen=True):
    """Forward proxies by the upstream's scheme; URLs, which may carry a user and a password. See `proxies.proxy_for`."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"http", "https"})

    http: str = ""
    https: str = ""
    no_proxy: tuple[str, ...] = ()


class Azure(_Masked, frozen=True, kw_only=True):
    """Azure OpenAI. `client_id` is set where tokens are fetched from Entra ID, with the fields around it."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"client_secret"})

    api_version: str = ""  # "" on the v1 surface, unless the operator wants one there
    deployment: str = ""  # where every call goes; "" = each to the deployment named like its model
    model: str = ""  # what the deployment serves, where its name does not tell

    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = ""
    authority: str = ""  # URL without a trailing `/`
    scope: str = ""


class Google(_Masked, frozen=True, kw_only=True):
    """Vertex AI. Tokens come from `credentials_file`, or from the metadata server where that is empty and there is no key."""

    project: str = ""
    region: str = ""
    credentials_file: str = ""
    metadata_url: str = ""  # http://HOST[:PORT]


class Aws(_Masked, frozen=True, kw_only=True):
    """Bedrock's caller: static keys, or, where there are none, the variables that say where AWS's own tools find some."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"secret_access_key", "session_token", "variables"})

    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    session_token: str = ""
    variables: tuple[tuple[str, str], ...] = ()  # as they were set, under AWS's names; URLs in them are checked


class Backend(_Masked, frozen=True, kw_only=True):
    """One service that calls go to. `name` is also its path prefix (`/{name}/v1/...`).

    `base_url` has neither a trailing `/` nor the version; `api_prefix` is the version part, so that `url("/v1/chat/completions")`
    is right for `https://api.openai.com`, `http://h:1/v1` and `https://h/paas/v4` alike. `auth` says which header carries the
    key; an empty key sends none. `proxy` and `tls` are for the calls that fetch tokens; the calls themselves go by the Settings'.
    """

    SECRETS: ClassVar[frozenset[str]] = frozenset({"api_key", "headers"})

    name: str
    kind: Kind
    base_url: str = ""
    api_prefix: str = "/v1"
    api_key: str = ""
    auth: Auth = "bearer"
    organization: str = ""
    project: str = ""
    big_model: str = ""
    small_model: str = ""
    omit_stream_options: bool = False  # the server refuses `stream_options`
    headers: tuple[tuple[str, str], ...] = ()  # lower-case names
    api: str = ""  # which of several APIs is preferred, in the words of the backend's own variable
    speaks: tuple[Speech, ...] = ()  # what the operator says the host speaks, the preferred one first; () = what is known of it
    host: Host | None = None  # compatible
    azure: Azure = Azure()
    google: Google = Google()
    aws: Aws = Aws()
    proxy: Proxy = Proxy()
    tls: Tls = Tls()

    def url(self, path: str) -> str:
        """The upstream's URL for one of our paths: the leading `/v1` becomes this backend's version part."""
        return self.base_url + self.api_prefix + path.removeprefix("/v1")


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds; 0 means no limit. `stream_total` is the wall clock of one streamed reply, the others are waits."""

    connect: float = 10.0
    first_byte: float = 900.0
    idle: float = 900.0
    stream_total: float = 900.0


DEMO = Backend(name="demo", kind="demo")


class Settings(_Masked, frozen=True, kw_only=True):
    """Everything that a worker needs to know. Sizes in bytes, times in seconds, 0 = no limit unless said otherwise."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"proxy_key_digests"})

    host: str = "127.0.0.1"
    port: int = 3000
    workers: int = 1
    keepalive: float = 120.0
    shutdown: float = 900.0

    backends: tuple[Backend, ...] = (DEMO,)  # the first is the default
    demo: bool = True  # the default backend is the built-in one
    tls: Tls = Tls()
    proxy: Proxy = Proxy()
    http2_upstream: bool = False
    timeouts: Timeouts = Timeouts()

    proxy_key_digests: tuple[bytes, ...] = ()  # SHA-256 of each key's UTF-8 bytes
    open_relay: bool = False
    ip_allowlist: tuple[Network, ...] | None = None  # () allows nobody
    trust_proxy_headers: bool = False
    trusted_proxy_depth: int = 1
    cors_origins: tuple[str, ...] = ()  # ("*",) for all

    max_body_bytes: int = 32 << 20
    max_reply_bytes: int = 64 << 20  # of a reply that is not streamed
    max_frame_bytes: int = 16 << 20  # of one event of a stream
    max_concurrency: int = 2000  # calls per backend and worker

    responses_store: str = ""  # an SQLite file; "" for this process's memory
    responses_ttl: float = 30 * 86400.0

    on_loss: Literal["announce", "refuse"] = "announce"
    expose_degradation: bool = True  # the x-anyllm-degradation header
    log_level: str = "info"  # off, error, warn, info, debug, trace
    log_format: Literal["json", "text"] = "json"
    log_bodies: bool = False

    @property
    def access(self) -> Access:
        """Who is let in: holders of a key, anyone with any credential, anyone at all (demo), nobody."""
        if self.proxy_key_digests:
            return "keys"
        if self.open_relay:
            return "open_relay"
        return "demo" if self.demo else "closed"


BIG = "big_model"
SMALL = "small_model"
MODEL_WORDS: tuple[tuple[str, str], ...] = (("haiku", SMALL), ("sonnet", BIG), ("opus", BIG))
"""Word in a requested model name -> the Backend field with the upstream's name. In this order; case is ignored."""


def map_model(backend: Backend, requested: str) -> str:
    """The upstream's name for a requested model: `claude-haiku-...` -> small_model, sonnet and opus -> big_model.

    Anything else, and everything on a backend without these fields (Anthropic, demo), stays as it is. About 100 ns.
    """
    if not backend.big_model and not backend.small_model:
        return requested
    return _mapped(requested, backend.big_model, backend.small_model)


@lru_cache(maxsize=4096)  # bounded: callers choose the names
def _mapped(requested: str, big: str, small: str) -> str:
    lowered = requested.lower()
    for word, size in MODEL_WORDS:
        if word in lowered:
            return (small if size == SMALL else big) or requested
    return requested
