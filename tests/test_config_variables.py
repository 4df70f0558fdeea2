"""anyllm_fast/config/variables.py, spelling.py and document.py: one table, and everything that comes from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from anyllm_fast.cli import USAGE, VALUE_OPTIONS
from anyllm_fast.config.document import write_document
from anyllm_fast.config.hosts import hosts
from anyllm_fast.config.load import _read
from anyllm_fast.config.spelling import closest, nearest_variable
from anyllm_fast.config.values import Reader, Value
from anyllm_fast.config.variables import ALIAS_OF, BY_NAME, INTERNAL, TYPES, VARIABLES, known
from tests.accounts import service_account

DOCUMENT = Path(__file__).parent.parent / "docs" / "configuration.md"
USED = {row.name for row in VARIABLES if row.status == "used"}


def reader(**texts: str) -> Reader:
    return Reader({name: Value(name, text, "environment") for name, text in texts.items()})


def test_no_name_stands_in_the_table_twice() -> None:
    names = [row.name for row in VARIABLES] + [alias for row in VARIABLES for alias in row.aliases]
    assert len(names) == len(set(names))
    assert not INTERNAL & set(names)


def test_what_the_table_calls_used_is_read_and_nothing_else(tmp_path: Path) -> None:
    read: set[str] = set()
    needed = {
        "anthropic": {"ANTHROPIC_API_KEY": "k"},
        "azure": {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com", "AZURE_OPENAI_API_KEY": "k"},
        "gemini": {"GEMINI_API_KEY": "k"},
        "vertex": {"VERTEX_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": str(service_account(tmp_path))},
        "bedrock": {"AWS_REGION": "us-east-1", "AWS_BEARER_TOKEN_BEDROCK": "k"},
        **{host.id: {"OPENAI_BASE_URL": "http://h:1"} for host in hosts().host},
    }
    for backend in ("openai", *needed, "demo"):
        each = reader(BACKEND=backend, **needed.get(backend, {}))
        _read(each)
        assert each.errors == [], backend
        read |= each.read
    assert read == USED


def test_every_row_can_be_explained() -> None:
    for row in VARIABLES:
        assert row.meaning, row.name
        assert row.type in TYPES
        assert not row.choices or row.type == "choice"
        assert row.status == "used" or row.group == "Later"
        if row.instead:
            assert row.instead in BY_NAME, row.name


def test_the_defaults_of_the_table_can_be_read() -> None:
    each = reader()
    _read(each)
    assert each.errors == []


def test_a_row_cannot_be_read_as_another_type() -> None:
    with pytest.raises(TypeError, match="LISTEN_PORT is a port, read as flag"):
        reader().flag("LISTEN_PORT")


def test_the_document_is_what_the_table_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == write_document(), "run `make docs`"


def test_the_document_names_every_variable_and_alias() -> None:
    document = write_document()
    assert [name for row in VARIABLES for name in (row.name, *row.aliases) if f"`{name}`" not in document] == []


def test_the_command_line_and_the_table_agree_on_options() -> None:
    flags = {row.flag for row in VARIABLES if row.flag}
    assert flags | {"-p", "--env-file"} == set(VALUE_OPTIONS)
    assert all(option in USAGE for option in VALUE_OPTIONS)


def test_what_anyllm_proxy_reads_is_known() -> None:
    reference = """
    BACKEND LISTEN_PORT BIG_MODEL SMALL_MODEL LOG_BODIES RUST_LOG PROXY_CONFIG ANYLLM_DEGRADATION_WARNINGS
    OMIT_STREAM_OPTIONS REQUEST_TIMEOUT_SECS OPENAI_API_KEY OPENAI_BASE_URL OPENAI_API_FORMAT AZURE_OPENAI_ENDPOINT
    AZURE_OPENAI_DEPLOYMENT AZURE_OPENAI_API_KEY AZURE_OPENAI_API_VERSION VERTEX_PROJECT VERTEX_REGION VERTEX_API_KEY
    GOOGLE_ACCESS_TOKEN GEMINI_API_KEY GEMINI_BASE_URL GEMINI_API_FORMAT ANTHROPIC_API_KEY ANTHROPIC_BASE_URL AWS_REGION
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN TLS_CLIENT_CERT_P12 TLS_CLIENT_CERT_PASSWORD TLS_CA_CERT
    PROXY_API_KEYS PROXY_OPEN_RELAY AUTH_MODE OIDC_ISSUER_URL OIDC_AUDIENCE IP_ALLOWLIST TRUST_PROXY_HEADERS
    TRUSTED_PROXY_DEPTH RATE_LIMIT_FAIL_POLICY REDIS_URL WEBHOOK_URLS LANGFUSE_PUBLIC_KEY LANGFUSE_SECRET_KEY LANGFUSE_HOST
    MODEL_PRICING_FILE CACHE_TTL_SECS CACHE_MAX_ENTRIES QDRANT_URL QDRANT_COLLECTION SEMANTIC_CACHE_THRESHOLD FALLBACK_CONFIG
    ADMIN_PORT ADMIN_BIND ADMIN_TOKEN ADMIN_TOKEN_PATH ADMIN_DB_PATH ADMIN_LOG_RETENTION_DAYS DISABLE_ADMIN
    BATCH_WEBHOOK_URLS BATCH_WEBHOOK_SIGNING_SECRET ANYLLM_ALLOW_BASH_EXECUTION ANYLLM_HOME PROVIDER_AUTO_REFRESH
    PROVIDER_REFRESH_INTERVAL_HOURS WEBUI LITELLM_MASTER_KEY LITELLM_CONFIG AZURE_API_KEY AZURE_API_BASE AZURE_API_VERSION
    AWS_REGION_NAME LITELLM_IP_ALLOWLIST ANTHROPIC_AUTH_TOKEN ANTHROPIC_API_BASE LOG_FORMAT REDACT_SECRETS _ANYLLM_RUN_CHILD
    OTEL_EXPORTER_OTLP_ENDPOINT OTEL_SERVICE_NAME OTEL_TRACES_SAMPLER OTEL_TRACES_SAMPLER_ARG
    """
    assert [name for name in reference.split() if not known(name)] == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("openai-api-key", "OPENAI_API_KEY"),
        ("ANTRHOPIC_API_KEY", "ANTHROPIC_API_KEY"),
        ("LISTENPORT", "LISTEN_PORT"),
        ("LOG_FROMAT", "LOG_FORMAT"),
        ("PROXY_API_KEYSS", "PROXY_API_KEYS"),
        ("BIGMODEL", "BIG_MODEL"),
        ("BACKND", "BACKEND"),
        ("PATH", ""),
        ("HOSTNAME", ""),
        ("ANTHROPIC_MODEL", ""),
        ("", ""),
    ],
)
def test_a_misspelt_variable_is_recognised_and_others_are_not(written: str, meant: str) -> None:
    assert nearest_variable(written) == meant


def test_known_names_are_nearest_to_themselves() -> None:
    for name in (*BY_NAME, *ALIAS_OF):
        assert nearest_variable(name).upper().replace("_", "") == name.upper().replace("_", "")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("srv", ""),
        ("serv", "serve"),
        ("serve", "serve"),
        ("sevre", "serve"),
        ("chcek", "check"),
        ("versions", "version"),
        ("help", ""),
    ],
)
def test_short_words_must_be_closer(word: str, meant: str) -> None:
    assert closest(word, ("serve", "check", "version")) == meant
