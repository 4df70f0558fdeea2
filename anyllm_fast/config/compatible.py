"""BACKEND=<id of a host>: a row of the table of hosts and its variables become a Backend."""

from __future__ import annotations

from msgspec.structs import replace

from anyllm_fast.config.address import Draft, read_models
from anyllm_fast.config.hosts import Host
from anyllm_fast.config.notes import info, warning
from anyllm_fast.config.settings import Backend
from anyllm_fast.config.urls import read_base_url
from anyllm_fast.config.values import Reader
from anyllm_fast.errors import ConfigError

_KEY, _BASE = "OPENAI_API_KEY", "OPENAI_BASE_URL"


def read_compatible(reader: Reader, host: Host, name: str) -> Draft:
    """Its own variables count before OpenAI's, which anyllm_proxy reads for every host. `name` is the id as it was asked for."""
    whence, base = _read_base(reader, host)
    usual, version = _own_version(host)
    if base != usual:  # paths beside the base are the host's own and nobody else's
        host = replace(host, speaks={word: path for word, path in host.speaks.items() if not path})
    backend = Backend(
        name=name,
        kind="compatible",
        base_url=base,
        api_key=_read_key(reader, host, base),
        omit_stream_options=reader.flag("OMIT_STREAM_OPTIONS"),
        api=reader.choice("OPENAI_API_FORMAT"),
        host=host,
    )
    if not backend.api_key and not host.local:
        wanted = " or ".join(host.keys) or _KEY
        reader.notes.append(warning(host.keys[0] if host.keys else _KEY, f"{wanted} is not set: {base} will refuse every call"))
    if not reader.given("BIG_MODEL") and not reader.given("SMALL_MODEL"):
        reader.notes.append(info("BIG_MODEL", f"not set: {name} is asked for Claude's models under their own names"))
    return Draft(read_models(reader, backend, "", ""), whence, "/chat/completions", version)


def _read_base(reader: Reader, host: Host) -> tuple[str, str]:
    """The variable that gave the address, and the address."""
    values = {name: reader.text(name) for name in host.placeholders}
    found = {name: reader.url(name) for name in (*host.bases, _BASE)}
    for name, url in found.items():
        if reader.given(name):
            return name, url
    missing = [name for name, value in values.items() if not value]
    if host.base and not missing:
        url = host.address(values)
        return (host.placeholders or host.bases or (_BASE,))[0], url if "://" in url else f"https://{url}"
    wanted = " and ".join(missing) if missing else (host.bases or (_BASE,))[0]
    reader.fail("BACKEND", f"{wanted} is required when BACKEND={host.id}, which has no address of its own")
    return _BASE, ""


def _own_version(host: Host) -> tuple[str, str]:
    """The address of the row, and the version part in it: a moved host is taken to have the same."""
    if not host.base or host.placeholders:
        return "", "/v1" if not host.base else ""
    try:
        return host.base, read_base_url(host.id, host.base, "", "").prefix
    except ConfigError:  # a row that a test of the table would find
        return host.base, "/v1"


def _read_key(reader: Reader, host: Host, base: str) -> str:
    keys = {name: reader.secret(name) for name in (*host.keys, _KEY)}
    name = next((name for name, key in keys.items() if key), "")
    if name == _KEY and not host.local:
        reader.notes.append(
            info(_KEY, f"is sent to {base}, because {' and '.join(host.keys) or 'a variable of its own'} is not set")
        )
    return keys.get(name, "")
