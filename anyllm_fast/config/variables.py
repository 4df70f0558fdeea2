"""The table of every variable: name, type, default, meaning. Reads no environment and parses no value.

The reader (values.py, load.py), `check` and docs/configuration.md all come from it. `used` variables do something in this
version, `later` ones are known from anyllm_proxy or LiteLLM and wait for a later version: they are told about, never an error.
Names that other programs own as well (`shared`) are told about only when they stand in our env file. What backends need is in
backend_variables.py.
"""

from __future__ import annotations

from anyllm_fast.config.backend_variables import BACKEND, HOSTS
from anyllm_fast.config.variable import TYPES, Type, Variable, later, used

__all__ = ["ALIAS_OF", "BY_NAME", "INTERNAL", "TYPES", "VARIABLES", "Type", "Variable", "known"]

_SERVER = (
    used("Server", "LISTEN_PORT", "port", "3000", "TCP port of the gateway.", flag="--port"),
    used(
        "Server",
        "LISTEN_HOST",
        "text",
        "",
        "Address to listen on.",
        shown_default="0.0.0.0; 127.0.0.1 on the demo backend",
        flag="--host",
    ),
    used(
        "Server",
        "ANYLLM_WORKERS",
        "workers",
        "1",
        "Worker processes, each with its own event loop. `auto`: one per core that this process may use.",
        least=1,
        most=1024,
        flag="--workers",
    ),
    used(
        "Server",
        "ANYLLM_KEEPALIVE_SECS",
        "seconds",
        "120",
        "How long an idle client connection stays open, and how long a request's headers may take. Keep it above the idle time of"
        " the load balancer in front (60 s in many), or that one will now and then send into a closing connection.",
        least=1,
        most=86400,
    ),
    used(
        "Server",
        "ANYLLM_SHUTDOWN_SECS",
        "seconds",
        "900",
        "After SIGTERM or SIGINT open calls may finish for so long; then they are cut. A second signal cuts at once. 0: no"
        " limit.",
        most=86400,
    ),
)

_ACCESS = (
    used(
        "Access",
        "PROXY_API_KEYS",
        "secrets",
        "",
        "The keys that clients may use, as `x-api-key`, `x-goog-api-key` or Bearer.",
        aliases=["LITELLM_MASTER_KEY"],
    ),
    used(
        "Access",
        "PROXY_OPEN_RELAY",
        "flag",
        "false",
        "Accept any non-empty credential. Only if PROXY_API_KEYS is empty; whoever reaches the port spends your key.",
    ),
    used(
        "Access",
        "IP_ALLOWLIST",
        "networks",
        "",
        "Only these client addresses are served, on every route. Set but empty: nobody is.",
        aliases=["LITELLM_IP_ALLOWLIST"],
        shown_default="everybody",
    ),
    used("Access", "TRUST_PROXY_HEADERS", "flag", "false", "Take the client's address from `x-forwarded-for`."),
    used(
        "Access",
        "TRUSTED_PROXY_DEPTH",
        "count",
        "1",
        "With TRUST_PROXY_HEADERS: which entry of `x-forwarded-for`, counted from the right.",
        most=64,
    ),
    used(
        "Access",
        "ANYLLM_CORS_ORIGINS",
        "list",
        "",
        "Origins of browser pages that may call, e.g. `https://app.example.com`, or `*`.",
        shown_default="none",
    ),
)

_UPSTREAM = (
    used(
        "Upstream connections",
        "REQUEST_TIMEOUT_SECS",
        "seconds",
        "900",
        "Wall-clock limit of one streamed reply. 0: none.",
    ),
    used("Upstream connections", "ANYLLM_CONNECT_TIMEOUT_SECS", "seconds", "10", "Limit for connecting, TLS included. 0: none."),
    used(
        "Upstream connections",
        "ANYLLM_FIRST_BYTE_TIMEOUT_SECS",
        "seconds",
        "900",
        "Limit from the request's last byte to the reply's first. Reasoning models think in silence for minutes. 0: none.",
    ),
    used("Upstream connections", "ANYLLM_IDLE_TIMEOUT_SECS", "seconds", "900", "Limit between two reads of a reply. 0: none."),
    used("Upstream connections", "ANYLLM_HTTP2_UPSTREAM", "flag", "false", "Speak HTTP/2 to backends that offer it."),
    used("Upstream connections", "TLS_CA_CERT", "path", "", "PEM file of authorities to trust beside the system's."),
    used("Upstream connections", "TLS_CLIENT_CERT_P12", "path", "", "PKCS#12 file with the client certificate for mutual TLS."),
    used("Upstream connections", "TLS_CLIENT_CERT_PASSWORD", "secret", "", "Password of TLS_CLIENT_CERT_P12."),
    used(
        "Upstream connections",
        "HTTP_PROXY",
        "text",
        "",
        "Forward proxy for http backends. Loopback backends are always reached directly.",
        aliases=["http_proxy"],
        shared=True,
    ),
    used(
        "Upstream connections",
        "HTTPS_PROXY",
        "text",
        "",
        "Forward proxy for https backends.",
        aliases=["https_proxy"],
        shared=True,
    ),
    used(
        "Upstream connections",
        "ALL_PROXY",
        "text",
        "",
        "Forward proxy where no other is set.",
        aliases=["all_proxy"],
        shared=True,
    ),
    used(
        "Upstream connections",
        "NO_PROXY",
        "list",
        "",
        "Hosts, domains and CIDR blocks that are reached directly; `*` for all.",
        aliases=["no_proxy"],
        shared=True,
    ),
)

