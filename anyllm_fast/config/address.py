"""A backend's address as its variable gives it: checked against our own, and against sending a key in the clear."""

from __future__ import annotations

from msgspec.structs import replace

from anyllm_fast.config.notes import quoted, warning
from anyllm_fast.config.settings import Backend
from anyllm_fast.config.urls import BaseUrl, is_loopback, is_private, read_base_url
from anyllm_fast.config.values import Reader
from anyllm_fast.errors import ConfigError


def aim(reader: Reader, backend: Backend, name: str, operation: str, version: str = "/v1") -> Backend:
    """The backend with its `base_url` taken apart; `operation` and `version` as read_base_url has them. A mistake goes to
    `reader.errors` under `name`, the variable, and the backend comes back as it was."""
    try:
        url = read_base_url(name, backend.base_url, operation, version)
    except ConfigError as error:
        reader.fail(name, str(error))
        return backend
    _refuse_ourselves(reader, backend, url, name)
    if (backend.api_key or backend.azure.client_id) and not url.tls and not is_private(url.host):
        reader.notes.append(warning(name, "plain http: the key and all prompts cross the network unencrypted"))
    return replace(backend, base_url=url.base, api_prefix=url.prefix)


def _refuse_ourselves(reader: Reader, backend: Backend, url: BaseUrl, name: str) -> None:
    if is_loopback(url.host) and url.port == reader.listen_port:
        reader.fail(
            name,
            f"{name} rejected: {quoted(backend.base_url)} is this gateway itself (port {reader.listen_port}); that setting is"
            " for clients, unset it for the gateway",
        )


def read_models(reader: Reader, big: str, small: str) -> tuple[str, str]:
    """BIG_MODEL and SMALL_MODEL, or what this kind of backend has instead."""
    return reader.text("BIG_MODEL") or big, reader.text("SMALL_MODEL") or small
