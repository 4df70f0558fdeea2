"""Tokens for Google Cloud: from a credentials file by the google-auth library, or from the metadata server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from anyllm_fast.config import Backend
from anyllm_fast.config.google_file import LIBRARY, read_credentials
from anyllm_fast.errors import ConfigError, UpstreamBroken, UpstreamRefused, UpstreamUnreachable
from anyllm_fast.providers.control import SECONDS, Asking, ask, client_options, prepare
from anyllm_fast.providers.tokens import Token, Tokens

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_AWS = "urn:ietf:params:aws:token-type:aws4_request"
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"


def open_tokens(backend: Backend) -> Tokens:
    """Raises ConfigError for a credentials file that cannot be used, or without the library that reads it."""
    prepare(backend)
    path = backend.google.credentials_file
    return Tokens(_from_file(backend, path) if path else _from_metadata(backend))


def _from_metadata(backend: Backend) -> Callable[[], Awaitable[Token]]:
    """Source: cloud.google.com/compute/docs/access/authenticate-workloads."""
    asking = Asking(backend.google.metadata_url + _METADATA_PATH, {"Metadata-Flavor": "Google"})

    async def fetch() -> Token:
        told = await ask(backend, asking)
        value, seconds = told.get("access_token"), told.get("expires_in")
        if not isinstance(value, str) or not isinstance(seconds, int | float):
            raise UpstreamBroken(f"{asking.url} answered without access_token and expires_in")
        return Token(((b"authorization", b"Bearer " + value.encode()),), time.monotonic() + seconds)

    return fetch


def _from_file(backend: Backend, path: str) -> Callable[[], Awaitable[Token]]:
    told = read_credentials(path)
    credentials = open_credentials(path, told)
    transport = _Transport(backend)

    def refresh() -> Token:
        from google.auth import exceptions

        try:
            credentials.refresh(transport)
        except exceptions.TransportError as error:
            raise UpstreamUnreachable(f"no token for '{path}': {_short(error)}") from None
        except exceptions.GoogleAuthError as error:
            message = f"the gateway got no token for '{path}': {_short(error)}"
            raise UpstreamRefused(message, status=401, kind="authentication") from None
        except (OSError, ValueError) as error:  # the file or command that an external account names
            raise UpstreamRefused(f"no token for '{path}': {error}", status=401, kind="authentication") from None
        return _token(credentials)

    async def fetch() -> Token:
        return await asyncio.to_thread(refresh)

    return fetch


def open_credentials(path: str, told: dict[str, Any]) -> Any:
    """google-auth's Credentials of a file. Sends nothing."""
    try:
        from google.auth import aws, exceptions, identity_pool, impersonated_credentials, pluggable
        from google.auth import external_account_authorized_user as workforce
        from google.oauth2 import credentials, service_account
    except ImportError:
        raise ConfigError(f"'{path}' cannot be used: {LIBRARY}") from None
    makers: dict[str, Callable[..., Any]] = {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": credentials.Credentials.from_authorized_user_info,
        "external_account": identity_pool.Credentials.from_info,
        "external_account_authorized_user": workforce.Credentials.from_info,
        "impersonated_service_account": impersonated_credentials.Credentials.from_impersonated_service_account_info,
    }
    kind, source = told["type"], told.get("credential_source")
    make = makers[kind]
    if kind == "external_account" and told.get("subject_token_type") == _AWS:
        make = aws.Credentials.from_info
    elif kind == "external_account" and isinstance(source, dict) and "executable" in source:
        make = pluggable.Credentials.from_info
    try:
        made = make(told, scopes=[_SCOPE])
        if kind == "authorized_user" and "token_uri" in told:  # which the library takes for Google's own
            made = made.with_token_uri(told["token_uri"])
        return made
    except (exceptions.GoogleAuthError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"'{path}' cannot be used: {_short(error)}") from None


def _token(credentials: Any) -> Token:
    """The library's clock has no time zone and means UTC; a token without an end is asked for again after an hour."""
    left = 3600.0
    if credentials.expiry is not None:
        left = (credentials.expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    headers: dict[str, str] = {}
    credentials.apply(headers)  # with x-goog-user-project where the file names who pays
    return Token(tuple((name.lower().encode(), value.encode()) for name, value in headers.items()), time.monotonic() + left)


def _short(error: BaseException) -> str:
    """google-auth puts the endpoint's whole answer behind its message."""
    return " ".join(str(error.args[0] if error.args else error).split())[:300] or type(error).__name__


class _Answer(msgspec.Struct, frozen=True):
    """google.auth.transport.Response."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Transport:
    """google.auth.transport.Request over httpx: the library's own would not know the gateway's proxy and authorities."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Answer:
        import httpx
        from google.auth import exceptions

        try:
            with httpx.Client(**client_options(self._backend, url)) as client:
                reply = client.request(method, url, content=body, headers=headers, timeout=min(timeout or SECONDS, SECONDS))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            broken: Any = exceptions.TransportError  # which the library left without types
            raise broken(f"cannot reach {url}: {error or type(error).__name__}") from None
        return _Answer(reply.status_code, reply.headers, reply.content)