_LIMITS = (
    used(
        "Limits",
        "ANYLLM_MAX_BODY_BYTES",
        "count",
        "33554432",
        "Largest request body, after decompression.",
        least=1024,
        most=1 << 40,
    ),
    used(
        "Limits", "ANYLLM_MAX_REPLY_BYTES", "count", "67108864", "Largest reply that is not streamed.", least=1024, most=1 << 40
    ),
    used("Limits", "ANYLLM_MAX_FRAME_BYTES", "count", "16777216", "Largest single event of a stream.", least=1024, most=1 << 40),
    used(
        "Limits",
        "ANYLLM_MAX_CONCURRENCY",
        "count",
        "2000",
        "Calls that a backend carries at once, per worker; one more is answered with 429. A core is busy with 300 to 700"
        " streams that talk all the time, so 2000 leaves room for those that think, at 100 to 200 MB. 0: no limit.",
        most=1_000_000,
    ),
    used(
        "Limits",
        "ANYLLM_RESPONSES_STORE",
        "path",
        "",
        "SQLite file for the replies of /v1/responses that later calls may name, shared by all workers. Unset: in memory; with"
        " several workers a file that goes when the gateway stops.",
    ),
    used(
        "Limits",
        "ANYLLM_RESPONSES_TTL_SECS",
        "seconds",
        "2592000",
        "How long such a reply is kept.",
    ),
)

_LOGS = (
    used(
        "Logs and announcements",
        "ANYLLM_LOG_LEVEL",
        "choice",
        "",
        "`off`, `error`, `warn`, `info`, `debug` or `trace`. Wins over RUST_LOG.",
        choices=["off", "error", "warn", "warning", "info", "debug", "trace"],
        shown_default="from RUST_LOG, else `info`",
        flag="--log-level",
    ),
    used(
        "Logs and announcements",
        "RUST_LOG",
        "text",
        "",
        "The same in the syntax of the proxy that this one replaces: `info`, or `anyllm_proxy=debug,info`.",
        shared=True,
    ),
    used(
        "Logs and announcements",
        "LOG_FORMAT",
        "choice",
        "json",
        "Log lines on stdout as `json` or `text`.",
        choices=["json", "text", "pretty", "human"],
    ),
    used("Logs and announcements", "LOG_BODIES", "flag", "false", "Log the first 16 KiB of request bodies: what users wrote."),
    used(
        "Logs and announcements",
        "ANYLLM_DEGRADATION_WARNINGS",
        "flag",
        "true",
        "Name what a translation could not carry in the reply header `x-anyllm-degradation`.",
    ),
    used(
        "Logs and announcements",
        "ANYLLM_ON_LOSS",
        "choice",
        "announce",
        "`announce`: a request that cannot be carried whole is sent and the loss announced; `refuse`: it is answered with 400.",
        choices=["announce", "refuse"],
    ),
)

_FILES = (
    used(
        "Files",
        "ANYLLM_HOME",
        "path",
        "",
        "Data directory. In this version only `.anyllm.env` is looked for there, and nothing is written. Environment only.",
        shown_default="~/.anyllm",
    ),
    used(
        "Files",
        "ANYLLM_FAST_IMPL",
        "choice",
        "",
        "`native` or `python`: which implementation of the hot path runs. Environment only.",
        choices=["native", "python"],
        shown_default="native if it was built",
    ),
)

_UNSERVED = """
BRAVE_API_KEY CARTESIA_API_KEY DEEPGRAM_API_KEY ELEVENLABS_API_KEY EXA_API_KEY JINA_AI_API_KEY NLP_CLOUD_API_KEY PLAYAI_API_KEY
PLAYHT_SECRET_KEY PLAYHT_USER_ID QIANFAN_AK QIANFAN_SK REPLICATE_API_KEY REPLICATE_API_TOKEN SERPER_API_KEY STABILITY_API_KEY
TAVILY_API_KEY VOYAGE_API_KEY WATSONX_APIKEY WATSONX_API_KEY WATSONX_PROJECT_ID WATSONX_REGION WATSONX_SPACE_ID WATSONX_TOKEN
WATSONX_URL
"""

