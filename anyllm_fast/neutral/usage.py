"""Token counts, in the one convention that everything inside uses.

`input` counts prompt tokens that were neither read from nor written to a prompt cache; `cache_read` and `cache_write` come on
top of it. `input` contains `tool_prompt`, `output` contains `reasoning`. (Anthropic reports the same way; OpenAI's prompt_tokens
is the sum of the three.)
"""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct):
    """Counts of one reply. -1 where the upstream did not say."""

    input: int = -1
    output: int = -1
    cache_read: int = -1
    cache_write: int = -1
    cache_write_1h: int = -1  # the part of cache_write that was written for an hour
    reasoning: int = -1
    audio_input: int = -1
    audio_output: int = -1
    web_searches: int = -1
    tool_prompt: int = -1  # prompt tokens that results of the provider's own tools took (Gemini toolUsePromptTokenCount)

    @property
    def prompt(self) -> int:
        """All prompt tokens, cached or not; -1 if unknown."""
        if self.input < 0:
            return -1
        return self.input + max(self.cache_read, 0) + max(self.cache_write, 0)

    @property
    def known(self) -> bool:
        return self.input >= 0 or self.output >= 0
