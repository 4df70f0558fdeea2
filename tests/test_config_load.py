"""anyllm_fast/config/load.py, values.py and backends.py: variables in, Settings, notes and errors out."""

from __future__ import annotations

import hashlib
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast.config import current_settings, install_settings, load_settings, resolve
from anyllm_fast.config.load import Resolved
from anyllm_fast.config.settings import Proxy, Settings, Timeouts
from anyllm_fast.config.values import cores
from anyllm_fast.config.variables import BY_NAME
from anyllm_fast.errors import ConfigError

NOWHERE = Path("/nonexistent-working-directory")
OPENAI = {"OPENAI_API_KEY": "sk-openai-0123456789", "PROXY_API_KEYS": "client-key"}


def read(environ: dict[str, str], flags: dict[str, str] | None = None) -> Resolved:
    return resolve({"HOME": "/nonexistent-home", **environ}, None, NOWHERE, flags)


def settings(environ: dict[str, str], flags: dict[str, str] | None = None) -> Settings:
    resolved = read(environ, flags)
    assert resolved.errors == ()
    assert resolved.settings is not None
    return resolved.settings


def warnings(environ: dict[str, str]) -> list[str]:
    return [str(note) for note in read(environ).notes if note.level == "warning"]


def remarks(environ: dict[str, str]) -> list[str]:
    return [str(note) for note in read(environ).notes if note.level == "info"]


# --- defaults and precedence -------------------------------------------------------------------------------------------------


def test_an_empty_environment_is_the_demo_on_loopback() -> None:
    assert settings({}) == Settings()
    assert read({}).notes == ()


def test_the_defaults_of_the_table_are_those_of_the_shape() -> None:
    """Settings() by hand in a test and the reader's must not drift apart."""
    made = settings({"OPENAI_API_KEY": "k"})
    assert made.timeouts == Timeouts() == Settings().timeouts
    for name in ("keepalive", "shutdown", "max_body_bytes", "max_reply_bytes", "max_frame_bytes"):
        assert getattr(made, name) == getattr(Settings(), name)
    assert made.max_concurrency == Settings().max_concurrency


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "e"
    file.write_text("LISTEN_PORT=1111\nBIG_MODEL=from-file\nOPENAI_API_KEY=sk-file\nSMALL_MODEL=from-file\n")
    environ = {"LISTEN_PORT": "2222", "BIG_MODEL": "from-environment"}
    resolved = resolve(environ, file, tmp_path, {"LISTEN_PORT": "3333"})
    assert resolved.settings is not None
    backend = resolved.settings.backends[0]
    assert resolved.settings.port == 3333
    assert (backend.big_model, backend.small_model, backend.api_key) == ("from-environment", "from-file", "sk-file")
    origins = {name: value.origin for name, value in resolved.values.items()}
    assert origins == {
        "LISTEN_PORT": "command line",
        "BIG_MODEL": "environment",
        "SMALL_MODEL": f"{file}:4",
        "OPENAI_API_KEY": f"{file}:3",
    }
    assert resolved.loaded == 2
    assert resolved.env_file == file


def test_an_empty_environment_variable_still_hides_the_files(tmp_path: Path) -> None:
    file = tmp_path / "e"
    file.write_text("OPENAI_API_KEY=sk-file\n")
    resolved = resolve({"OPENAI_API_KEY": ""}, file, tmp_path)
    assert resolved.settings is not None
    assert resolved.settings.demo
    assert resolved.loaded == 0


@pytest.mark.parametrize(
    ("alias", "target"),
    [
        ("LITELLM_MASTER_KEY", "PROXY_API_KEYS"),
        ("LITELLM_IP_ALLOWLIST", "IP_ALLOWLIST"),
        ("LITELLM_CONFIG", "PROXY_CONFIG"),
        ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"),
        ("AZURE_API_VERSION", "AZURE_OPENAI_API_VERSION"),
        ("AWS_REGION_NAME", "AWS_REGION"),
        ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
        ("https_proxy", "HTTPS_PROXY"),
    ],
)
def test_an_alias_counts_only_where_its_target_is_unset(alias: str, target: str) -> None:
    assert read({alias: "a"}).values[target].text == "a"
    assert read({alias: "a", target: ""}).values[target].text == "a"
    assert read({alias: "a", target: "t"}).values[target].text == "t"


