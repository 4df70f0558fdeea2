"""Azure OpenAI: OpenAI's APIs under deployments and api-versions or on the v1 surface, and Claude in Foundry resources."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote

from anyllm_fast.call import Signer, Surface, Target
from anyllm_fast.config import Backend, map_model
from anyllm_fast.config.settings import Speech
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers import anthropic, entra_token
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.providers.openai import in_order, profile_of
from anyllm_fast.upstream.client import parse_origin

_RESPONSES_SINCE = "2025-03-01"
_STREAM_USAGE_SINCE = "2024-09-01"
"""First api-versions that have Responses and stream_options. Source: the api-version lifecycle page of learn.microsoft.com."""


def target(backend: Backend) -> Target:
    """`base_url` ends in `/openai`; the version part is `/v1` on the v1 surface and empty on the deployments one."""
    origin, path = parse_origin(backend.base_url)
    version = backend.azure.api_version
    chat, responses = _paths(backend, path)
    has_responses = bool(backend.api_prefix) or version >= _RESPONSES_SINCE
    facts = lru_cache(maxsize=1024)(_facts(backend))
    made: dict[Speech, Surface] = {"chat": Surface(dialect="openai_chat", path=chat, profile=facts)}
    if has_responses:
        made["responses"] = Surface(dialect="openai_responses", path=responses, profile=facts)
    claude = (_claude(path),)
    others = in_order(backend.api, made, official=True)
    credentials = credentials_of(backend)
    if backend.auth == "api-key" and backend.api_key:  # Foundry's Claude wants it under Anthropic's name
        credentials += ((b"x-api-key", backend.api_key.encode()),)
    return Target(
        name=backend.name,
        origin=origin,
        models=_models(backend, path),
        models_dialect="openai_chat",
        credentials=credentials,
        model_of=lambda requested: _deployment(backend, requested),
        surfaces=lambda model: claude if "claude" in _served(backend, model).lower() else others(_served(backend, model)),
        sign=_signer(backend),
    )


def _paths(backend: Backend, path: str) -> tuple[Callable[[str, bool], bytes], Callable[[str, bool], bytes]]:
    """Of Chat and of Responses. On the v1 surface, and for Responses everywhere, the body's model is the deployment."""
    version = backend.azure.api_version
    query = f"?api-version={version}" if version else ""
    if backend.api_prefix:
        root = path + backend.api_prefix
        v1 = f"{root}/chat/completions{query}".encode()
        return lambda model, stream: v1, _fixed(f"{root}/responses{query}")

    @lru_cache(maxsize=1024)
    def chat(model: str, stream: bool) -> bytes:
        return f"{path}/deployments/{quote(model, safe='')}/chat/completions{query}".encode()

    return chat, _fixed(f"{path}/responses{query}")


def _fixed(path: str) -> Callable[[str, bool], bytes]:
    encoded = path.encode()
    return lambda model, stream: encoded


def _claude(path: str) -> Surface:
    """Source: platform.claude.com/docs, Claude in Microsoft Foundry."""
    return Surface(
        dialect="anthropic",
        path=_fixed(f"{path.removesuffix('/openai')}/anthropic/v1/messages"),
        profile=lru_cache(maxsize=1024)(anthropic.profile_of),
    )


def _models(backend: Backend, path: str) -> bytes:
    """What the resource could deploy; no API of the data plane lists deployments."""
    version = backend.azure.api_version
    return f"{path}{backend.api_prefix}/models{f'?api-version={version}' if version else ''}".encode()


def _deployment(backend: Backend, requested: str) -> str:
    mapped = map_model(backend, requested)
    return backend.azure.deployment if backend.azure.deployment and mapped == requested else mapped


def _served(backend: Backend, deployment: str) -> str:
    """The model behind a deployment: what the operator says of the one that is set, else what its name tells."""
    return backend.azure.model if backend.azure.model and deployment == backend.azure.deployment else deployment


def _facts(backend: Backend) -> Callable[[str], Profile]:
    version = backend.azure.api_version
    stream_usage = bool(backend.api_prefix) or version >= _STREAM_USAGE_SINCE

    def facts(deployment: str) -> Profile:
        return profile_of(_served(backend, deployment), official=True, stream_usage=stream_usage)

    return facts


def _signer(backend: Backend) -> Signer | None:
    return entra_token.open_tokens(backend).sign if backend.azure.client_id else None
