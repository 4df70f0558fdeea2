"""Google Vertex AI: Gemini, Claude as Anthropic's publisher models, and the other publishers behind its Chat endpoint."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

from msgspec.structs import replace

from anyllm_fast.call import Surface, Target
from anyllm_fast.config import Backend, map_model
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers import anthropic, gemini, google_token
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.providers.openai import profile_of as chat_profile
from anyllm_fast.upstream.client import parse_origin

_SAFE = "-._~@"
_OWN_NAME = re.compile("[@/]")  # of a version, or of a publisher or resource: names that only Vertex has
_NAME = r"[\w~@:-][\w.~@:-]*"  # a step of a path that leads nowhere else
_PLACE = rf"(projects/{_NAME}/locations/{_NAME}/)?"
_RESOURCE = re.compile(rf"{_PLACE}(endpoints/{_NAME}|publishers/({_NAME})/models/{_NAME})", re.ASCII)


def target(backend: Backend) -> Target:
    """Raises ConfigError for a credentials file that cannot be used."""
    origin, root = parse_origin(backend.url("/v1"))
    place = _place(backend)
    native = (_gemini(root, place),)
    claude = (_claude(root, place),)
    others = (_chat(root, place),)

    @lru_cache(maxsize=1024)
    def surfaces(model: str) -> tuple[Surface, ...]:
        publisher = _publisher(model)
        return claude if publisher == "anthropic" else native if publisher == "google" else others

    return Target(
        name=backend.name,
        origin=origin,
        models=None,  # there is a list of publisher models, without those that are open to the project
        credentials=credentials_of(backend),
        model_of=lambda requested: requested if _OWN_NAME.search(requested) else map_model(backend, requested),
        surfaces=surfaces,
        sign=None if backend.api_key else google_token.open_tokens(backend).sign,
    )


def _place(backend: Backend) -> str:
    """The head of every resource's name; express mode, a key without a project, has none."""
    google = backend.google
    if not google.project:
        return ""
    return f"projects/{quote(google.project, safe=_SAFE + ':')}/locations/{quote(google.region, safe=_SAFE)}/"


def _publisher(model: str) -> str:
    found = _RESOURCE.fullmatch(model)
    if found:
        return found[3] or "google"
    publisher, slash, _ = model.partition("/")
    if slash:
        return publisher
    return "anthropic" if model.lower().startswith("claude") else "google"


@lru_cache(maxsize=1024)
def _resource(place: str, model: str, publisher: str) -> str:
    """The model's resource: a publisher's, or the tuned one or endpoint that the caller names in full."""
    found = _RESOURCE.fullmatch(model)
    if found:
        return quote(model if found[1] else place + model, safe=_SAFE + "/:")
    return f"{place}publishers/{publisher}/models/{quote(model.removeprefix(f'{publisher}/'), safe=_SAFE)}"


def _gemini(root: str, place: str) -> Surface:
    def resource(model: str) -> str:
        return f"{root}/{_resource(place, model, 'google')}"

    @lru_cache(maxsize=1024)
    def profile(model: str) -> Profile:
        return replace(gemini.profile_of(model), labels=True)

    return Surface(
        dialect="gemini",
        path=lambda model, stream: gemini.operation_path(resource(model), stream),
        profile=profile,
        count_tokens=lambda model: f"{resource(model)}:countTokens".encode(),
    )


def _claude(root: str, place: str) -> Surface:
    """Tokens are counted here: Vertex's own count wants the model in the body, which this carrier takes out of it."""

    def path(model: str, stream: bool) -> bytes:
        return f"{root}/{_resource(place, model, 'anthropic')}:{'streamRawPredict' if stream else 'rawPredict'}".encode()

    profile = lru_cache(maxsize=1024)(anthropic.profile_of)
    return Surface(dialect="anthropic", path=path, profile=profile, carrier="vertex_anthropic")


def _chat(root: str, place: str) -> Surface:
    """Llama, Mistral, DeepSeek and others, by `publisher/model` in the body."""
    path = f"{root}/{place}endpoints/openapi/chat/completions".encode()

    @lru_cache(maxsize=1024)
    def profile(model: str) -> Profile:
        return chat_profile(model, official=False, stream_usage=True)

    return Surface(dialect="openai_chat", path=lambda model, stream: path, profile=profile)
