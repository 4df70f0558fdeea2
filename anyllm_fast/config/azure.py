"""BACKEND=azure: the variables of Azure OpenAI become a Backend. Fetches no token."""

from __future__ import annotations

import re

from anyllm_fast.config.address import Draft, read_models
from anyllm_fast.config.notes import info, warning
from anyllm_fast.config.settings import Auth, Azure, Backend
from anyllm_fast.config.urls import read_base_url
from anyllm_fast.config.values import Reader
from anyllm_fast.errors import ConfigError

_VERSION = "2024-10-21"
_PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
_TENANT = re.compile(r"[A-Za-z0-9.-]+")
_SURFACE = re.compile(r"/openai/?(?:(v1)|deployments/([^/]+))?(?:/chat/completions|/responses)?/?")


def read_azure(reader: Reader) -> Draft:
    """The endpoint may be the resource's, one that ends in `/openai` or `/openai/v1`, or a whole URL with its deployment and
    `api-version`, as the portal shows it."""
    endpoint, _, query = reader.url("AZURE_OPENAI_ENDPOINT").partition("?")
    if not endpoint:
        reader.fail("BACKEND", "AZURE_OPENAI_ENDPOINT is required when BACKEND=azure")
    shown = re.search(r"(?:^|&)api-version=([\w.-]+)", query)
    v1, deployment = False, ""
    scheme, slashes, rest = endpoint.partition("://")
    host, slash, path = rest.partition("/")
    if found := _SURFACE.search(slash + path):
        v1, deployment = found[1] is not None, found[2] or ""
        host += (slash + path)[: found.start()]
    base = f"{scheme}{slashes}{host.rstrip('/')}/openai{'/v1' if v1 else ''}" if endpoint else ""
    key, auth, azure = _read_credentials(reader)
    azure = Azure(
        api_version=_read_version(reader, v1, shown[1] if shown else ""),
        deployment=reader.text("AZURE_OPENAI_DEPLOYMENT") or deployment,
        model=reader.text("AZURE_OPENAI_MODEL"),
        tenant_id=azure.tenant_id,
        client_id=azure.client_id,
        client_secret=azure.client_secret,
        authority=azure.authority,
        scope=azure.scope,
    )
    api = reader.choice("OPENAI_API_FORMAT")
    backend = Backend(name="azure", kind="azure", base_url=base, api_key=key, auth=auth, api=api, azure=azure)
    usual = ("", "") if azure.deployment else ("gpt-4o", "gpt-4o-mini")
    return Draft(read_models(reader, backend, *usual), "AZURE_OPENAI_ENDPOINT", version="")


def _read_version(reader: Reader, v1: bool, shown: str) -> str:
    version = reader.token("AZURE_OPENAI_API_VERSION")
    if v1 and version not in {"", "preview", "latest", "v1"}:
        reader.notes.append(info("AZURE_OPENAI_API_VERSION", "not used, the v1 surface has no dated versions"))
        return ""
    if v1:
        return version
    if version and not re.fullmatch(r"[\w.-]+", version):
        reader.fail("AZURE_OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION must be a version such as 2024-10-21")
    return version or shown or _VERSION


def _read_credentials(reader: Reader) -> tuple[str, Auth, Azure]:
    """The key, before the token, before the service principal."""
    key, token = reader.secret("AZURE_OPENAI_API_KEY"), reader.secret("AZURE_OPENAI_AD_TOKEN")
    principal = _read_principal(reader)
    if key and token:
        reader.notes.append(info("AZURE_OPENAI_AD_TOKEN", "not used, because AZURE_OPENAI_API_KEY is set"))
    if key:
        return key, "api-key", Azure()
    if token:
        return token, "bearer", Azure()
    if not principal.client_id:
        reader.fail(
            "BACKEND",
            "AZURE_OPENAI_API_KEY, AZURE_OPENAI_AD_TOKEN or AZURE_TENANT_ID with AZURE_CLIENT_ID and AZURE_CLIENT_SECRET is"
            " required when BACKEND=azure",
        )
    return "", "bearer", principal


def _read_principal(reader: Reader) -> Azure:
    tenant, client = reader.text("AZURE_TENANT_ID"), reader.text("AZURE_CLIENT_ID")
    secret = reader.password("AZURE_CLIENT_SECRET")
    authority = reader.url("AZURE_AUTHORITY_HOST")
    authority = authority if "://" in authority else f"https://{authority}"
    scope = reader.text("AZURE_SCOPE")
    missing = [name for name, value in zip(_PRINCIPAL, (tenant, client, secret), strict=True) if not value]
    if len(missing) == 3:
        return Azure()
    if missing:
        given = [name for name in _PRINCIPAL if name not in missing]
        reader.notes.append(warning(given[0], f"not used, because {' and '.join(missing)} is not set"))
        return Azure()
    if not _TENANT.fullmatch(tenant):
        reader.fail("AZURE_TENANT_ID", "AZURE_TENANT_ID must be the id or a domain of a tenant")
    try:
        url = read_base_url("AZURE_AUTHORITY_HOST", authority, "", "")
    except ConfigError as error:
        reader.fail("AZURE_AUTHORITY_HOST", str(error))
        return Azure()
    return Azure(tenant_id=tenant, client_id=client, client_secret=secret, authority=url.base + url.prefix, scope=scope)