def test_an_alias_in_the_environment_yields_to_its_target_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "e"
    file.write_text("PROXY_API_KEYS=from-file\n")
    made = load_settings({"LITELLM_MASTER_KEY": "alias"}, file, tmp_path)[0]
    assert made.proxy_key_digests == (hashlib.sha256(b"from-file").digest(),)


def test_a_missing_env_file_is_the_error_even_if_the_environment_would_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"could not read env file '.*/gone': No such file or directory"):
        load_settings(OPENAI, Path("gone"), tmp_path)


def test_a_bad_line_in_the_file_does_not_discard_the_rest(tmp_path: Path) -> None:
    (tmp_path / ".anyllm.env").write_text("openai_base_url=x\nOPENAI_API_KEY=sk-file\n")
    made, notes = load_settings({}, None, tmp_path)
    assert made.backends[0].api_key == "sk-file"
    assert any(note.about == f"{tmp_path / '.anyllm.env'}:1" for note in notes)


# --- single values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"LISTEN_PORT": "http"}, "LISTEN_PORT must be a number in 1-65535, got 'http'"),
        ({"LISTEN_PORT": "-1"}, "LISTEN_PORT must be a number in 1-65535, got '-1'"),
        ({"LISTEN_PORT": "65536"}, "LISTEN_PORT must be a number in 1-65535, got '65536'"),
        ({"LISTEN_PORT": "9" * 5000}, f"LISTEN_PORT must be a number in 1-65535, got '{'9' * 80}...'"),
        ({"LISTEN_PORT": "²"}, "LISTEN_PORT must be a number in 1-65535, got '²'"),
        ({"LISTEN_PORT": "0"}, "LISTEN_PORT cannot be 0"),
        ({"ANYLLM_WORKERS": "many"}, "ANYLLM_WORKERS must be 'auto' or a whole number in 1-1024, got 'many'"),
        ({"ANYLLM_WORKERS": "0"}, "ANYLLM_WORKERS must be 'auto' or a whole number in 1-1024, got '0'"),
        ({"REQUEST_TIMEOUT_SECS": "soon"}, "REQUEST_TIMEOUT_SECS must be a number of seconds of 0 or more, got 'soon'"),
        ({"REQUEST_TIMEOUT_SECS": "-1"}, "REQUEST_TIMEOUT_SECS must be a number of seconds of 0 or more, got '-1'"),
        ({"REQUEST_TIMEOUT_SECS": "nan"}, "REQUEST_TIMEOUT_SECS must be a number of seconds of 0 or more, got 'nan'"),
        ({"REQUEST_TIMEOUT_SECS": "inf"}, "REQUEST_TIMEOUT_SECS must be a number of seconds of 0 or more, got 'inf'"),
        ({"ANYLLM_KEEPALIVE_SECS": "0"}, "ANYLLM_KEEPALIVE_SECS must be a number of seconds in 1-86400, got '0'"),
        ({"ANYLLM_MAX_BODY_BYTES": "32MB"}, "ANYLLM_MAX_BODY_BYTES must be a whole number in 1024-1099511627776, got '32MB'"),
        ({"PROXY_OPEN_RELAY": "yes"}, "PROXY_OPEN_RELAY must be 'true' or 'false', got 'yes'"),
        ({"LOG_BODIES": "TRUE"}, "LOG_BODIES must be 'true' or 'false', got 'TRUE'"),
        ({"ANYLLM_ON_LOSS": "panic"}, "unknown ANYLLM_ON_LOSS value 'panic', expected 'announce' or 'refuse'"),
        ({"LOG_FORMAT": "xml"}, "unknown LOG_FORMAT value 'xml', expected 'json', 'text', 'pretty' or 'human'"),
        ({"IP_ALLOWLIST": "10.0.0.1,x"}, "invalid IP_ALLOWLIST entry 'x': not an IPv4 or IPv6 address"),
        (
            {"IP_ALLOWLIST": "10.0.0.0/33"},
            "invalid IP_ALLOWLIST CIDR '10.0.0.0/33': not an IPv4 or IPv6 network",
        ),
        (
            {"LITELLM_IP_ALLOWLIST": "x"},
            "invalid IP_ALLOWLIST entry 'x': not an IPv4 or IPv6 address [LITELLM_IP_ALLOWLIST]",
        ),
        (
            {"ANYLLM_CORS_ORIGINS": "https://a.example,example.com"},
            "invalid ANYLLM_CORS_ORIGINS entry 'example.com': expected scheme://host[:port] or *",
        ),
        (
            {"HTTPS_PROXY": "ftp://p"},
            "HTTPS_PROXY rejected: invalid proxy URL, expected http, https, socks5 or socks5h, a host and maybe a port",
        ),
        ({"TLS_CLIENT_CERT_P12": "/c.p12"}, "TLS_CLIENT_CERT_P12 is set but TLS_CLIENT_CERT_PASSWORD is missing"),
        ({"LISTEN_HOST": "a\x01"}, "LISTEN_HOST contains a control character"),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_variable(environ: dict[str, str], error: str) -> None:
    assert read(environ).errors == (error,)
    with pytest.raises(ConfigError) as caught:
        load_settings({"HOME": "/nonexistent-home", **environ}, None, NOWHERE)
    assert str(caught.value) == error


