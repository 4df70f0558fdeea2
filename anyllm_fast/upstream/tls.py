"""TLS towards upstreams: whom we trust and who we are. Verification is always on; there is no switch for it.

The ssl module reads a client's key from a file only. The key is written encrypted under a random password that lives as long as
the call, into a file of mode 0600 that is removed at once: what a crash could leave behind, nobody can read.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
import tempfile
from pathlib import Path

import msgspec

from anyllm_fast.errors import ConfigError


class TlsOptions(msgspec.Struct, frozen=True):
    """`ca_file` (PEM) is trusted beside the system's authorities; `p12_file` (PKCS#12) is our identity for mutual TLS."""

    ca_file: str = ""
    p12_file: str = ""
    p12_password: str = ""

    def __repr__(self) -> str:  # a password must not reach a log by way of a repr
        return f"TlsOptions(ca_file={self.ca_file!r}, p12_file={self.p12_file!r})"


def open_context(options: TlsOptions) -> ssl.SSLContext:
    """A client context that offers HTTP/1.1 by ALPN. Reads files: about 20 ms. Raises ConfigError."""
    context = ssl.create_default_context()
    _trust_something(context)
    if options.ca_file:
        _trust(context, options.ca_file)
    if options.p12_file:
        _identify(context, options.p12_file, options.p12_password)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trust_something(context: ssl.SSLContext) -> None:
    """Slim images have no system store; certifi's list comes with httpx."""
    paths = ssl.get_default_verify_paths()
    has_directory = paths.capath is not None and any(Path(paths.capath).iterdir())
    if context.cert_store_stats()["x509_ca"] == 0 and not has_directory:
        with contextlib.suppress(ImportError):
            import certifi

            context.load_verify_locations(certifi.where())


def _trust(context: ssl.SSLContext, path: str) -> None:
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"failed to read CA cert file '{path}': {error.strerror or error}") from None
    try:
        context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"invalid CA certificate '{path}': {getattr(error, 'reason', None) or error}") from None


def _identify(context: ssl.SSLContext, path: str, password: str) -> None:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"failed to read P12 file '{path}': {error.strerror or error}") from None
    from cryptography.hazmat.primitives.serialization import (  # 9 MB of memory: only for those who use it
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        pkcs12,
    )

    try:
        key, certificate, chain = pkcs12.load_key_and_certificates(data, password.encode())
        if key is None or certificate is None:
            raise ValueError("it holds no key or no certificate")
        once = secrets.token_bytes(24).hex().encode()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(once))
        pem += b"".join(item.public_bytes(Encoding.PEM) for item in (certificate, *chain))
        _load_chain(context, pem, once)
    except (ValueError, ssl.SSLError) as error:
        raise ConfigError(f"invalid P12 file '{path}' (wrong password or corrupt file): {error}") from None


def _load_chain(context: ssl.SSLContext, pem: bytes, password: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix="anyllm-")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        context.load_cert_chain(name, password=password)
    finally:
        Path(name).unlink()
