"""Which backend the variables describe, and what contradicts it. Checks addresses, connects to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from msgspec.structs import replace

from anyllm_fast.config.address import Draft, aim, read_models
from anyllm_fast.config.aws import read_bedrock
from anyllm_fast.config.azure import read_azure
from anyllm_fast.config.compatible import read_compatible
from anyllm_fast.config.google import read_gemini, read_vertex
from anyllm_fast.config.hosts import Host, Unserved, hosts
from anyllm_fast.config.notes import info, quoted, warning
from anyllm_fast.config.settings import DEMO, Backend, Kind, Speech
from anyllm_fast.config.spelling import closest
from anyllm_fast.config.values import ENVIRONMENT, Reader
from anyllm_fast.config.variables import BY_NAME

KINDS: dict[str, Kind] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure": "azure",
    "gemini": "gemini",
    "vertex": "vertex",
    "vertex_ai": "vertex",
    "bedrock": "bedrock",
    "demo": "demo",
}
"""What BACKEND may be besides the id of a host."""
_KNOWN = "openai, anthropic, azure, gemini, vertex, bedrock, demo"
_SPEECH: tuple[Speech, ...] = ("chat", "responses", "messages")

_OPENAI = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
_ANTHROPIC = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")
_SIGNS: dict[Kind, tuple[str, ...]] = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "azure": ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY"),
    "gemini": ("GEMINI_API_KEY", "GEMINI_BASE_URL"),
    "vertex": ("VERTEX_PROJECT", "VERTEX_API_KEY", "VERTEX_API_BASE"),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
}
"""Variables that nobody sets for anything else: one of them chooses the backend where BACKEND does not. In this order."""
_GEMINI = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GEMINI_BASE_URL", "GEMINI_API_FORMAT")
_MODELS = ("BIG_MODEL", "SMALL_MODEL")
_CHAT = ("OMIT_STREAM_OPTIONS", "OPENAI_API_FORMAT", "ANYLLM_BACKEND_DIALECTS")
_OF_KIND: dict[Kind, tuple[str, ...]] = {
    "openai": (*_OPENAI, "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", *_CHAT, *_MODELS),
    "anthropic": _ANTHROPIC,
    "azure": (*(name for name in BY_NAME if BY_NAME[name].group == "Azure OpenAI"), "OPENAI_API_FORMAT", *_MODELS),
    "gemini": (*_GEMINI, *_MODELS),
    "vertex": (*(name for name in BY_NAME if BY_NAME[name].group == "Gemini and Vertex AI" and name not in _GEMINI), *_MODELS),
    "bedrock": (*(name for name in BY_NAME if BY_NAME[name].group == "Bedrock"), *_MODELS),
    "compatible": (*_OPENAI, *_CHAT, *_MODELS),
}
_OAUTH_PREFIX = "sk-ant-oat"


def read_backend(reader: Reader, listen_port: int) -> Backend:
    """The one backend of this version. Mistakes go to `reader.errors`; what is set in vain to `reader.notes`."""
    kind, host = choose(reader)
    _note_what_is_unused(reader, kind, host)
    if kind == "demo":
        return DEMO
    draft = _READERS[kind](reader) if host is None else read_compatible(reader, host, reader.text("BACKEND").lower())
    backend = aim(reader, draft, listen_port)
    speaks = _read_speech(reader) if kind in {"openai", "compatible"} else ()
    return replace(backend, headers=reader.headers("ANYLLM_UPSTREAM_HEADERS"), speaks=speaks)


def choose(reader: Reader) -> tuple[Kind, Host | None]:
    """BACKEND, else by what is set (_SIGNS), and the demo where there is nothing. With the row of a host of the table."""
    wanted = reader.text("BACKEND").lower()
    if not wanted:
        return next((kind for kind, names in _SIGNS.items() if any(map(reader.given, names))), "demo"), None
    if wanted in KINDS:
        return KINDS[wanted], None
    row = hosts().find(wanted)
    if isinstance(row, Host):
        return "compatible", row
    if isinstance(row, Unserved):
        reader.fail("BACKEND", f"BACKEND={wanted} is known but cannot be used: {row.id} {row.why}")
    else:
        meant = closest(wanted, (*KINDS, *hosts().ids()))
        hint = f" (did you mean {meant}?)" if meant else ""
        shown = quoted(reader.values["BACKEND"].text.strip())
        reader.fail("BACKEND", f"unknown BACKEND value {shown}. Known values: {_KNOWN}, and the hosts of the documentation{hint}")
    return "demo", None


def _read_openai(reader: Reader) -> Draft:
    backend = Backend(
        name="openai",
        kind="openai",
        base_url=reader.url("OPENAI_BASE_URL"),
        api_key=reader.secret("OPENAI_API_KEY"),
        organization=reader.token("OPENAI_ORG_ID"),
        project=reader.token("OPENAI_PROJECT_ID"),
        omit_stream_options=reader.flag("OMIT_STREAM_OPTIONS"),
        api=reader.choice("OPENAI_API_FORMAT"),
    )
    if backend.base_url == BY_NAME["OPENAI_BASE_URL"].default and not backend.api_key:
        reader.notes.append(warning("OPENAI_API_KEY", f"not set: {backend.base_url} will refuse every call"))
    return Draft(read_models(reader, backend, "gpt-4o", "gpt-4o-mini"), "OPENAI_BASE_URL", "/chat/completions")


def _read_anthropic(reader: Reader) -> Draft:
    key, token = reader.secret("ANTHROPIC_API_KEY"), reader.secret("ANTHROPIC_AUTH_TOKEN")
    if key and token:
        reader.notes.append(info("ANTHROPIC_AUTH_TOKEN", "not used, because ANTHROPIC_API_KEY is set"))
    base = reader.url("ANTHROPIC_BASE_URL")
    if base == BY_NAME["ANTHROPIC_BASE_URL"].default and not (key or token):
        reader.fail("BACKEND", "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN is required when BACKEND=anthropic")
    backend = Backend(
        name="anthropic",
        kind="anthropic",
        base_url=base,
        api_key=key or token,
        auth="bearer" if not key or key.startswith(_OAUTH_PREFIX) else "x-api-key",
    )
    return Draft(backend, "ANTHROPIC_BASE_URL", "/messages")


_READERS: dict[Kind, Callable[[Reader], Draft]] = {
    "openai": _read_openai,
    "anthropic": _read_anthropic,
    "azure": read_azure,
    "gemini": read_gemini,
    "vertex": read_vertex,
    "bedrock": read_bedrock,
}


def _read_speech(reader: Reader) -> tuple[Speech, ...]:
    words = tuple(word.lower() for word in reader.words("ANYLLM_BACKEND_DIALECTS"))
    for word in words:
        if word not in _SPEECH:
            reader.fail(
                "ANYLLM_BACKEND_DIALECTS",
                f"unknown ANYLLM_BACKEND_DIALECTS entry {quoted(word)}, expected 'chat', 'responses' or 'messages'",
            )
    return cast(tuple[Speech, ...], words)


def _note_what_is_unused(reader: Reader, kind: Kind, host: Host | None) -> None:
    """Variables of a backend that is not the one in use: said, because a forgotten one is often why calls go elsewhere. Those
    that other programs own as well are only mentioned."""
    wanted = {*_OF_KIND.get(kind, ()), *(host.variables if host else ())}
    chosen = reader.given("BACKEND")
    names = dict.fromkeys(name for names in _OF_KIND.values() for name in names)
    for name in (*names, *(name for name, row in BY_NAME.items() if row.group == "Hosts")):
        if name in wanted or not reader.given(name):
            continue
        row, foreign = BY_NAME[name], BY_NAME[name].shared and reader.values[name].origin == ENVIRONMENT
        tell = info if chosen or foreign else warning
        if row.group == "Hosts" and not chosen:
            named = next(each.id for each in hosts().host if name in each.variables)
            reader.notes.append(tell(name, f"not used, the backend is {kind}; BACKEND={named} would use it"))
        else:
            reader.notes.append(tell(name, f"not used, the backend is {host.id if host else kind}"))
