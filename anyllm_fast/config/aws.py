"""BACKEND=bedrock: AWS's variables become a Backend. Looks no credentials up and signs nothing."""

from __future__ import annotations

import re

from anyllm_fast.config.address import Draft, read_models
from anyllm_fast.config.notes import quoted
from anyllm_fast.config.settings import Aws, Backend
from anyllm_fast.config.urls import read_base_url, read_metadata_url
from anyllm_fast.config.values import Reader
from anyllm_fast.errors import ConfigError

_USUAL = ("anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0")
_REGION = re.compile(r"[A-Za-z0-9._-]+")
_CONTAINER = "http://169.254.170.2"  # ECS, where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is a path


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
        aws=_read_places(reader, region),
    )
    return Draft(read_models(reader, backend, *_USUAL), name, version="")


def _read_places(reader: Reader, region: str) -> Aws:
    return Aws(
        region=region,
        access_key_id=reader.secret("AWS_ACCESS_KEY_ID"),
        secret_access_key=reader.secret("AWS_SECRET_ACCESS_KEY"),
        session_token=reader.secret("AWS_SESSION_TOKEN"),
        profile=reader.text("AWS_PROFILE"),
        credentials_file=reader.path("AWS_SHARED_CREDENTIALS_FILE"),
        config_file=reader.path("AWS_CONFIG_FILE"),
        role_arn=reader.text("AWS_ROLE_ARN"),
        role_session_name=reader.text("AWS_ROLE_SESSION_NAME"),
        web_identity_token_file=reader.path("AWS_WEB_IDENTITY_TOKEN_FILE"),
        sts_url=_read_sts(reader),
        container_url=_read_container(reader),
        container_token=reader.secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        container_token_file=reader.path("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        metadata_url=_read_metadata(reader, "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
        metadata_disabled=reader.flag("AWS_EC2_METADATA_DISABLED"),
    )


def _read_sts(reader: Reader) -> str:
    name = "AWS_ENDPOINT_URL_STS"
    text = reader.url(name)
    try:
        url = read_base_url(name, text, "", "") if text else None
    except ConfigError as error:
        reader.fail(name, str(error))
        return ""
    return url.base + url.prefix if url else ""


def _read_container(reader: Reader) -> str:
    """The full URL counts before the relative one, as in AWS's SDKs."""
    full = _read_metadata(reader, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
    relative = reader.text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if relative and not relative.startswith("/"):
        reader.fail(
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must be a path that begins with /"
        )
        relative = ""
    return full or (_CONTAINER + relative if relative else "")


def _read_metadata(reader: Reader, name: str) -> str:
    text = reader.text(name)
    try:
        return read_metadata_url(name, text) if text else ""
    except ConfigError as error:
        reader.fail(name, str(error))
        return ""
