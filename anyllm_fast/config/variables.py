"""The table of every variable: name, type, default, meaning. Reads no environment and parses no value.

The reader (values.py, load.py), `check` and docs/configuration.md all come from it. `used` variables do something in this
version, `later` ones are known from anyllm_proxy or LiteLLM and wait for a later version: they are told about, never an error.
Names that other programs own as well (`shared`) are told about only when they stand in our env file.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Type = Literal[
    "choice",
    "count",
    "flag",
    "headers",
    "list",
    "networks",
    "path",
    "port",
    "seconds",
    "secret",
    "secrets",
    "text",
    "url",
    "workers",
]
TYPES: dict[Type, str] = {
    "choice": "one of a few words",
    "count": "whole number",
    "flag": "`true` or `1`; `false` or `0`",
    "headers": "`Name: value`, one per line (`\\n` inside double quotes in the env file)",
    "list": "comma-separated",
    "networks": "comma-separated addresses and CIDR blocks",
    "path": "file or directory",
    "port": "1-65535",
    "seconds": "seconds, a fraction is allowed",
    "secret": "text, never shown",
    "secrets": "comma-separated, never shown",
    "text": "text",
    "url": "http or https URL",
    "workers": "whole number or `auto`",
}
Group = Literal["Server", "Backend", "Access", "Upstream connections", "Limits", "Logs and announcements", "Files", "Later"]


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `default` is text, parsed like a set value; `shown_default` is what documents say where it depends on others."""

    name: str
    type: Type
    default: str = ""
    meaning: str
    group: Group
    aliases: tuple[str, ...] = ()  # read in this order when the name itself is unset or empty
    choices: tuple[str, ...] = ()
    least: float = 0
    most: float = float("inf")
    shown_default: str = ""
    flag: str = ""  # the command line's name for it
    status: Literal["used", "later"] = "used"
    shared: bool = False
    instead: str = ""  # what to set here instead of it

    @property
    def hidden(self) -> bool:
        """Whether its value may be printed at all."""
        return self.type in {"secret", "secrets", "headers"}


def _used(group: Group, name: str, type_: Type, default: str, meaning: str, **more: object) -> Variable:
    row = {"group": group, "name": name, "type": type_, "default": default, "meaning": meaning, **more}
    return msgspec.convert(row, Variable)


def _later(names: str, meaning: str, **more: object) -> list[Variable]:
    rows = [
        {"group": "Later", "type": "text", "status": "later", "name": name, "meaning": meaning, **more} for name in names.split()
    ]
    return msgspec.convert(rows, list[Variable])


_SERVER = (
    _used("Server", "LISTEN_PORT", "port", "3000", "TCP port of the gateway.", flag="--port"),
    _used(
        "Server",
        "LISTEN_HOST",
        "text",
        "",
        "Address to listen on.",
        shown_default="0.0.0.0; 127.0.0.1 on the demo backend",
        flag="--host",
    ),
    _used(
        "Server",
        "ANYLLM_WORKERS",
        "workers",
        "1",
        "Worker processes, each with its own event loop. `auto`: one per core that this process may use.",
        least=1,
        most=1024,
        flag="--workers",
    ),
    _used(
        "Server",
        "ANYLLM_KEEPALIVE_SECS",
        "seconds",
        "120",
        "How long an idle client connection stays open, and how long a request's headers may take. Keep it above the idle time of"
        " the load balancer in front (60 s in many), or that one will now and then send into a closing connection.",
        least=1,
        most=86400,
    ),
    _used(
        "Server",
        "ANYLLM_SHUTDOWN_SECS",
        "seconds",
        "900",
        "After SIGTERM or SIGINT open calls may finish for so long; then they are cut. A second signal cuts at once. 0: no"
        " limit.",
        most=86400,
    ),
)

