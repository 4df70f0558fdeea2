"""OpenAI, and every host that speaks Chat Completions at a base URL (vLLM, llama.cpp, Ollama, ...)."""

from __future__ import annotations

import re
from functools import lru_cache

from anyllm_fast.call import Surface, Target
from anyllm_fast.config import Backend, map_model
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.upstream.client import parse_origin

_REASONS = re.compile(r"^(o\d|gpt-5|gpt-[6-9]|gpt-\d\d|codex)")
_BREAKPOINTS = re.compile(r"^gpt-(5\.([6-9]|\d\d)|[6-9]|\d\d)")
_SAYS_NONE = re.compile(r"^gpt-(5\.[1-9]|[6-9]|\d\d)")
_OFFICIAL = re.compile(r"(^|\.)openai\.(com|azure\.com)$")


def target(backend: Backend) -> Target:
    origin, path = parse_origin(backend.url("/v1/chat/completions"))
    official = _OFFICIAL.search(origin.host) is not None

    @lru_cache(maxsize=1024)
    def profile(model: str) -> Profile:
        return profile_of(model, official=official, stream_usage=not backend.omit_stream_options)

    chat = path.encode()
    surfaces = (Surface(dialect="openai_chat", path=lambda model, stream: chat, profile=profile),)
    return Target(
        name=backend.name,
        origin=origin,
        models=parse_origin(backend.url("/v1/models"))[1].encode(),
        models_dialect="openai_chat",
        credentials=credentials_of(backend),
        model_of=lambda requested: map_model(backend, requested),
        surfaces=lambda model: surfaces,
    )


def profile_of(model: str, *, official: bool, stream_usage: bool) -> Profile:
    """Facts about a model behind a Chat endpoint.

    At OpenAI's own hosts the model's name tells what it takes. Any other host is taken for what most of them are: vLLM and its
    like, which know max_tokens and reasoning_effort. top_k is no parameter of this API, so no host gets it unasked. Sources: the
    parameter notes of platform.openai.com/docs/api-reference/chat and docs.vllm.ai's OpenAI-compatible server page.
    """
    name = model.rsplit("/", 1)[-1].lower()
    reasons = _REASONS.match(name) is not None
    known = official or name.startswith(("gpt-", "o1", "o3", "o4", "chatgpt-"))
    return Profile(
        max_tokens_field="max_completion_tokens" if known else "max_tokens",
        include_stream_usage=stream_usage,
        cache_breakpoints=_BREAKPOINTS.match(name) is not None,
        samples=not reasons,
        reasoning_effort=reasons or not known,
        takes_reasoning=not known,
        reasoning_off="none" if not known or _SAYS_NONE.match(name) else "minimal" if name.startswith("gpt-5") else "",
    )
