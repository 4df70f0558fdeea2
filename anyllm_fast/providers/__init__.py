"""Where to send and how to sign: a Backend of the settings becomes a Target. One file per provider, one row each.

Knows URLs, credentials and facts about hosts and models; no JSON but a token endpoint's.
"""

from __future__ import annotations

from collections.abc import Callable

from anyllm_fast.call import Target
from anyllm_fast.config import Backend
from anyllm_fast.config.settings import Kind
from anyllm_fast.providers import anthropic, azure, bedrock, compatible, demo, gemini, openai, vertex

PROVIDERS: dict[Kind, Callable[[Backend], Target]] = {
    "openai": openai.target,
    "anthropic": anthropic.target,
    "azure": azure.target,
    "gemini": gemini.target,
    "vertex": vertex.target,
    "bedrock": bedrock.target,
    "compatible": compatible.target,
    "demo": demo.target,
}


def open_target(backend: Backend) -> Target:
    """Reads credentials files where there are any; connects to nothing. Raises ConfigError."""
    return PROVIDERS[backend.kind](backend)