_BACKEND = (
    _used(
        "Backend",
        "BACKEND",
        "text",
        "",
        "Where calls go: `openai` (any OpenAI-compatible server), `anthropic` or `demo` (built in, needs no account).",
        shown_default="`openai` if OPENAI_API_KEY or OPENAI_BASE_URL is set, else `anthropic` if its key or URL is, else `demo`",
    ),
    _used("Backend", "OPENAI_API_KEY", "secret", "", "Key for the OpenAI-compatible server. A local server needs none."),
    _used(
        "Backend",
        "OPENAI_BASE_URL",
        "url",
        "https://api.openai.com",
        "Address of the OpenAI-compatible server, with or without the trailing `/v1`. Loopback and private addresses are fine.",
    ),
    _used(
        "Backend",
        "OPENAI_ORG_ID",
        "text",
        "",
        "Sent as `openai-organization`.",
        aliases=["OPENAI_ORGANIZATION"],
    ),
    _used(
        "Backend",
        "OPENAI_PROJECT_ID",
        "text",
        "",
        "Sent as `openai-project`.",
        aliases=["OPENAI_PROJECT"],
    ),
    _used(
        "Backend",
        "OPENAI_API_FORMAT",
        "choice",
        "chat",
        "Which API of the OpenAI backend is used. `responses` is not available in this version.",
        choices=["chat", "responses"],
    ),
    _used("Backend", "ANTHROPIC_API_KEY", "secret", "", "Key for Anthropic, sent as `x-api-key` (an OAuth token as Bearer)."),
    _used("Backend", "ANTHROPIC_AUTH_TOKEN", "secret", "", "Bearer token for Anthropic; used if ANTHROPIC_API_KEY is unset."),
    _used(
        "Backend",
        "ANTHROPIC_BASE_URL",
        "url",
        "https://api.anthropic.com",
        "Address of the Anthropic-compatible server, with or without the trailing `/v1`.",
        aliases=["ANTHROPIC_API_BASE"],
    ),
    _used("Backend", "BIG_MODEL", "text", "gpt-4o", "Upstream model for requests that name a `sonnet` or `opus` (openai only)."),
    _used("Backend", "SMALL_MODEL", "text", "gpt-4o-mini", "Upstream model for requests that name a `haiku` (openai only)."),
    _used(
        "Backend",
        "OMIT_STREAM_OPTIONS",
        "flag",
        "false",
        "Do not ask the OpenAI backend for usage in streams, for servers that refuse `stream_options`.",
    ),
    _used("Backend", "ANYLLM_UPSTREAM_HEADERS", "headers", "", "Headers added to every request to the backend."),
)

_ACCESS = (
    _used(
        "Access",
        "PROXY_API_KEYS",
        "secrets",
        "",
        "The keys that clients may use, as `x-api-key`, `x-goog-api-key` or Bearer.",
        aliases=["LITELLM_MASTER_KEY"],
    ),
    _used(
        "Access",
        "PROXY_OPEN_RELAY",
        "flag",
        "false",
        "Accept any non-empty credential. Only if PROXY_API_KEYS is empty; whoever reaches the port spends your key.",
    ),
    _used(
        "Access",
        "IP_ALLOWLIST",
        "networks",
        "",
        "Only these client addresses are served, on every route. Set but empty: nobody is.",
        aliases=["LITELLM_IP_ALLOWLIST"],
        shown_default="everybody",
    ),
    _used("Access", "TRUST_PROXY_HEADERS", "flag", "false", "Take the client's address from `x-forwarded-for`."),
    _used(
        "Access",
        "TRUSTED_PROXY_DEPTH",
        "count",
        "1",
        "With TRUST_PROXY_HEADERS: which entry of `x-forwarded-for`, counted from the right.",
        most=64,
    ),
    _used(
        "Access",
        "ANYLLM_CORS_ORIGINS",
        "list",
        "",
        "Origins of browser pages that may call, e.g. `https://app.example.com`, or `*`.",
        shown_default="none",
    ),
)

