"""OpenAI, and every host that speaks its APIs at a base URL: Chat Completions, Responses, some Anthropic's Messages too."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from anyllm_fast.call import Surface, Target
from anyllm_fast.config import Backend, map_model
from anyllm_fast.config.settings import Speech
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers import anthropic
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.upstream.client import parse_origin

_REASONS = re.compile(r"^(o\d|gpt-5|gpt-[6-9]|gpt-\d\d|codex)")
_BREAKPOINTS = re.compile(r"^gpt-(5\.([6-9]|\d\d)|[6-9]|\d\d)")
_SAYS_NONE = re.compile(r"^gpt-(5\.[1-9]|[6-9]|\d\d)")
_CUSTOM_TOOLS = re.compile(r"^(gpt-5|gpt-[6-9]|gpt-\d\d|codex)")
_NO_CHAT = re.compile(r"^(o\d+(-mini)?-(pro|deep-research)|gpt-5(\.\d+)?-(pro|codex)|codex|computer-use)")
"""Models that OpenAI serves by Responses alone (platform.openai.com/docs/models)."""
_OFFICIAL = re.compile(r"(^|\.)openai\.(com|azure\.com)$")

Shape = Callable[[str, Profile], Profile]
"""(model, what its name tells) -> what is true of it at this host."""


class Way(msgspec.Struct, frozen=True):
    """How a host speaks one dialect: an operator's word for it, the neutral name, our path."""

    dialect: str
    path: str


WAYS: dict[Speech, Way] = {
    "chat": Way("openai_chat", "/v1/chat/completions"),
    "responses": Way("openai_responses", "/v1/responses"),
    "messages": Way("anthropic", "/v1/messages"),
}


def target(backend: Backend) -> Target:
    origin, _ = parse_origin(backend.url("/v1/chat/completions"))
    official = is_official(origin.host)
    spoken: tuple[Speech, ...] = backend.speaks
    if not spoken:
        other: tuple[Speech, ...] = ("responses",) if backend.api == "responses" else ("chat",)
        spoken = ("chat", "responses") if official else other
    facts = lru_cache(maxsize=1024)(
        lambda model: profile_of(model, official=official, stream_usage=not backend.omit_stream_options)
    )
    made = {word: open_surface(backend, word, facts) for word in spoken}
    return Target(
        name=backend.name,
        origin=origin,
        models=parse_origin(backend.url("/v1/models"))[1].encode(),
        models_dialect="openai_chat",
        credentials=credentials_of(backend),
        model_of=lambda requested: map_model(backend, requested),
        surfaces=in_order(backend.api, made, official=official),
    )


def is_official(host: str) -> bool:
    """OpenAI's own hosts and Azure's: the ones where a model's name tells what it takes."""
    return _OFFICIAL.search(host) is not None


def open_surface(backend: Backend, word: Speech, facts: Callable[[str], Profile], path: str = "") -> Surface:
    """`path` on the origin, where the host has this dialect elsewhere than beside its base."""
    way = WAYS[word]
    where = (path or parse_origin(backend.url(way.path))[1]).encode()
    known = {"messages": lru_cache(maxsize=1024)(foreign_claude)}.get(word, facts)
    return Surface(dialect=way.dialect, path=lambda model, stream: where, profile=known)


def in_order(api: str, made: dict[Speech, Surface], *, official: bool) -> Callable[[str], tuple[Surface, ...]]:
    """Which of a host's surfaces a model has, the preferred first. `api` is OPENAI_API_FORMAT: `responses` first where it says
    so, with `auto` for models that reason (they think across turns there), and alone for models that have nothing else."""
    usual = tuple(made.values())
    responses = made.get("responses")
    if responses is None or len(usual) == 1:
        return lambda model: usual
    first = (responses, *(surface for surface in usual if surface is not responses))
    alone = tuple(surface for word, surface in made.items() if word != "chat")

    @lru_cache(maxsize=1024)
    def surfaces(model: str) -> tuple[Surface, ...]:
        name = model.rsplit("/", 1)[-1].lower()
        if official and _NO_CHAT.match(name):
            return alone
        return first if api == "responses" or (api == "auto" and _REASONS.match(name)) else usual

    return surfaces


def profile_of(model: str, *, official: bool, stream_usage: bool) -> Profile:
    """Facts about a model behind a Chat or Responses endpoint.

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
        custom_tools=official and _CUSTOM_TOOLS.match(name) is not None,
        web_search_options=official and "-search" in name,
    )


def foreign_claude(model: str) -> Profile:
    """Facts for Messages at a host that is not Anthropic: its models know the older, common form of thinking, and a name of
    Claude's there tells what it tells elsewhere."""
    known = anthropic.profile_of(model)
    return known if "claude" in model.lower() else replace(known, default_max_tokens=8192, adaptive_thinking=False)
