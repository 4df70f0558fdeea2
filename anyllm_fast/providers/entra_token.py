"""Tokens from Entra ID for a service principal: OAuth's client credentials grant."""

from __future__ import annotations

import time
from urllib.parse import quote

from anyllm_fast.config import Backend
from anyllm_fast.errors import UpstreamBroken
from anyllm_fast.providers.control import Asking, ask, prepare
from anyllm_fast.providers.tokens import Token, Tokens


def open_tokens(backend: Backend) -> Tokens:
    """Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow."""
    prepare(backend)
    azure = backend.azure
    asking = Asking(
        f"{azure.authority}/{quote(azure.tenant_id, safe='')}/oauth2/v2.0/token",
        form={
            "grant_type": "client_credentials",
            "client_id": azure.client_id,
            "client_secret": azure.client_secret,
            "scope": azure.scope,
        },
    )

    async def fetch() -> Token:
        told = await ask(backend, asking)
        value, seconds = told.get("access_token"), told.get("expires_in")
        if not isinstance(value, str):
            raise UpstreamBroken(f"{asking.url} answered without access_token")
        left = float(seconds) if isinstance(seconds, int | float) else 3600.0
        return Token(((b"authorization", b"Bearer " + value.encode()),), time.monotonic() + left)

    return Tokens(fetch)
