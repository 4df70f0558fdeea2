"""TLS files towards the backend, checked before a worker starts. Opens files; the contexts are built by `upstream/`."""

from __future__ import annotations

import ssl
from pathlib import Path

from anyllm_fast.config.notes import quoted, warning
from anyllm_fast.config.settings import Tls
from anyllm_fast.config.values import Reader

MAX_FILE = 4 << 20


def read_tls(reader: Reader) -> Tls:
    """Checks that the files can be read and used; a mistake goes to `reader.errors`."""
    ca_file = reader.path("TLS_CA_CERT")
    p12_file = reader.path("TLS_CLIENT_CERT_P12")
    password = reader.password("TLS_CLIENT_CERT_PASSWORD")
    if ca_file:
        _check_ca(reader, ca_file)
    if p12_file and not reader.given("TLS_CLIENT_CERT_PASSWORD"):
        reader.fail("TLS_CLIENT_CERT_P12", "TLS_CLIENT_CERT_P12 is set but TLS_CLIENT_CERT_PASSWORD is missing")
    elif p12_file:
        _check_p12(reader, p12_file, password)
    elif password:
        reader.notes.append(warning("TLS_CLIENT_CERT_PASSWORD", "ignored, because TLS_CLIENT_CERT_P12 is not set"))
        password = ""
    return Tls(ca_file, p12_file, password)


def _check_ca(reader: Reader, path: str) -> None:
    try:
        pem = _read(path).decode("ascii", "replace")
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reader.fail("TLS_CA_CERT", f"failed to read CA cert file {quoted(path, 500)}: {reason_of(error)}")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        reader.fail("TLS_CA_CERT", f"invalid CA certificate {quoted(path, 500)}: {reason}")


def _check_p12(reader: Reader, path: str, password: str) -> None:
    try:
        data = _read(path)
    except (OSError, ValueError) as error:
        reader.fail("TLS_CLIENT_CERT_P12", f"failed to read P12 file {quoted(path, 500)}: {reason_of(error)}")
        return
    from cryptography.hazmat.primitives.serialization import pkcs12  # 9 MB: only for those who use it

    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(data, password.encode())
        if key is None or certificate is None:
            raise ValueError("it holds no key or no certificate")
    except ValueError as error:
        reader.fail("TLS_CLIENT_CERT_P12", f"invalid P12 file {quoted(path, 500)} (wrong password or corrupt file): {error}")


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(MAX_FILE)


def reason_of(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0]
