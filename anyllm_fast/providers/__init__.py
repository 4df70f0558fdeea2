"""Where to send and how to sign: a Backend of the settings becomes a Target. One file per provider, one row each.

Knows URLs, credentials and facts about hosts and models; no JSON but its own models list.
"""

from __future__ import annotations

from collections.abc import Callable

from anyllm_fast.call import Target
from anyllm_fast.config import Backend
from anyllm_fast.providers import anthropic, demo, openai

PROVIDERS: dict[str, Callable[[Backend], Target]] = {
    "openai": openai.target,
    "anthropic": anthropic.target,
    "demo": demo.target,
}


def open_target(backend: Backend) -> Target:
    return PROVIDERS[backend.kind](backend)
