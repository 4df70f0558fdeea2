"""Credentials files of Google Cloud: what one says, and whether it is one. Makes no credentials of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from anyllm_fast.errors import ConfigError

_FILE_LIMIT = 1 << 20
_FILE_TYPES = (
    "service_account",
    "authorized_user",
    "external_account",
    "external_account_authorized_user",
    "impersonated_service_account",
)
LIBRARY = "the google-auth library is missing: pip install 'anyllm-fast[vertex]'"


def read_credentials(path: str) -> dict[str, Any]:
    """What a credentials file says. Raises ConfigError, which names the file and shows nothing of what is in it."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(_FILE_LIMIT)
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror or error}") from None
    try:
        told = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(f"'{path}' is no JSON object") from None
    if told.get("type") not in _FILE_TYPES:
        raise ConfigError(f"'{path}' has no known type; it must be one of {', '.join(_FILE_TYPES)}")
    return told