def test_a_bad_value_from_the_file_or_the_command_line_says_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "e"
    file.write_text("\nLISTEN_PORT=x\n")
    assert resolve({}, file, tmp_path).errors == (f"LISTEN_PORT must be a number in 1-65535, got 'x' [{file}:2]",)
    assert read({}, {"LISTEN_PORT": "x"}).errors == ("LISTEN_PORT must be a number in 1-65535, got 'x' [command line]",)


def test_every_mistake_is_collected() -> None:
    assert len(read({"LISTEN_PORT": "x", "LOG_BODIES": "y", "BACKEND": "z"}).errors) == 3


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("1", True), ("false", False), ("0", False), ("No", False), ("OFF", False)]
)
def test_flags_mean_what_anyllm_proxy_takes_them_for(text: str, expected: bool) -> None:
    assert settings({"LOG_BODIES": text}).log_bodies is expected


def test_numbers_times_and_sizes_are_read() -> None:
    made = settings(
        {
            "LISTEN_PORT": " 8080 ",
            "LISTEN_HOST": "::1",
            "ANYLLM_WORKERS": "1",
            "REQUEST_TIMEOUT_SECS": "0",
            "ANYLLM_CONNECT_TIMEOUT_SECS": "2.5",
            "ANYLLM_FIRST_BYTE_TIMEOUT_SECS": "30",
            "ANYLLM_IDLE_TIMEOUT_SECS": "40",
            "ANYLLM_MAX_BODY_BYTES": "1_048_576",
            "ANYLLM_MAX_CONCURRENCY": "0",
            "ANYLLM_HTTP2_UPSTREAM": "true",
            "ANYLLM_DEGRADATION_WARNINGS": "false",
            "ANYLLM_ON_LOSS": "Refuse",
            "LOG_FORMAT": "pretty",
        }
    )
    assert (made.port, made.host, made.workers) == (8080, "::1", 1)
    assert made.timeouts == Timeouts(2.5, 30.0, 40.0, 0.0)
    assert (made.max_body_bytes, made.max_concurrency) == (1 << 20, 0)
    assert (made.http2_upstream, made.expose_degradation, made.on_loss, made.log_format) == (True, False, "refuse", "text")