_UPSTREAM = (
    _used(
        "Upstream connections",
        "REQUEST_TIMEOUT_SECS",
        "seconds",
        "900",
        "Wall-clock limit of one streamed reply. 0: none.",
    ),
    _used("Upstream connections", "ANYLLM_CONNECT_TIMEOUT_SECS", "seconds", "10", "Limit for connecting, TLS included. 0: none."),
    _used(
        "Upstream connections",
        "ANYLLM_FIRST_BYTE_TIMEOUT_SECS",
        "seconds",
        "900",
        "Limit from the request's last byte to the reply's first. Reasoning models think in silence for minutes. 0: none.",
    ),
    _used("Upstream connections", "ANYLLM_IDLE_TIMEOUT_SECS", "seconds", "900", "Limit between two reads of a reply. 0: none."),
    _used("Upstream connections", "ANYLLM_HTTP2_UPSTREAM", "flag", "false", "Speak HTTP/2 to backends that offer it."),
    _used("Upstream connections", "TLS_CA_CERT", "path", "", "PEM file of authorities to trust beside the system's."),
    _used("Upstream connections", "TLS_CLIENT_CERT_P12", "path", "", "PKCS#12 file with the client certificate for mutual TLS."),
    _used("Upstream connections", "TLS_CLIENT_CERT_PASSWORD", "secret", "", "Password of TLS_CLIENT_CERT_P12."),
    _used(
        "Upstream connections",
        "HTTP_PROXY",
        "text",
        "",
        "Forward proxy for http backends. Loopback backends are always reached directly.",
        aliases=["http_proxy"],
        shared=True,
    ),
    _used(
        "Upstream connections",
        "HTTPS_PROXY",
        "text",
        "",
        "Forward proxy for https backends.",
        aliases=["https_proxy"],
        shared=True,
    ),
    _used(
        "Upstream connections",
        "ALL_PROXY",
        "text",
        "",
        "Forward proxy where no other is set.",
        aliases=["all_proxy"],
        shared=True,
    ),
    _used(
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
    _used(
        "Limits",
        "ANYLLM_MAX_BODY_BYTES",
        "count",
        "33554432",
        "Largest request body, after decompression.",
        least=1024,
        most=1 << 40,
    ),
    _used(
        "Limits", "ANYLLM_MAX_REPLY_BYTES", "count", "67108864", "Largest reply that is not streamed.", least=1024, most=1 << 40
    ),
    _used("Limits", "ANYLLM_MAX_FRAME_BYTES", "count", "16777216", "Largest single event of a stream.", least=1024, most=1 << 40),
    _used(
        "Limits",
        "ANYLLM_MAX_CONCURRENCY",
        "count",
        "2000",
        "Calls that a backend carries at once, per worker; one more is answered with 429. A core is busy with 300 to 700"
        " streams that talk all the time, so 2000 leaves room for those that think, at 100 to 200 MB. 0: no limit.",
        most=1_000_000,
    ),
)

_LOGS = (
    _used(
        "Logs and announcements",
        "ANYLLM_LOG_LEVEL",
        "choice",
        "",
        "`off`, `error`, `warn`, `info`, `debug` or `trace`. Wins over RUST_LOG.",
        choices=["off", "error", "warn", "warning", "info", "debug", "trace"],
        shown_default="from RUST_LOG, else `info`",
        flag="--log-level",
    ),
    _used(
        "Logs and announcements",
        "RUST_LOG",
        "text",
        "",
        "The same in the syntax of the proxy that this one replaces: `info`, or `anyllm_proxy=debug,info`.",
        shared=True,
    ),
    _used(
        "Logs and announcements",
        "LOG_FORMAT",
        "choice",
        "json",
        "Log lines on stdout as `json` or `text`.",
        choices=["json", "text", "pretty", "human"],
    ),
    _used("Logs and announcements", "LOG_BODIES", "flag", "false", "Log the first 16 KiB of request bodies: what users wrote."),
    _used(
        "Logs and announcements",
        "ANYLLM_DEGRADATION_WARNINGS",
        "flag",
        "true",
        "Name what a translation could not carry in the reply header `x-anyllm-degradation`.",
    ),
    _used(
        "Logs and announcements",
        "ANYLLM_ON_LOSS",
        "choice",
        "announce",
        "`announce`: a request that cannot be carried whole is sent and the loss announced; `refuse`: it is answered with 400.",
        choices=["announce", "refuse"],
    ),
)

_FILES = (
    _used(
        "Files",
        "ANYLLM_HOME",
        "path",
        "",
        "Data directory. In this version only `.anyllm.env` is looked for there, and nothing is written. Environment only.",
        shown_default="~/.anyllm",
    ),
    _used(
        "Files",
        "ANYLLM_FAST_IMPL",
        "choice",
        "",
        "`native` or `python`: which implementation of the hot path runs. Environment only.",
        choices=["native", "python"],
        shown_default="native if it was built",
    ),
)

_PROVIDER_KEYS = """
AI21_API_KEY AIML_API_KEY ALEPH_ALPHA_API_KEY ANYSCALE_API_KEY ARK_API_KEY ASSEMBLYAI_API_KEY AZURE_AI_API_BASE AZURE_AI_API_KEY
BASETEN_API_KEY BLACKBOXAI_API_KEY BRAVE_API_KEY BYTEZ_KEY CARTESIA_API_KEY CEREBRAS_API_KEY CHUTES_API_KEY CLARIFAI_API_KEY
CLARIFAI_PAT CLOUDFLARE_ACCOUNT_ID CLOUDFLARE_API_KEY CODESTRAL_API_KEY COHERE_API_KEY DASHSCOPE_API_KEY DATABRICKS_API_KEY
DATABRICKS_HOST DATABRICKS_TOKEN DEEPGRAM_API_KEY DEEPINFRA_API_KEY DEEPSEEK_API_KEY DIGITALOCEAN_INFERENCE_KEY
ELEVENLABS_API_KEY EXA_API_KEY FEATHERLESS_API_KEY FIREWORKS_API_KEY FRIENDLIAI_API_KEY FRIENDLIAI_TOKEN FRIENDLI_TOKEN
GALADRIEL_API_KEY GITHUB_TOKEN GMI_CLOUD_API_KEY GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLOUD_LOCATION GOOGLE_CLOUD_PROJECT
GRADIENT_ACCESS_TOKEN GROQ_API_KEY HF_TOKEN HUGGINGFACE_API_KEY HYPERBOLIC_API_KEY IFLYTEK_API_KEY JINA_AI_API_KEY
LAMBDA_API_KEY LLAMA_API_KEY MIMO_API_KEY MINIMAX_API_KEY MISTRAL_API_KEY MOONSHOT_API_KEY MORPH_API_KEY NANOGPT_API_KEY
NEBIUS_API_KEY NLP_CLOUD_API_KEY NOVITA_API_KEY NSCALE_API_KEY NVIDIA_API_KEY NVIDIA_NIM_API_KEY OPENROUTER_API_KEY
OVHCLOUD_API_KEY OVH_AI_ENDPOINTS_ACCESS_TOKEN PERPLEXITYAI_API_KEY PERPLEXITY_API_KEY PLAYAI_API_KEY PLAYHT_SECRET_KEY
PLAYHT_USER_ID PREDIBASE_API_KEY PUBLIC_AI_API_KEY QIANFAN_AK QIANFAN_API_KEY QIANFAN_SK REPLICATE_API_KEY REPLICATE_API_TOKEN
SAMBANOVA_API_KEY SCW_SECRET_KEY SERPER_API_KEY SILICONFLOW_API_KEY SNOWFLAKE_ACCOUNT_ID SNOWFLAKE_JWT SNOWFLAKE_PAT
SPARK_API_KEY STABILITY_API_KEY TAVILY_API_KEY TOGETHERAI_API_KEY TOGETHER_API_KEY VERTEX_LOCATION VOLCENGINE_API_KEY
VOYAGE_API_KEY WANDB_API_KEY WATSONX_APIKEY WATSONX_API_KEY WATSONX_PROJECT_ID WATSONX_REGION WATSONX_SPACE_ID WATSONX_TOKEN
WATSONX_URL XAI_API_KEY XIAOMI_MIMO_API_KEY ZAI_API_KEY ZHIPUAI_API_KEY
"""

_LATER = (
    *_later("PROXY_CONFIG", "configuration file (TOML or YAML)", aliases=["LITELLM_CONFIG"]),
    *_later("AZURE_OPENAI_API_KEY", "Azure backend", aliases=["AZURE_API_KEY"], type="secret"),
    *_later("AZURE_OPENAI_ENDPOINT", "Azure backend", aliases=["AZURE_API_BASE"]),
    *_later("AZURE_OPENAI_API_VERSION", "Azure backend", aliases=["AZURE_API_VERSION"]),
    *_later("AZURE_OPENAI_DEPLOYMENT", "Azure backend"),
    *_later("VERTEX_PROJECT VERTEX_REGION VERTEX_API_KEY", "Vertex AI backend"),
    *_later("GOOGLE_ACCESS_TOKEN", "Vertex AI backend", shared=True),
    *_later("GEMINI_API_KEY GEMINI_BASE_URL GEMINI_API_FORMAT", "Gemini backend"),
    *_later("AWS_REGION", "Bedrock backend", aliases=["AWS_REGION_NAME"], shared=True),
    *_later("AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN", "Bedrock backend", shared=True),
    *_later(_PROVIDER_KEYS, "credentials of a catalog provider", type="secret", shared=True),
    *_later("AUTH_MODE OIDC_ISSUER_URL OIDC_AUDIENCE", "sign-in with JWTs"),
    *_later("RATE_LIMIT_FAIL_POLICY", "rate limits"),
    *_later("REDIS_URL", "rate limits and cache shared between machines", shared=True),
    *_later("WEBHOOK_URLS", "webhooks"),
    *_later("LANGFUSE_PUBLIC_KEY LANGFUSE_SECRET_KEY LANGFUSE_HOST", "Langfuse", shared=True),
    *_later("MODEL_PRICING_FILE", "prices"),
    *_later("CACHE_TTL_SECS CACHE_MAX_ENTRIES QDRANT_URL QDRANT_COLLECTION SEMANTIC_CACHE_THRESHOLD", "response cache"),
    *_later("FALLBACK_CONFIG", "fallback chains"),
    *_later(
        "OTEL_EXPORTER_OTLP_ENDPOINT OTEL_SERVICE_NAME OTEL_TRACES_SAMPLER OTEL_TRACES_SAMPLER_ARG OTEL_EXPORTER",
        "OpenTelemetry",
        shared=True,
    ),
    *_later(
        "ADMIN_PORT ADMIN_BIND ADMIN_TOKEN ADMIN_TOKEN_PATH ADMIN_DB_PATH ADMIN_LOG_RETENTION_DAYS DISABLE_ADMIN WEBUI",
        "admin server",
    ),
    *_later("ADMIN", "admin server", shared=True),
    *_later("PROVIDER_AUTO_REFRESH PROVIDER_REFRESH_INTERVAL_HOURS", "provider catalog"),
    *_later("BATCH_WEBHOOK_URLS BATCH_WEBHOOK_SIGNING_SECRET", "batches"),
    *_later("ANYLLM_ALLOW_BASH_EXECUTION", "built-in tools"),
    *_later("ANTHROPIC_FORWARD_CLIENT_AUTH ANTHROPIC_THINKING_REPAIR LITELLM_ANTHROPIC_DISABLE_URL_SUFFIX", "Anthropic backend"),
    *_later("FORGE_TOOL_CALL_POLICY", "tool policies"),
    *_later("REDACT_SECRETS", "redaction of secrets in requests"),
    *_later(
        "PXPIPE_COMPRESS PXPIPE_MODELS PXPIPE_HISTORY RTK_COMPRESS RTK_MODELS OPTIMIZER_MODE"
        " MODEL_URL MODEL_SHA256 MODEL_CACHE_DIR",
        "request compression",
    ),
    *_later("DATABASE_URL DIRECT_URL DATABASE_URL_READ_REPLICA", "PostgreSQL", shared=True),
    *_later("LITELLM_SALT_KEY LITELLM_LICENSE LITELLM_MODE LITELLM_LOCAL_MODEL_COST_MAP LITELLM_RUST", "LiteLLM compatibility"),
    *_later(
        "REDIS_HOST REDIS_PORT REDIS_PASSWORD REDIS_USERNAME REDIS_SSL REDIS_CLUSTER_NODES REDIS_SENTINEL_NODES",
        "Redis",
        shared=True,
    ),
    *_later("STORE_MODEL_IN_DB UI_USERNAME UI_PASSWORD PROXY_BASE_URL SERVER_ROOT_PATH", "LiteLLM compatibility", shared=True),
    *_later("JWT_PUBLIC_KEY_URL JWT_AUDIENCE JWT_ISSUER", "sign-in with JWTs", shared=True),
    *_later("MODEL_COST_MAP_URL", "prices"),
    *_later("SLACK_WEBHOOK_URL", "alerts", shared=True),
    *_later("CONFIG_FILE_PATH", "LiteLLM's name", instead="PROXY_CONFIG", shared=True),
    *_later("LITELLM_LOG", "LiteLLM's name", instead="ANYLLM_LOG_LEVEL"),
    *_later("JSON_LOGS", "LiteLLM's name", instead="LOG_FORMAT", shared=True),
    *_later("PORT", "LiteLLM's name", instead="LISTEN_PORT", shared=True),
    *_later("HOST", "LiteLLM's name", instead="LISTEN_HOST", shared=True),
    *_later("NUM_WORKERS", "LiteLLM's name", instead="ANYLLM_WORKERS", shared=True),
    *_later("REQUEST_TIMEOUT", "LiteLLM's name", instead="REQUEST_TIMEOUT_SECS", shared=True),
    *_later("OPENAI_API_BASE", "LiteLLM's name", instead="OPENAI_BASE_URL", shared=True),
    *_later("SSL_VERIFY", "certificates are always verified", instead="TLS_CA_CERT", shared=True),
)

VARIABLES: tuple[Variable, ...] = (*_SERVER, *_BACKEND, *_ACCESS, *_UPSTREAM, *_LIMITS, *_LOGS, *_FILES, *_LATER)
BY_NAME: dict[str, Variable] = {row.name: row for row in VARIABLES}
ALIAS_OF: dict[str, str] = {alias: row.name for row in VARIABLES for alias in row.aliases}
INTERNAL: frozenset[str] = frozenset({"_ANYLLM_RUN_CHILD", "ANYLLM_FAST_BUILD"})
"""Known, but no configuration."""


def known(name: str) -> bool:
    return name in BY_NAME or name in ALIAS_OF or name in INTERNAL
