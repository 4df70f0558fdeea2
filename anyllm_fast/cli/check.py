"""`check`: what the configuration means, where each value came from, what is wrong or set in vain, and where calls would go.

Prints no secret and starts nothing. Lanes and paths are those of the gateway's route table, as a reader sees them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from anyllm_fast import __version__
from anyllm_fast.cli import Options
from anyllm_fast.cli.screen import describe, describe_callers, listen_url
from anyllm_fast.cli.version import implementation
from anyllm_fast.config import resolve
from anyllm_fast.config.env_file import NAME
from anyllm_fast.config.load import Resolved
from anyllm_fast.config.proxies import mask_proxy, proxy_for
from anyllm_fast.config.settings import Backend, Kind, Settings, map_model, mask
from anyllm_fast.config.urls import BaseUrl, read_base_url
from anyllm_fast.config.variables import VARIABLES, Variable

_EXAMPLES = ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5", "gpt-4o")
_LANES: dict[Kind, tuple[tuple[str, str, str], ...]] = {  # our path, how it is carried, the upstream's path
    "openai": (
        ("POST /v1/messages", "translated to Chat Completions", "/v1/chat/completions"),
        ("POST /v1/chat/completions", "as it is", "/v1/chat/completions"),
        ("POST /v1/messages/count_tokens", "counted here (o200k_base)", ""),
        ("GET  /v1/models", "the backend's list", "/v1/models"),
    ),
    "anthropic": (
        ("POST /v1/messages", "as it is", "/v1/messages"),
        ("POST /v1/chat/completions", "translated to Messages", "/v1/messages"),
        ("POST /v1/messages/count_tokens", "as it is", "/v1/messages/count_tokens"),
        ("GET  /v1/models", "the backend's list", "/v1/models"),
    ),
    "demo": (
        ("POST /v1/messages", "answered in this process", ""),
        ("POST /v1/chat/completions", "answered in this process", ""),
        ("POST /v1/messages/count_tokens", "counted here (o200k_base)", ""),
        ("GET  /v1/models", "answered in this process", ""),
    ),
}


def check(options: Options) -> int:
    """Prints the report on stdout; 1 if `serve` would not start, else 0."""
    resolved = resolve(os.environ, options.env_file, Path.cwd(), options.flags)
    sys.stdout.write("".join(f"{line}\n" for line in report(options.prog, resolved)))
    sys.stdout.flush()
    return 0 if resolved.settings is not None else 1


def report(prog: str, resolved: Resolved) -> Iterator[str]:
    yield f"{prog} {__version__} ({implementation()})"
    yield f"data directory  {resolved.data_directory}"
    file = (
        f"{resolved.env_file}, {resolved.loaded} variable(s) loaded"
        if resolved.env_file
        else f"none (neither ./{NAME} nor {resolved.data_directory}/{NAME})"
    )
    yield f"env file        {file}"
    yield ""
    yield from _values(resolved)
    if resolved.settings is not None:
        yield from _meaning(resolved.settings)
    for title, level in (("Warnings", "warning"), ("Remarks", "info")):
        lines = [f"  {note}" for note in resolved.notes if note.level == level]
        if lines:
            yield from ("", title, *lines)
    if resolved.errors:
        yield from ("", "Errors", *(f"  {error}" for error in resolved.errors))
    yield ""
    yield "serve would not start" if resolved.errors else "serve would start"


def _values(resolved: Resolved) -> Iterator[str]:
    """What is set first, for that is what one looks for; then what is not."""
    given: list[str] = []
    defaults: list[str] = []
    for row in VARIABLES:
        if row.status == "later":
            continue
        value = resolved.values.get(row.name)
        if value is None or not value.text.strip():
            defaults.append(f"  {row.name:31} {(row.shown_default or row.default or '-').replace('`', '')}")
        else:
            alias = f" as {value.name}" if value.name != row.name else ""
            given.append(f"  {row.name:31} {shown(row, value.text.strip())}  ({value.origin}{alias})")
    yield "Set"
    yield from given or ["  nothing"]
    yield ""
    yield "Not set, so by default"
    yield from defaults


def shown(row: Variable, text: str) -> str:
    """The value as it may be printed: secrets masked, passwords in URLs too."""
    match row.type:
        case "secret":
            return mask(text)
        case "secrets":
            return ",".join(mask(word.strip()) for word in text.split(",") if word.strip())
        case "headers":
            return "; ".join(f"{line.partition(':')[0].strip()}: ****" for line in text.splitlines() if line.strip())
    return mask_proxy(text) if "@" in text else text


def _meaning(settings: Settings) -> Iterator[str]:
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    yield ""
    yield f"Listens on      {listen_url(settings)}, {workers}"
    yield f"Callers         {describe_callers(settings)}"
    for backend in settings.backends:
        yield f"Backend         {describe(backend)}"
        yield from _lanes(settings, backend)


def _lanes(settings: Settings, backend: Backend) -> Iterator[str]:
    yield ""
    yield "Requests"
    for route, how, path in _LANES[backend.kind]:
        yield f"  {route:31} {how:31} {backend.url(path) if path else ''}".rstrip()
    if backend.base_url:
        proxy = _proxy(settings, backend)
        yield f"  {'forward proxy':31} {mask_proxy(proxy) if proxy else 'none'}"
    yield ""
    yield "Models"
    for requested in _EXAMPLES:
        yield f"  {requested:31} {map_model(backend, requested)}"


def _proxy(settings: Settings, backend: Backend) -> str:
    url: BaseUrl = read_base_url(backend.name, backend.base_url, "")
    return proxy_for(settings.proxy, url.tls, url.host)