def test_workers_auto_is_one_for_each_core_that_may_be_used() -> None:
    assert settings({"ANYLLM_WORKERS": "AUTO"}).workers == cores() >= 1


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({}, "info"),
        ({"RUST_LOG": "warn"}, "warn"),
        ({"RUST_LOG": "WARN"}, "warn"),
        ({"RUST_LOG": "anyllm_proxy=debug,info"}, "debug"),
        ({"RUST_LOG": "info,hyper=debug"}, "info"),
        ({"RUST_LOG": "hyper=debug"}, "error"),
        ({"RUST_LOG": "anyllm_proxy"}, "trace"),
        ({"RUST_LOG": "anyllm_proxy[span{a=1}]=trace"}, "trace"),
        ({"RUST_LOG": "off"}, "off"),
        ({"RUST_LOG": "3"}, "info"),
        ({"RUST_LOG": "anyllm_proxy=loud"}, "info"),
        ({"RUST_LOG": "warn", "ANYLLM_LOG_LEVEL": "debug"}, "debug"),
        ({"ANYLLM_LOG_LEVEL": "Warning"}, "warn"),
    ],
)
def test_the_log_level_comes_from_either_syntax(environ: dict[str, str], level: str) -> None:
    assert settings(environ).log_level == level


def test_proxy_keys_are_kept_as_digests_only() -> None:
    made = settings({"PROXY_API_KEYS": " k1 , “k2”,,k1 "})
    assert made.proxy_key_digests == (hashlib.sha256(b"k1").digest(), hashlib.sha256(b"k2").digest())
    assert made.access == "keys"
    assert not made.open_relay


def test_typographic_quotes_are_removed_from_keys_and_said_so() -> None:
    assert settings({"OPENAI_API_KEY": "“sk-abc”"}).backends[0].api_key == "sk-abc"
    assert "OPENAI_API_KEY: typographic quotes were removed from the value" in warnings({"OPENAI_API_KEY": "‘sk-abc’"})


def test_networks_may_have_host_bits_and_be_single_addresses() -> None:
    made = settings({"IP_ALLOWLIST": "10.1.2.3/8, ::1,192.168.1.7"})
    assert made.ip_allowlist == tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "::1/128", "192.168.1.7/32")))


def test_an_allowlist_that_is_empty_allows_nobody_and_says_so() -> None:
    assert settings({"IP_ALLOWLIST": " , "}).ip_allowlist == ()
    assert settings({"IP_ALLOWLIST": ""}).ip_allowlist == ()
    assert settings({"LITELLM_IP_ALLOWLIST": ""}).ip_allowlist == ()
    assert warnings({"IP_ALLOWLIST": ""}) == ["IP_ALLOWLIST: is set but empty: nobody is served"]
    assert settings({}).ip_allowlist is None


def test_forward_proxies_come_by_scheme_with_one_for_all() -> None:
    made = settings({"https_proxy": "p:1", "ALL_PROXY": "socks5://s:2", "NO_PROXY": "a.example, 10.0.0.0/8"})
    assert made.proxy == Proxy("socks5://s:2", "http://p:1", ("a.example", "10.0.0.0/8"))


def test_the_depth_of_trusted_proxies_is_at_least_one() -> None:
    assert settings({"TRUST_PROXY_HEADERS": "1", "TRUSTED_PROXY_DEPTH": "0"}).trusted_proxy_depth == 1
    assert settings({"TRUST_PROXY_HEADERS": "1", "TRUSTED_PROXY_DEPTH": "2"}).trusted_proxy_depth == 2


