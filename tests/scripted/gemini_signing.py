"""thoughtSignature of the scripted Gemini: each is bound to the part that it was given on. Knows no request."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from .signing import is_sealed, seal, secret_of

_WORDS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
SKIPS = (*_WORDS, *(base64.b64encode(word.encode()).decode() for word in _WORDS))  # the SDKs have bytes there
"""What the service documents for calls that it did not make itself."""
_TEXT = "text"


def sign_call(name: str, args: Mapping[str, Any]) -> str:
    return seal(_call(name, args))


def sign_text() -> str:
    return seal(_TEXT)


def fits(signature: str, part: Mapping[str, Any]) -> bool:
    """Whether a signature is ours, unaltered, and on a part of the kind that it was given on; a call's on that very call."""
    standard = signature.replace("-", "+").replace("_", "/")
    if not is_sealed(standard):
        return False
    signed = secret_of(standard)
    if "functionCall" in part:
        call = part["functionCall"]
        return signed == _call(call["name"], call.get("args") or {})
    return signed == _TEXT and "text" in part


def _call(name: str, args: Mapping[str, Any]) -> str:
    return f"call {name} {json.dumps(args, sort_keys=True)}"
