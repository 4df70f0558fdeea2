"""A backend's address as its variable gives it: taken apart, and checked against our own and against a key sent in the clear."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from anyllm_fast.config.notes import quoted, warning
from anyllm_fast.config.settings import Backend
from anyllm_fast.config.urls import is_loopback, is_private, read_base_url
from anyllm_fast.config.values import Reader
from anyllm_fast.errors import ConfigError


class Draft(msgspec.Struct, frozen=True):
    """A backend whose `base_url` is still what the operator wrote in the variable `name`, or "" where that mistake was told
    already. `operation` and `version` as read_base_url has them."""

    backend: Backend
    name: str
    operation: str = ""
    version: str = "/v1"


def aim(reader: Reader, draft: Draft, listen_port: int) -> Backend:
    """The backend with its address taken apart. A mistake goes to `reader.errors`."""
    backend, name = draft.backend, draft.name
    if not backend.base_url:
        return backend
    try:
        url = read_base_url(name, backend.base_url, draft.operation, draft.version)
    except ConfigError as error:
        reader.fail(name, str(error))
        return backend
    if is_loopback(url.host) and url.port == listen_port:
        reader.fail(
            name,
            f"{name} rejected: {quoted(backend.base_url)} is this gateway itself (port {listen_port}); that setting is"
            " for clients, unset it for the gateway",
        )
    if (backend.api_key or backend.azure.client_id) and not url.tls and not is_private(url.host):
        reader.notes.append(warning(name, "plain http: the key and all prompts cross the network unencrypted"))
    return replace(backend, base_url=url.base, api_prefix=url.prefix)


def read_models(reader: Reader, backend: Backend, big: str, small: str) -> Backend:
    """The backend with BIG_MODEL and SMALL_MODEL, or with what its kind has instead."""
    return replace(backend, big_model=reader.text("BIG_MODEL") or big, small_model=reader.text("SMALL_MODEL") or small)
