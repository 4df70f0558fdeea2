"""The dialects: one object each, in one table. Nothing outside a dialect's own files asks for its name."""

from __future__ import annotations

from typing import Final

from anyllm_fast.dialects.anthropic import ANTHROPIC
from anyllm_fast.dialects.bedrock import BEDROCK
from anyllm_fast.dialects.gemini import GEMINI
from anyllm_fast.dialects.openai_chat import OPENAI_CHAT
from anyllm_fast.dialects.openai_responses import OPENAI_RESPONSES
from anyllm_fast.neutral.dialect import Dialect

DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect for dialect in (ANTHROPIC, OPENAI_CHAT, OPENAI_RESPONSES, GEMINI, BEDROCK)
}
