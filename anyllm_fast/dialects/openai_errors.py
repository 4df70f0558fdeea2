"""Errors and models lists as OpenAI writes them, for both of its dialects. Nothing else.

Statuses, types and codes are OpenAI's own (https://platform.openai.com/docs/guides/error-codes). Its SDKs retry 408, 409, 429 and
everything from 500 up; Codex reads `code`, above all context_length_exceeded and insufficient_quota.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from anyllm_fast.errors import GatewayError, Kind
from anyllm_fast.neutral.dialect import ModelInfo

ERRORS: dict[Kind, tuple[str, str | None]] = {
    "invalid_request": ("invalid_request_error", None),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "billing": ("insufficient_quota", "insufficient_quota"),
    "permission": ("invalid_request_error", None),
    "not_found": ("invalid_request_error", None),
    "method_not_allowed": ("invalid_request_error", "method_not_supported"),
    "conflict": ("invalid_request_error", None),
    "too_large": ("invalid_request_error", "request_too_large"),
    "unprocessable": ("invalid_request_error", None),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "api": ("server_error", None),
    "timeout": ("server_error", "timeout"),
    "overloaded": ("server_error", "overloaded"),
}
"""Type, and the code where the error brings none of its own."""
STATUSES: dict[Kind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 429,
    "permission": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limit": 429,
    "timeout": 504,
    "overloaded": 503,
}
"""What each kind is here. `api` keeps its own status from 500 up: all of them are retried."""


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _ErrorBody(msgspec.Struct):
    error: _Error


class _Model(msgspec.Struct):
    id: str
    object: str
    created: int
    owned_by: str


class _Models(msgspec.Struct):
    object: str
    data: list[_Model]


class _TheirModel(msgspec.Struct):
    id: str = ""
    created: Any = 0
    owned_by: Any = ""


class _TheirModels(msgspec.Struct):
    data: list[_TheirModel] = []


_encode = msgspec.json.Encoder().encode
_decode_models = msgspec.json.Decoder(_TheirModels).decode


def write_error(error: GatewayError) -> bytes:
    """`param` is the path of the field at fault; the message says it too, for people."""
    kind, code = ERRORS[error.kind]
    if error.kind == "not_found" and error.where == "model":
        code = "model_not_found"
    return _encode(_ErrorBody(_Error(str(error), kind, error.where or None, error.code or code)))


def status_of(error: GatewayError) -> int:
    """The HTTP status that OpenAI would send for this error."""
    return STATUSES.get(error.kind) or (error.status if error.status >= 500 else 500)


def write_models(models: Sequence[ModelInfo]) -> bytes:
    return _encode(_Models("list", [_model(info) for info in models]))


def write_model(info: ModelInfo) -> bytes:
    return _encode(_model(info))


def read_models(body: bytes) -> list[ModelInfo]:
    """An upstream's models list. ValueError if it is none."""
    return [
        ModelInfo(
            m.id,
            m.created if isinstance(m.created, int) and not isinstance(m.created, bool) else 0,
            m.owned_by if isinstance(m.owned_by, str) else "",
        )
        for m in _decode_models(body).data
        if m.id
    ]


def _model(info: ModelInfo) -> _Model:
    return _Model(info.id, "model", info.created, info.owned_by or "system")