_LATER = (
    *later("PROXY_CONFIG", "configuration file (TOML or YAML)", aliases=["LITELLM_CONFIG"]),
    *later(_UNSERVED, "credentials of a catalog provider without chat", type="secret", shared=True),
    *later("AUTH_MODE OIDC_ISSUER_URL OIDC_AUDIENCE", "sign-in with JWTs"),
    *later("RATE_LIMIT_FAIL_POLICY", "rate limits"),
    *later("REDIS_URL", "rate limits and cache shared between machines", shared=True),
    *later("WEBHOOK_URLS", "webhooks"),
    *later("LANGFUSE_PUBLIC_KEY LANGFUSE_SECRET_KEY LANGFUSE_HOST", "Langfuse", shared=True),
    *later("MODEL_PRICING_FILE", "prices"),
    *later("CACHE_TTL_SECS CACHE_MAX_ENTRIES QDRANT_URL QDRANT_COLLECTION SEMANTIC_CACHE_THRESHOLD", "response cache"),
    *later("FALLBACK_CONFIG", "fallback chains"),
    *later(
        "OTEL_EXPORTER_OTLP_ENDPOINT OTEL_SERVICE_NAME OTEL_TRACES_SAMPLER OTEL_TRACES_SAMPLER_ARG OTEL_EXPORTER",
        "OpenTelemetry",
        shared=True,
    ),
    *later(
        "ADMIN_PORT ADMIN_BIND ADMIN_TOKEN ADMIN_TOKEN_PATH ADMIN_DB_PATH ADMIN_LOG_RETENTION_DAYS DISABLE_ADMIN WEBUI",
        "admin server",
    ),
    *later("ADMIN", "admin server", shared=True),
    *later("PROVIDER_AUTO_REFRESH PROVIDER_REFRESH_INTERVAL_HOURS", "provider catalog"),
    *later("BATCH_WEBHOOK_URLS BATCH_WEBHOOK_SIGNING_SECRET", "batches"),
    *later("ANYLLM_ALLOW_BASH_EXECUTION", "built-in tools"),
    *later("ANTHROPIC_FORWARD_CLIENT_AUTH ANTHROPIC_THINKING_REPAIR LITELLM_ANTHROPIC_DISABLE_URL_SUFFIX", "Anthropic backend"),
    *later("FORGE_TOOL_CALL_POLICY", "tool policies"),
    *later("REDACT_SECRETS", "redaction of secrets in requests"),
    *later(
        "PXPIPE_COMPRESS PXPIPE_MODELS PXPIPE_HISTORY RTK_COMPRESS RTK_MODELS OPTIMIZER_MODE"
        " MODEL_URL MODEL_SHA256 MODEL_CACHE_DIR",
        "request compression",
    ),
    *later("DATABASE_URL DIRECT_URL DATABASE_URL_READ_REPLICA", "PostgreSQL", shared=True),
    *later("LITELLM_SALT_KEY LITELLM_LICENSE LITELLM_MODE LITELLM_LOCAL_MODEL_COST_MAP LITELLM_RUST", "LiteLLM compatibility"),
    *later(
        "REDIS_HOST REDIS_PORT REDIS_PASSWORD REDIS_USERNAME REDIS_SSL REDIS_CLUSTER_NODES REDIS_SENTINEL_NODES",
        "Redis",
        shared=True,
    ),
    *later("STORE_MODEL_IN_DB UI_USERNAME UI_PASSWORD PROXY_BASE_URL SERVER_ROOT_PATH", "LiteLLM compatibility", shared=True),
    *later("JWT_PUBLIC_KEY_URL JWT_AUDIENCE JWT_ISSUER", "sign-in with JWTs", shared=True),
    *later("MODEL_COST_MAP_URL", "prices"),
    *later("SLACK_WEBHOOK_URL", "alerts", shared=True),
    *later("CONFIG_FILE_PATH", "LiteLLM's name", instead="PROXY_CONFIG", shared=True),
    *later("LITELLM_LOG", "LiteLLM's name", instead="ANYLLM_LOG_LEVEL"),
    *later("JSON_LOGS", "LiteLLM's name", instead="LOG_FORMAT", shared=True),
    *later("PORT", "LiteLLM's name", instead="LISTEN_PORT", shared=True),
    *later("HOST", "LiteLLM's name", instead="LISTEN_HOST", shared=True),
    *later("NUM_WORKERS", "LiteLLM's name", instead="ANYLLM_WORKERS", shared=True),
    *later("REQUEST_TIMEOUT", "LiteLLM's name", instead="REQUEST_TIMEOUT_SECS", shared=True),
    *later("OPENAI_API_BASE", "LiteLLM's name", instead="OPENAI_BASE_URL", shared=True),
    *later("SSL_VERIFY", "certificates are always verified", instead="TLS_CA_CERT", shared=True),
)

VARIABLES: tuple[Variable, ...] = (*_SERVER, *BACKEND, *HOSTS, *_ACCESS, *_UPSTREAM, *_LIMITS, *_LOGS, *_FILES, *_LATER)
BY_NAME: dict[str, Variable] = {row.name: row for row in VARIABLES}
ALIAS_OF: dict[str, str] = {alias: row.name for row in VARIABLES for alias in row.aliases}
INTERNAL: frozenset[str] = frozenset({"_ANYLLM_RUN_CHILD", "ANYLLM_FAST_BUILD"})
"""Known, but no configuration."""


def known(name: str) -> bool:
    return name in BY_NAME or name in ALIAS_OF or name in INTERNAL
