"""The schema of bedrock for the ledger's tests: types, values and what a generated body needs around it. Knows no gateway."""

from __future__ import annotations

from typing import Any

SCHEMAS: dict[tuple[str, Any], tuple[Any, ...]] = {}
VALUES: dict[str, Any] = {}


def request(body: dict[str, Any]) -> None:
    """Completes a generated request in place."""


def reply(body: dict[str, Any]) -> None:
    """Completes a generated reply in place."""


def stream(event: dict[str, Any]) -> bytes:
    """A whole stream (SSE frames) in which the generated event has its place."""
    raise NotImplementedError
