"""A host of the table of OpenAI-compatible hosts: what is in its row, and nothing about any host by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

import msgspec

from anyllm_fast.call import Target
from anyllm_fast.config import Backend, map_model
from anyllm_fast.config.hosts import Host
from anyllm_fast.config.settings import Speech
from anyllm_fast.errors import ConfigError
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.providers.credentials import credentials_of
from anyllm_fast.providers.openai import WAYS, in_order, open_surface, profile_of
from anyllm_fast.upstream.client import parse_origin


def target(backend: Backend) -> Target:
    """Raises ConfigError for a row whose `facts` or `speaks` name something that does not exist."""
    host = backend.host or Host(id=backend.name)
    origin, _ = parse_origin(backend.url("/v1/chat/completions"))
    facts = lru_cache(maxsize=1024)(facts_of(host, stream_usage=not backend.omit_stream_options))
    paths: dict[Speech, str] = {"chat": "", **cast(dict[Speech, str], host.speaks)}
    spoken = backend.speaks or tuple(paths)
    unknown = [word for word in spoken if word not in WAYS]
    if unknown:
        raise ConfigError(f"the row of host {host.id} speaks something unknown: {', '.join(unknown)}")
    made = {word: open_surface(backend, word, facts, paths.get(word, "")) for word in spoken}
    return Target(
        name=backend.name,
        origin=origin,
        models=parse_origin(backend.url("/v1/models"))[1].encode(),
        models_dialect="openai_chat",
        credentials=credentials_of(backend),
        model_of=lambda requested: map_model(backend, requested),
        surfaces=in_order(backend.api, made, official=False),
    )


def facts_of(host: Host, *, stream_usage: bool) -> Callable[[str], Profile]:
    """What any compatible host takes, with the facts of the row. Raises ConfigError for facts that a Profile does not have."""
    wrong = [name for name in host.facts if name not in Profile.__struct_fields__]
    if wrong:
        raise ConfigError(f"the row of host {host.id} has unknown facts: {', '.join(wrong)}")

    def facts(model: str) -> Profile:
        known = msgspec.structs.asdict(profile_of(model, official=False, stream_usage=stream_usage))
        try:
            return msgspec.convert(known | host.facts, Profile)
        except msgspec.ValidationError as error:
            raise ConfigError(f"the row of host {host.id} has a fact of the wrong type: {error}") from None

    facts("any")
    return facts
