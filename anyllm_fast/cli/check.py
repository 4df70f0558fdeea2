"""`check`: what the configuration means, where each value came from, what is wrong or set in vain, and where calls would go.

Prints no secret and starts nothing. Lanes and paths are those that the workers' targets have.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from anyllm_fast import __version__
from anyllm_fast.call import Target
from anyllm_fast.cli import Options
from anyllm_fast.cli.screen import describe, describe_callers, listen_url
from anyllm_fast.cli.version import implementation
from anyllm_fast.config import resolve
from anyllm_fast.config.env_file import NAME
from anyllm_fast.config.load import Resolved
from anyllm_fast.config.proxies import mask_proxy, proxy_for
from anyllm_fast.config.settings import Backend, Kind, Settings, mask
from anyllm_fast.config.urls import BaseUrl, read_base_url
from anyllm_fast.config.variables import VARIABLES, Variable
from anyllm_fast.errors import ConfigError
from anyllm_fast.providers import open_target

_EXAMPLES = ("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5", "gpt-4o")
_OWN: dict[Kind, tuple[str, ...]] = {
    "gemini": ("gemini-2.5-flash",),
    "vertex": ("gemini-2.5-flash", "claude-sonnet-4-5@20250929"),
    "bedrock": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-pro-v1:0"),
}
"""Further examples, in the backend's own form."""
_CLIENTS = (
    ("POST /v1/messages", "anthropic"),
    ("POST /v1/chat/completions", "openai_chat"),
    ("POST /v1/responses", "openai_responses"),
    ("POST /v1beta/models/...", "gemini"),
    ("POST /model/.../converse", "bedrock"),
)
_NAMES = {
    "anthropic": "Messages",
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "gemini": "generateContent",
    "bedrock": "Converse",
}


def check(options: Options) -> int:
    """Prints the report on stdout; 1 if `serve` would not start, else 0."""
    resolved = resolve(os.environ, options.env_file, Path.cwd(), options.flags)
    targets, errors = _open(resolved)
    sys.stdout.write("".join(f"{line}\n" for line in report(options.prog, resolved, targets, errors)))
    sys.stdout.flush()
    return 1 if errors else 0


def _open(resolved: Resolved) -> tuple[list[Target], list[str]]:
    """What the workers would open, and everything that keeps them from it."""
    errors, targets = list(resolved.errors), []
    for backend in resolved.settings.backends if resolved.settings else ():
        try:
            targets.append(open_target(backend))
        except ConfigError as error:
            errors.append(str(error))
    return targets, errors


def report(prog: str, resolved: Resolved, targets: Sequence[Target], errors: Sequence[str]) -> Iterator[str]:
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
        yield from _meaning(resolved.settings, {target.name: target for target in targets})
    for title, level in (("Warnings", "warning"), ("Remarks", "info")):
        lines = [f"  {note}" for note in resolved.notes if note.level == level]
        if lines:
            yield from ("", title, *lines)
    if errors:
        yield from ("", "Errors", *(f"  {error}" for error in errors))
    yield ""
    yield "serve would not start" if errors else "serve would start"


def _values(resolved: Resolved) -> Iterator[str]:
    """What is set first, for that is what one looks for; then what is not."""
    given: list[str] = []
    defaults: list[str] = []
    for row in VARIABLES:
        if row.status == "later":
            continue
        value = resolved.values.get(row.name)
        if value is None or not value.text.strip():
            if row.group == "Hosts":
                continue  # hundreds, which nobody looks for here
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


def _meaning(settings: Settings, targets: Mapping[str, Target]) -> Iterator[str]:
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    yield ""
    yield f"Listens on      {listen_url(settings)}, {workers}"
    yield f"Callers         {describe_callers(settings)}"
    for backend in settings.backends:
        yield f"Backend         {describe(backend)}"
        if backend.name in targets:
            yield from _lanes(settings, backend, targets[backend.name])


def _lanes(settings: Settings, backend: Backend, target: Target) -> Iterator[str]:
    model = target.model_of("claude-sonnet-4-5")
    here = "answered in this process"
    yield ""
    yield "Requests"
    for route, dialect in _CLIENTS:
        surface = target.surface(model, dialect)
        how = "as it is" if surface.dialect == dialect else f"translated to {_NAMES[surface.dialect]}"
        yield _lane(route, here if target.in_process else how, target, surface.path(model, False))
    count = target.surface(model, "anthropic").count_tokens if target.surface(model, "anthropic").dialect == "anthropic" else None
    how = "as it is" if count else "counted here (o200k_base)"
    yield _lane("POST /v1/messages/count_tokens", how, target, count(model) if count else None)
    how = here if target.in_process else "the backend's list" if target.models else "the backend has no list"
    yield _lane("GET  /v1/models", how, target, target.models)
    if backend.base_url:
        proxy = _proxy(settings, backend)
        yield f"  {'forward proxy':31} {mask_proxy(proxy) if proxy else 'none'}"
    yield ""
    yield "Models"
    for requested in (*_EXAMPLES, *_OWN.get(backend.kind, ())):
        mapped = target.model_of(requested)
        yield f"  {requested:31} {mapped}  ({_NAMES[target.surfaces(mapped)[0].dialect]})"


def _lane(route: str, how: str, target: Target, path: bytes | None) -> str:
    origin = target.origin
    url = "" if path is None or target.in_process else f"{origin.scheme}://{origin.host_header.decode()}{path.decode()}"
    return f"  {route:31} {how:31} {url}".rstrip()


def _proxy(settings: Settings, backend: Backend) -> str:
    url: BaseUrl = read_base_url(backend.name, backend.base_url, "")
    return proxy_for(settings.proxy, url.tls, url.host)
