"""Google's Gemini API, and facts about Gemini models, wherever they are served."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

from anyllm_fast.call import Surface, Target
from anyllm_fast.config import Backend, map_model
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.providers.openai import profile_of as chat_profile
from anyllm_fast.upstream.client import parse_origin

_VERSION = re.compile(r"gemini-(\d+)")
_SHORT = re.compile(r"gemini-(1|2\.0)")
_SAFE = "-._~@"


def target(backend: Backend) -> Target:
    origin, root = parse_origin(backend.url("/v1"))
    surfaces = (_compatible(root) if backend.api == "openai" else _native(root),)
    return Target(
        name=backend.name,
        origin=origin,
        models=f"{root}/models?pageSize=1000".encode(),
        models_dialect="gemini",
        credentials=credentials_of(backend),
        model_of=lambda requested: map_model(backend, requested),
        surfaces=lambda model: surfaces,
    )


def _native(root: str) -> Surface:
    return Surface(
        dialect="gemini",
        path=lambda model, stream: operation_path(f"{root}/{resource(model)}", stream),
        profile=lru_cache(maxsize=1024)(profile_of),
        count_tokens=lambda model: f"{root}/{resource(model)}:countTokens".encode(),
    )


def _compatible(root: str) -> Surface:
    """The Chat endpoint beside the native one."""
    path = f"{root}/openai/chat/completions".encode()

    @lru_cache(maxsize=1024)
    def profile(model: str) -> Profile:
        return chat_profile(model, official=False, stream_usage=True)

    return Surface(dialect="openai_chat", path=lambda model, stream: path, profile=profile)


def operation_path(model: str, stream: bool) -> bytes:
    """`model` is the path of the model's resource. alt=sse asks for a stream in events; without it there is one JSON array."""
    return f"{model}:streamGenerateContent?alt=sse".encode() if stream else f"{model}:generateContent".encode()


@lru_cache(maxsize=1024)
def resource(model: str) -> str:
    """The name of the model as a resource, percent-encoded: `models/` unless the caller says another collection."""
    collection, slash, name = model.rpartition("/")
    if slash and collection in {"models", "tunedModels"}:
        return f"{collection}/{quote(name, safe=_SAFE)}"
    return f"models/{quote(model, safe=_SAFE)}"


def profile_of(model: str) -> Profile:
    """Facts about a Gemini model by its name; one without a number (`gemini-flash-latest`) is taken for current where that
    demands more of a request, and for older where it would be refused. Source: ai.google.dev/gemini-api/docs (thinking, thought
    signatures, function calling), as of Gemini 3."""
    name = model.rsplit("/", 1)[-1].lower()
    found = _VERSION.match(name)
    new = int(found[1]) >= 3 if found else False
    return Profile(
        default_max_tokens=8192 if _SHORT.match(name) else 65536,
        thinking_levels=new,
        call_signatures=new or (found is None and name.startswith("gemini-")),
        media_results=new,
        server_tools_with_functions=new,
        format_with_tools=new,
        part_resolution=new,
    )