# --- notes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "note"),
    [
        (
            {"OPENAI_API_KEY": "k"},
            "PROXY_API_KEYS: none configured: every call is refused until it, or PROXY_OPEN_RELAY=true, is set",
        ),
        ({**OPENAI, "PROXY_OPEN_RELAY": "true"}, "PROXY_OPEN_RELAY: has no effect, because PROXY_API_KEYS is set"),
        (
            {"OPENAI_API_KEY": "k", "PROXY_OPEN_RELAY": "true"},
            "PROXY_OPEN_RELAY: whoever reaches 0.0.0.0:3000 spends your openai key",
        ),
        ({"BACKEND": "openai", "PROXY_API_KEYS": "k"}, "OPENAI_API_KEY: not set: https://api.openai.com will refuse every call"),
        (
            {**OPENAI, "OPENAI_BASE_URL": "http://llm.example.com"},
            "OPENAI_BASE_URL: plain http: the key and all prompts cross the network unencrypted",
        ),
        ({**OPENAI, "ANTHROPIC_API_KEY": "k"}, "ANTHROPIC_API_KEY: not used, the backend is openai"),
        ({"ANTHROPIC_API_KEY": "k", "PROXY_API_KEYS": "k", "BIG_MODEL": "x"}, "BIG_MODEL: not used, the backend is anthropic"),
        ({"TLS_CLIENT_CERT_PASSWORD": "x"}, "TLS_CLIENT_CERT_PASSWORD: ignored, because TLS_CLIENT_CERT_P12 is not set"),
        ({"TRUSTED_PROXY_DEPTH": "2"}, "TRUSTED_PROXY_DEPTH: has no effect without TRUST_PROXY_HEADERS=true"),
        ({"LOG_BODIES": "1"}, "LOG_BODIES: request bodies are logged; they hold what users wrote"),
        ({"RUST_LOG": "anyllm_proxy=loud"}, "RUST_LOG: ignoring the directive 'anyllm_proxy=loud'"),
        ({"OPENAI_APIKEY": "x"}, "OPENAI_APIKEY: is not a recognized variable; did you mean OPENAI_API_KEY?"),
        ({"PROXY_API_KEY": "x"}, "PROXY_API_KEY: is not a recognized variable; did you mean PROXY_API_KEYS?"),
        ({"listen_port": "1"}, "listen_port: is not a recognized variable; did you mean LISTEN_PORT?"),
        ({"ANYLLM_NONSENSE": "x"}, "ANYLLM_NONSENSE: is not a recognized variable"),
        ({"PROXY_CONFIG": "c.toml"}, "PROXY_CONFIG: not used by this version (configuration file (TOML or YAML))"),
        ({"LITELLM_CONFIG": "c.yaml"}, "LITELLM_CONFIG: not used by this version (configuration file (TOML or YAML))"),
        ({"AUTH_MODE": "oidc"}, "AUTH_MODE: not used by this version (sign-in with JWTs)"),
        ({"LITELLM_LOG": "DEBUG"}, "LITELLM_LOG: is not read (LiteLLM's name); set ANYLLM_LOG_LEVEL"),
        (
            {"ANYLLM_WORKERS": "1000"},
            f"ANYLLM_WORKERS: 1000 workers share {cores()} core(s); more than one each gains nothing",
        ),
    ],
)
def test_what_is_hardly_meant_is_said_at_every_start(environ: dict[str, str], note: str) -> None:
    assert read(environ).errors == ()
    assert warnings(environ) == [note]


@pytest.mark.parametrize(
    ("environ", "note"),
    [
        ({"BACKEND": "demo", "OPENAI_API_KEY": "k"}, "OPENAI_API_KEY: not used, the backend is demo"),
        (
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t", "PROXY_API_KEYS": "k"},
            "ANTHROPIC_AUTH_TOKEN: not used, because ANTHROPIC_API_KEY is set",
        ),
        ({"LISTEN_PORT": "80"}, "LISTEN_PORT: 80 is a privileged port on many systems"),
        ({"RUST_LOG": "info", "ANYLLM_LOG_LEVEL": "info"}, "RUST_LOG: not used, because ANYLLM_LOG_LEVEL is set"),
        ({"RUST_LOG": "hyper=info"}, "RUST_LOG: names other programs only, so that errors alone are logged here"),
        ({"GITHUB_TOKEN": "x"}, "GITHUB_TOKEN: not used, the backend is demo; BACKEND=github would use it"),
        ({"TAVILY_API_KEY": "x"}, "TAVILY_API_KEY: not used by this version (credentials of a catalog provider without chat)"),
        ({"PORT": "8080"}, "PORT: is not read (LiteLLM's name); set LISTEN_PORT"),
    ],
)
def test_what_may_well_be_meant_is_left_to_check(environ: dict[str, str], note: str) -> None:
    assert warnings(environ) == []
    assert remarks(environ) == [note]


