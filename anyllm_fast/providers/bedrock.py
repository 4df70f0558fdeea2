"""AWS Bedrock: Claude by InvokeModel, which carries Anthropic's bodies, every model by Converse. Signs by aws_signer.py."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

from msgspec.structs import replace

from anyllm_fast.call import Signer, Surface, Target
from anyllm_fast.config import Backend, map_model
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers import anthropic
from anyllm_fast.providers.aws_signer import open_signer
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.providers.sigv4 import Credentials
from anyllm_fast.upstream.client import parse_origin

_CLAUDE = re.compile(r"(?:^|[./])(?:anthropic\.)?(claude-[a-z0-9.-]+)")
_OWN_ID = re.compile(r"arn:|(?:[a-z-]+\.)?[a-z0-9]+\.[a-z0-9]")
"""A model's id as Bedrock has it: an ARN, or `vendor.model` with or without the region prefix of an inference profile."""
_OPAQUE = re.compile(r"arn:[^/]*:(application-inference-profile|provisioned-model|prompt-router)/")
_NO_SYSTEM = re.compile(r"(amazon\.titan|mistral\.mistral-7b|mistral\.mixtral|cohere\.command-(text|light)|ai21\.j2)")
_RECENT = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(4-[5-9]|[5-9])")
_NO_SCHEMAS = re.compile(r"(amazon\.|meta\.|cohere\.|ai21\.|mistral\.(mistral-7b|mixtral|mistral-(small|large)-24))")
_EFFORT = ((re.compile(r"openai\.gpt-oss"), "reasoning_effort"), (re.compile(r"amazon\.nova-2"), "reasoningConfig"))
_CACHES = re.compile(r"(claude-(3-[57]|(opus|sonnet|haiku|fable|mythos)-\d)|amazon\.nova)")


def target(backend: Backend) -> Target:
    """Raises ConfigError where AWS's own tools would have to find credentials and are not installed."""
    origin, root = parse_origin(backend.base_url)
    claude, every = _invoke(root), _converse(root)

    @lru_cache(maxsize=1024)
    def surfaces(model: str) -> tuple[Surface, ...]:
        if backend.api == "invoke" and (_claude(model) or _OPAQUE.match(model)):
            return (claude,)
        return (claude, every) if backend.api != "converse" and _claude(model) else (every,)

    return Target(
        name=backend.name,
        origin=origin,
        models=None,  # the list is another host's, with other rights
        credentials=credentials_of(backend),
        model_of=lambda requested: requested if _OWN_ID.match(requested) else map_model(backend, requested),
        surfaces=surfaces,
        sign=None if backend.api_key else _open_signer(backend),
    )


def _open_signer(backend: Backend) -> Signer:
    aws = backend.aws
    given = Credentials(aws.access_key_id, aws.secret_access_key, aws.session_token) if aws.access_key_id else None
    return open_signer(aws.region, given, dict(aws.variables))


@lru_cache(maxsize=1024)
def _path(root: str, model: str, operation: str) -> bytes:
    """Ids hold `:` and ARNs `/`, which Bedrock takes percent-encoded only."""
    return f"{root}/model/{quote(model, safe='-._~')}/{operation}".encode()


def _invoke(root: str) -> Surface:
    """Tokens are counted here: CountTokens wraps the body in a form that is neither dialect's."""
    return Surface(
        dialect="anthropic",
        path=lambda model, stream: _path(root, model, "invoke-with-response-stream" if stream else "invoke"),
        profile=lru_cache(maxsize=1024)(profile_of),
        carrier="invoke",
    )


def _converse(root: str) -> Surface:
    return Surface(
        dialect="bedrock",
        path=lambda model, stream: _path(root, model, "converse-stream" if stream else "converse"),
        profile=lru_cache(maxsize=1024)(profile_of),
        carrier="converse",
        count_tokens=lambda model: _path(root, model, "count-tokens"),
    )


def _claude(model: str) -> str:
    """Claude's own name in an id, an inference profile's (`us.`, `eu.`, `apac.`, `global.`, ...) or an ARN; "" if it is none."""
    found = _CLAUDE.search(model.lower())
    return found[1] if found else ""


def profile_of(model: str) -> Profile:
    """Facts about a model of Bedrock by its id. An application's inference profile does not tell what is behind it. Sources:
    docs.aws.amazon.com/bedrock/latest/userguide, conversation-inference-supported-models-features and prompt-caching."""
    name = _claude(model)
    known = anthropic.profile_of(name) if name else Profile()
    return replace(
        known,
        anthropic_model=bool(name),
        cache_points=_CACHES.search(model.lower()) is not None,
        cache_point_lives=_RECENT.search(name) is not None,
        system_prompts=_NO_SYSTEM.search(model.lower()) is None,
        enforced_schemas=_RECENT.search(name) is not None if name else _NO_SCHEMAS.search(model.lower()) is None,
        converse_effort=next((field for pattern, field in _EFFORT if pattern.search(model.lower())), ""),
    )
