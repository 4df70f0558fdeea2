"""BACKEND=bedrock: AWS's variables become a Backend. Looks no credentials up and signs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

from anyllm_fast.config.address import Draft, read_models
from anyllm_fast.config.notes import quoted
from anyllm_fast.config.settings import Aws, Backend
from anyllm_fast.config.urls import read_base_url, read_metadata_url
from anyllm_fast.config.values import Reader
from anyllm_fast.errors import ConfigError

_USUAL = ("anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0")
_REGION = re.compile(r"[A-Za-z0-9._-]+")
_PLACES = (
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
)
_FILES = (
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
_ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS")


def read_bedrock(reader: Reader) -> Draft:
    """Finding credentials is left to the signer, which gets the names of the places."""
    region = reader.text("AWS_REGION")
    if not region:
        reader.fail("BACKEND", "AWS_REGION is required when BACKEND=bedrock")
    elif not _REGION.fullmatch(region):
        reader.fail(
            "AWS_REGION",
            f"AWS_REGION contains invalid characters: only alphanumeric, '-', '_', '.' are allowed, got: {quoted(region)}",
        )
        region = ""
    name = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
    base, everywhere = reader.url(name), reader.url("AWS_ENDPOINT_URL")
    if not base and everywhere:
        name, base = "AWS_ENDPOINT_URL", everywhere
    if not base and region:
        base = f"https://bedrock-runtime.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    backend = Backend(
        name="bedrock",
        kind="bedrock",
        base_url=base,
        api_key=reader.secret("AWS_BEARER_TOKEN_BEDROCK"),
        api=reader.choice("BEDROCK_API"),
        aws=_read_caller(reader, region),
    )
    return Draft(read_models(reader, backend, *_USUAL), name, version="")


def _read_caller(reader: Reader, region: str) -> Aws:
    _check_urls(reader)
    key, secret = reader.secret("AWS_ACCESS_KEY_ID"), reader.secret("AWS_SECRET_ACCESS_KEY")
    if bool(key) != bool(secret):
        given, missing = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")[:: 1 if key else -1]
        reader.fail(given, f"{given} is set and {missing} is not")
    found = {name: value for name in _PLACES if (value := reader.text(name))}
    found |= {name: value for name in _FILES if (value := reader.path(name))}
    if token := reader.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        found["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token
    if reader.flag("AWS_EC2_METADATA_DISABLED"):
        found["AWS_EC2_METADATA_DISABLED"] = "true"
    found |= {name: value for name in _ENDPOINTS if (value := reader.url(name))}
    if region:
        found["AWS_DEFAULT_REGION"] = region
    return Aws(
        region=region,
        access_key_id=key,
        secret_access_key=secret,
        session_token=reader.secret("AWS_SESSION_TOKEN"),
        variables=tuple(found.items()),
    )


def _check_urls(reader: Reader) -> None:
    """Addresses that are somebody else's to use, checked here because nobody there would name the variable."""
    for name in _ENDPOINTS:
        if reader.given(name):
            _check(reader, name, lambda name: read_base_url(name, reader.url(name), "", ""))
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        if reader.given(name):
            _check(reader, name, lambda name: read_metadata_url(name, reader.text(name)))
    name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    if reader.given(name) and not reader.text(name).startswith("/"):
        reader.fail(name, f"{name} must be a path that begins with /")


def _check(reader: Reader, name: str, read: Callable[[str], object]) -> None:
    try:
        read(name)
    except ConfigError as error:
        reader.fail(name, str(error))
