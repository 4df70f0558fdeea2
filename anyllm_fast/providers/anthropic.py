"""Anthropic's Messages API, and hosts that speak it at a base URL."""

from __future__ import annotations

import re
from functools import lru_cache

from anyllm_fast.call import Surface, Target
from anyllm_fast.config import Backend
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.upstream.client import parse_origin

_ADAPTIVE = re.compile(r"claude-(opus|sonnet|haiku)-(4-[6-9]|[5-9])")
_BUDGET = re.compile(r"claude-(3-7|(opus|sonnet|haiku)-4(-[0-5])?(-|$))")
_OUTPUT_LIMITS = (
    (re.compile(r"claude-3-(opus|haiku|sonnet)"), 4096),
    (re.compile(r"claude-3-5"), 8192),
    (re.compile(r"claude-(opus-4-[01]|opus-4-2025)"), 32000),
)
_DEFAULT_OUTPUT = 32000


def target(backend: Backend) -> Target:
    origin, path = parse_origin(backend.url("/v1/messages"))
    messages, count = path.encode(), (path + "/count_tokens").encode()
    surfaces = (
        Surface(
            dialect="anthropic",
            path=lambda model, stream: messages,
            profile=lru_cache(maxsize=1024)(profile_of),
            count_tokens=lambda model: count,
        ),
    )
    return Target(
        name=backend.name,
        origin=origin,
        models_dialect="anthropic",
        models=parse_origin(backend.url("/v1/models"))[1].encode() + b"?limit=1000",
        credentials=credentials_of(backend),
        model_of=lambda requested: requested,
        surfaces=lambda model: surfaces,
    )


def profile_of(model: str) -> Profile:
    """Facts about a Claude model by its name; an unknown one is taken for current. Source: docs.claude.com, models overview."""
    name = model.lower()
    limit = next((tokens for pattern, tokens in _OUTPUT_LIMITS if pattern.search(name)), _DEFAULT_OUTPUT)
    old = _BUDGET.search(name) is not None or "claude-3" in name
    return Profile(
        default_max_tokens=limit,
        adaptive_thinking=_ADAPTIVE.search(name) is not None or not old,
        thinking_off=not name.startswith(("claude-fable", "claude-mythos")),
        temperature_with_top_p="claude-3" in name or re.search(r"claude-(opus|sonnet)-4(-0|-2025|$)", name) is not None,
    )
