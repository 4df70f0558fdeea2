"""Who we are to AWS: credentials from wherever its SDKs find them, and a signature on every request.

Keys that are given outright need nothing else. Everything else (profiles, web identity, container and instance metadata, SSO) is
botocore's own chain, in a thread, because it waits for the network; it heeds the AWS_* variables that its users know. What it
gives is kept and asked again once a minute beside the calls: botocore refreshes a quarter of an hour before keys expire, so a
call waits only for the first ones, and after a long silence.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from anyllm_fast.call import Signer
from anyllm_fast.errors import ConfigError, UpstreamError
from anyllm_fast.providers.sigv4 import Credentials, Scope, sign
from anyllm_fast.upstream import UpstreamRequest

CHECK_AFTER: Final = 60.0
"""Seconds after which credentials are asked for again, beside the calls."""
TRUST_FOR: Final = 600.0
"""Seconds after which a call waits for that: nobody asked meanwhile, so they may have expired."""
PATIENCE: Final = 20.0
"""Seconds that the chain may take."""

Fetch = Callable[[], Credentials | None]
"""Runs in a thread. None: nothing found. May raise anything."""


class NoCredentials(UpstreamError):
    """AWS credentials could not be found or fetched. 502: it is our side that cannot prove who it is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=502)


def open_signer(region: str, given: Credentials | None, variables: Mapping[str, str]) -> Signer:
    """Signs for Bedrock in `region`. `given`: keys that the operator wrote down; without them the chain is asked, with the
    operator's AWS_* `variables` in the environment. Raises ConfigError where the chain needs a library that is not installed."""
    scope = Scope(region)
    if given is not None:

        async def sign_with_given(request: UpstreamRequest) -> None:
            sign(request, given, scope, datetime.now(UTC))

        return sign_with_given
    return Refreshed(_chain(variables), scope).sign


class Refreshed:
    """Credentials that change while we run."""

    def __init__(self, fetch: Fetch, scope: Scope) -> None:
        self._fetch = fetch
        self._scope = scope
        self._known: Credentials | None = None
        self._asked_at = 0.0
        self._asking: asyncio.Task[Credentials] | None = None

    async def sign(self, request: UpstreamRequest) -> None:
        """Raises NoCredentials."""
        sign(request, await self._current(), self._scope, datetime.now(UTC))

    async def _current(self) -> Credentials:
        age = time.monotonic() - self._asked_at
        if self._known is not None and age < CHECK_AFTER:
            return self._known
        asking = self._ask()
        if self._known is not None and age < TRUST_FOR:
            return self._known
        return await asyncio.shield(asking)  # others may wait for it too

    def _ask(self) -> asyncio.Task[Credentials]:
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._refresh())
            self._asking.add_done_callback(self._asked)
        return self._asking

    def _asked(self, task: asyncio.Task[Credentials]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # looked at: who waited has it, and where nobody did the old ones go on

    async def _refresh(self) -> Credentials:
        try:
            async with asyncio.timeout(PATIENCE):
                found = await asyncio.to_thread(self._fetch)
        except TimeoutError:
            raise NoCredentials(f"AWS credentials could not be fetched within {PATIENCE:.0f} s") from None
        except Exception as error:  # botocore's errors have no common ancestor with those of its transport
            raise NoCredentials(f"AWS credentials could not be fetched: {str(error)[:300]}") from error
        if found is None:
            raise NoCredentials(
                "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or"
                " AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, or run where container or instance metadata gives a role"
            )
        self._known, self._asked_at = found, time.monotonic()
        return found


def _chain(variables: Mapping[str, str]) -> Fetch:
    try:
        from botocore.session import Session
    except ImportError:
        raise ConfigError(
            "BACKEND=bedrock: AWS credentials other than AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, and"
            " AWS_BEARER_TOKEN_BEDROCK, need botocore: pip install 'anyllm-fast[bedrock]'"
        ) from None
    for name, value in variables.items():  # botocore reads them there; the process's own win
        os.environ.setdefault(name, value)
    session: Any = None
    found: Any = None

    def fetch() -> Credentials | None:
        nonlocal session, found
        session = session or Session()
        found = found or session.get_credentials()
        if found is None:
            session = None  # a file or a role may appear
            return None
        frozen = found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")

    return fetch
