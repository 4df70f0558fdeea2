"""Requests of Bedrock Converse, both ways: bytes to neutral and back."""

from __future__ import annotations

from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Request


def read_request(body: bytes, losses: Losses) -> Request:
    """Raises InvalidRequest with the field's path."""
    raise NotImplementedError


def write_request(request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
    """Raises InvalidRequest for content that the API has no words for."""
    raise NotImplementedError
