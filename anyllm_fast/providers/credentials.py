"""The headers by which a backend knows its caller: the key, and what else the operator configured. Never the client's own."""

from __future__ import annotations

from anyllm_fast.config import Backend
from anyllm_fast.upstream import HeaderList


def credentials_of(backend: Backend) -> tuple[tuple[bytes, bytes], ...]:
    """Lower-case names. Nothing for an empty key: a local server wants none, and a token is a Signer's."""
    out: HeaderList = []
    if backend.api_key:
        key = backend.api_key.encode()
        out.append((b"authorization", b"Bearer " + key) if backend.auth == "bearer" else (backend.auth.encode(), key))
    if backend.organization:
        out.append((b"openai-organization", backend.organization.encode()))
    if backend.project:
        out.append((b"openai-project", backend.project.encode()))
    out += [(name.encode(), value.encode()) for name, value in backend.headers]
    return tuple(out)
