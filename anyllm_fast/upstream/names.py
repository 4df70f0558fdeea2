"""What messages call an origin and a failed connect. Words only."""

from __future__ import annotations

import socket
import ssl

from . import Origin


def origin_name(origin: Origin) -> str:
    """Host and port, as in `api.example.com:443` and `[::1]:8000`."""
    return f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"


def connect_failure(error: BaseException) -> str:
    """Why there is no connection, in words for the caller and without what only the operator may see."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'handshake'})"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ConnectionError):
        return "the connection was closed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
