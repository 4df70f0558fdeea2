"""Whole replies of Gemini generateContent, read and written. No stream, no errors, no requests."""

from __future__ import annotations

from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import Reply
from anyllm_fast.neutral.stream import StreamOptions
from anyllm_fast.neutral.usage import Usage


def read_reply(body: bytes, losses: Losses) -> Reply:
    """ValueError if it is none."""
    raise NotImplementedError


def write_reply(reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
    raise NotImplementedError


def read_usage(body: bytes) -> Usage:
    """Counts of a whole reply that is passed on unread. Never raises."""
    raise NotImplementedError
