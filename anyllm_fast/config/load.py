"""Variables -> Settings: reads each once, notes what contradicts another, collects every mistake. The only file that knows all.

Precedence: command line, environment, env file, default. LiteLLM's names count where ours are unset.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import msgspec
from msgspec.structs import replace

from anyllm_fast.config.backends import read_backend
from anyllm_fast.config.certificates import read_tls
from anyllm_fast.config.env_file import EnvFile, data_directory, find_env_file, read_env_file
from anyllm_fast.config.notes import Note, info, quoted, warning
from anyllm_fast.config.proxies import read_proxy_url
from anyllm_fast.config.settings import Backend, Network, Proxy, Settings, Timeouts
from anyllm_fast.config.spelling import nearest_variable
from anyllm_fast.config.urls import is_public_listener
from anyllm_fast.config.values import COMMAND_LINE, ENVIRONMENT, Reader, Value, cores, gather, read_rust_log
from anyllm_fast.config.variables import BY_NAME, known
from anyllm_fast.errors import ConfigError

_ORIGIN = re.compile(r"https?://[^\s/?#@]+")


class Resolved(msgspec.Struct, frozen=True):
    """A configuration and how it came about. `settings` is None exactly if there are `errors`.

    `loaded` counts the variables that the env file gave; `values` has what is set, defaults not among them.
    """

    settings: Settings | None
    errors: tuple[str, ...]
    notes: tuple[Note, ...]
    values: dict[str, Value]
    data_directory: Path
    env_file: Path | None = None
    loaded: int = 0


def resolve(environ: Mapping[str, str], env_file: Path | None, cwd: Path, flags: Mapping[str, str]) -> Resolved:
    """Never raises for bad input: every mistake is one line in `errors`."""
    directory = data_directory(environ)
    path = find_env_file(env_file, environ, cwd)
    try:
        file = read_env_file(path, explicit=env_file is not None) if path else EnvFile(Path())
    except ConfigError as error:
        return Resolved(None, (str(error),), (), {}, directory, path)
    values = gather(environ, path, file.entries, flags)
    reader = Reader(values)
    settings = _read(reader)
    notes = (*file.notes, *reader.notes, *_too_late(values), *_misspelt(environ), *_unused(values))
    loaded = sum(entry.key not in environ for entry in file.entries)
    errors = tuple(reader.errors)
    return Resolved(None if errors else settings, errors, notes, values, directory, path, loaded)


def _read(reader: Reader) -> Settings:
    port = reader.port("LISTEN_PORT")
    tls, proxy = read_tls(reader), _read_proxy(reader)
    backend = replace(read_backend(reader, port), proxy=proxy, tls=tls)
    demo = backend.kind == "demo"
    digests, open_relay = _read_keys(reader)
    settings = Settings(
        host=reader.text("LISTEN_HOST") or ("127.0.0.1" if demo else "0.0.0.0"),  # noqa: S104 - the reference's
        port=port,
        workers=reader.workers("ANYLLM_WORKERS"),
        keepalive=reader.seconds("ANYLLM_KEEPALIVE_SECS"),
        shutdown=reader.seconds("ANYLLM_SHUTDOWN_SECS"),
        backends=(backend,),
        demo=demo,
        tls=tls,
        proxy=proxy,
        http2_upstream=reader.flag("ANYLLM_HTTP2_UPSTREAM"),
        timeouts=_read_timeouts(reader),
        proxy_key_digests=digests,
        open_relay=open_relay,
        ip_allowlist=_read_allowlist(reader),
        trust_proxy_headers=reader.flag("TRUST_PROXY_HEADERS"),
        trusted_proxy_depth=_read_depth(reader),
        cors_origins=_read_origins(reader),
        max_body_bytes=reader.count("ANYLLM_MAX_BODY_BYTES"),
        max_reply_bytes=reader.count("ANYLLM_MAX_REPLY_BYTES"),
        max_frame_bytes=reader.count("ANYLLM_MAX_FRAME_BYTES"),
        max_concurrency=reader.count("ANYLLM_MAX_CONCURRENCY"),
        responses_store=reader.text("ANYLLM_RESPONSES_STORE"),
        responses_ttl=reader.seconds("ANYLLM_RESPONSES_TTL_SECS"),
        on_loss=cast(Literal["announce", "refuse"], reader.choice("ANYLLM_ON_LOSS")),
        expose_degradation=reader.flag("ANYLLM_DEGRADATION_WARNINGS"),
        log_level=_read_level(reader),
        log_format="json" if reader.choice("LOG_FORMAT") == "json" else "text",
        log_bodies=reader.flag("LOG_BODIES"),
    )
    reader.path("ANYLLM_HOME")
    reader.choice("ANYLLM_FAST_IMPL")
    reader.notes += _risks(settings, backend)
    return settings


def _read_timeouts(reader: Reader) -> Timeouts:
    return Timeouts(
        reader.seconds("ANYLLM_CONNECT_TIMEOUT_SECS"),
        reader.seconds("ANYLLM_FIRST_BYTE_TIMEOUT_SECS"),
        reader.seconds("ANYLLM_IDLE_TIMEOUT_SECS"),
        reader.seconds("REQUEST_TIMEOUT_SECS"),
    )


def _read_proxy(reader: Reader) -> Proxy:
    urls = {}
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        try:
            urls[name] = read_proxy_url(name, reader.text(name))
        except ConfigError as error:
            reader.fail(name, str(error))
    anywhere = urls.get("ALL_PROXY", "")
    return Proxy(urls.get("HTTP_PROXY") or anywhere, urls.get("HTTPS_PROXY") or anywhere, reader.words("NO_PROXY"))


def _read_keys(reader: Reader) -> tuple[tuple[bytes, ...], bool]:
    keys = reader.secrets("PROXY_API_KEYS")
    open_relay = reader.flag("PROXY_OPEN_RELAY")
    if keys and open_relay:
        reader.notes.append(warning("PROXY_OPEN_RELAY", "has no effect, because PROXY_API_KEYS is set"))
    return tuple(hashlib.sha256(key.encode()).digest() for key in keys), open_relay and not keys


def _read_allowlist(reader: Reader) -> tuple[Network, ...] | None:
    """Set but empty is not unset here: a list that lost its entries must not open the door."""
    if "IP_ALLOWLIST" not in reader.values:
        reader.networks("IP_ALLOWLIST")
        return None
    networks = reader.networks("IP_ALLOWLIST")
    if not networks:
        reader.notes.append(warning("IP_ALLOWLIST", "is set but empty: nobody is served"))
    return networks


def _read_depth(reader: Reader) -> int:
    depth = reader.count("TRUSTED_PROXY_DEPTH")
    if reader.given("TRUSTED_PROXY_DEPTH") and not reader.flag("TRUST_PROXY_HEADERS"):
        reader.notes.append(warning("TRUSTED_PROXY_DEPTH", "has no effect without TRUST_PROXY_HEADERS=true"))
    return max(depth, 1)


def _read_origins(reader: Reader) -> tuple[str, ...]:
    origins = reader.words("ANYLLM_CORS_ORIGINS")
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            reader.fail(
                "ANYLLM_CORS_ORIGINS", f"invalid ANYLLM_CORS_ORIGINS entry {quoted(origin)}: expected scheme://host[:port] or *"
            )
    return tuple(origin.lower() for origin in origins)


def _read_level(reader: Reader) -> str:
    from_rust = read_rust_log(reader, "info")
    own = reader.choice("ANYLLM_LOG_LEVEL")
    if own and reader.given("RUST_LOG"):
        reader.notes.append(info("RUST_LOG", "not used, because ANYLLM_LOG_LEVEL is set"))
    return ("warn" if own == "warning" else own) or from_rust


def _risks(settings: Settings, backend: Backend) -> list[Note]:
    """What works as written but is hardly ever meant."""
    notes = []
    if settings.access == "closed":
        notes.append(
            warning("PROXY_API_KEYS", "none configured: every call is refused until it, or PROXY_OPEN_RELAY=true, is set")
        )
    if settings.access == "open_relay" and is_public_listener(settings.host):
        notes.append(
            warning("PROXY_OPEN_RELAY", f"whoever reaches {settings.host}:{settings.port} spends your {backend.name} key")
        )
    if settings.log_bodies:
        notes.append(warning("LOG_BODIES", "request bodies are logged; they hold what users wrote"))
    if settings.port < 1024:
        notes.append(info("LISTEN_PORT", f"{settings.port} is a privileged port on many systems"))
    if settings.workers > cores():
        notes.append(
            warning("ANYLLM_WORKERS", f"{settings.workers} workers share {cores()} core(s); more than one each gains nothing")
        )
    return notes


def _misspelt(environ: Mapping[str, str]) -> list[Note]:
    """Environment variables that were probably meant for us. The env file's are reported with their line, by its reader."""
    notes = []
    for name in sorted(environ):
        if known(name) or not environ[name]:
            continue
        meant = nearest_variable(name)
        row = BY_NAME.get(meant)
        if row is not None and row.status == "used" and not row.shared:
            notes.append(warning(name, f"is not a recognized variable; did you mean {meant}?"))
        elif name.startswith("ANYLLM_"):
            notes.append(warning(name, "is not a recognized variable"))
    return notes


def _too_late(values: Mapping[str, Value]) -> list[Note]:
    """Variables that are needed before the env file is read."""
    names = ("ANYLLM_HOME", "ANYLLM_FAST_IMPL")
    late = [values[name] for name in names if name in values and values[name].origin not in {ENVIRONMENT, COMMAND_LINE}]
    return [warning(value.origin, f"{value.name} has no effect in an env file; set it in the environment") for value in late]


def _unused(values: Mapping[str, Value]) -> list[Note]:
    notes = []
    for name, value in values.items():
        row = BY_NAME[name]
        if row.status == "used" or not value.text.strip() or value.origin == COMMAND_LINE:
            continue
        tell = info if row.shared and value.origin == ENVIRONMENT else warning
        if row.instead:
            notes.append(tell(value.name, f"is not read ({row.meaning}); set {row.instead}"))
        else:
            notes.append(tell(value.name, f"not used by this version ({row.meaning})"))
    return notes