def test_a_shared_name_in_our_own_file_is_said_at_every_start(tmp_path: Path) -> None:
    file = tmp_path / "e"
    file.write_text("PORT=8080\nGITHUB_TOKEN=x\n")
    file.chmod(0o600)
    notes = resolve({}, file, tmp_path).notes
    assert [(note.level, note.about) for note in notes] == [("warning", "GITHUB_TOKEN"), ("warning", "PORT")]


def test_variables_that_are_needed_before_the_file_have_no_effect_in_it(tmp_path: Path) -> None:
    file = tmp_path / "e"
    file.write_text("ANYLLM_HOME=/x\n")
    notes = resolve({"HOME": "/h"}, file, tmp_path).notes
    assert [str(note) for note in notes] == [f"{file}:1: ANYLLM_HOME has no effect in an env file; set it in the environment"]


def test_the_usual_environment_gives_no_notes() -> None:
    usual = (
        "PATH TERM LANG LC_ALL SHELL USER LOGNAME PWD OLDPWD SHLVL EDITOR HOSTNAME TMPDIR XDG_RUNTIME_DIR DISPLAY SSH_AUTH_SOCK "
        "ANTHROPIC_MODEL ANTHROPIC_CUSTOM_HEADERS OPENAI_LOG OPENAI_ORG FTP_PROXY PYTHONPATH VIRTUAL_ENV DEBUG LOG_LEVEL"
    )
    assert read(dict.fromkeys(usual.split(), "x")).notes == ()


def test_no_message_quotes_a_secret() -> None:
    secret = "hunter2-hunter2"
    environ = {name: f"{secret}\u00e9\n" for name, row in BY_NAME.items() if row.hidden}
    environ |= {"OPENAI_BASE_URL": f"http://u:{secret}@h", "HTTPS_PROXY": f"http://u:{secret}/@h:x", "PROXY_OPEN_RELAY": "1"}
    for backend in ("openai", "anthropic", "demo"):
        resolved = read({**environ, "BACKEND": backend})
        assert resolved.errors
        assert not any(secret in line for line in (*resolved.errors, *map(str, resolved.notes)))


_USED = sorted(name for name, row in BY_NAME.items() if row.status == "used")


@given(st.dictionaries(st.sampled_from(_USED), st.text(max_size=20), max_size=6))
def test_any_values_give_settings_or_errors_of_one_line(environ: dict[str, str]) -> None:
    resolved = read(environ)
    assert (resolved.settings is None) == bool(resolved.errors)
    assert all(error.isprintable() for error in resolved.errors)


@pytest.mark.parametrize("name", [name for name, row in BY_NAME.items() if row.status == "used"])
def test_no_value_breaks_a_message_into_lines(name: str) -> None:
    for backend in ("openai", "anthropic", "demo"):
        environ = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "BACKEND": backend, "PROXY_API_KEYS": "k"}
        for text in ("a\nb\x1b[1m\u2028", "\x00", "x" * 5000, "\ud800"):
            resolved = read({**environ, name: text})
            assert all(line.isprintable() and len(line) < 700 for line in (*resolved.errors, *map(str, resolved.notes)))


# --- the process's own -------------------------------------------------------------------------------------------------------


def test_a_process_has_the_settings_that_it_was_given() -> None:
    mine = Settings(port=4321)
    install_settings(mine)
    assert current_settings() is mine
