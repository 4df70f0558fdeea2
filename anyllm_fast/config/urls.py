"""Addresses of backends as operators write them. Checks and splits; resolves no name and connects to nothing.

Private and loopback addresses are fine: the operator wrote them. The cloud metadata services are not: they hand out credentials
to whoever can make a server ask, and no model is served there.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

import msgspec

from anyllm_fast.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    {
        ipaddress.ip_address("169.254.169.254"),  # AWS, GCP, Azure, OpenStack, DigitalOcean
        ipaddress.ip_address("169.254.170.2"),  # AWS ECS task credentials
        ipaddress.ip_address("169.254.170.23"),  # AWS EKS pod identity
        ipaddress.ip_address("100.100.100.200"),  # Alibaba Cloud
        ipaddress.ip_address("fd00:ec2::254"),
        ipaddress.ip_address("fd00:ec2::23"),
        ipaddress.ip_address("fd20:ce::254"),  # GCP
    }
)
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"})
_VERSION = re.compile(r"v[0-9]+(?:(?:alpha|beta)[0-9]*)?")
_LOCAL_NAMES = ("localhost", ".localhost")


class BaseUrl(msgspec.Struct, frozen=True):
    """`base` without the version and without a trailing `/`; `prefix` is the version part, the usual one if none was written."""

    base: str
    prefix: str
    host: str
    port: int
    tls: bool


def read_base_url(name: str, text: str, operation: str, version: str = "/v1") -> BaseUrl:
    """`operation` is the path that clients' SDKs append (`/chat/completions`, `/messages`): a full endpoint is fine too.
    `version` is the prefix of a URL that says none.

    Raises ConfigError `NAME rejected: ...`.
    """
    parts, port = _split(name, text)
    host = (parts.hostname or "").rstrip(".")
    _refuse_metadata(name, host)
    segments = parts.path.rstrip("/").removesuffix(operation).strip("/").split("/")
    at = next((i for i, segment in enumerate(segments) if _VERSION.fullmatch(segment)), len(segments))
    if operation == "/messages" and at != len(segments) - 1:
        at = len(segments)  # Anthropic's SDKs append /v1/messages to whatever the base is
    before, prefix = "/".join(segments[:at]), "/".join(segments[at:])
    base = f"{parts.scheme}://{parts.netloc}{'/' + before if before else ''}"
    return BaseUrl(base, f"/{prefix}" if prefix else version, host, port, parts.scheme == "https")


def read_metadata_url(name: str, text: str) -> str:
    """Where a machine asks for its own credentials: the one setting in which a metadata address may stand. `HOST[:PORT]` is
    taken for http. Without a trailing `/`. Raises ConfigError."""
    url = text if "://" in text else f"http://{text}"
    _split(name, url)
    return url.rstrip("/")


def _split(name: str, text: str) -> tuple[SplitResult, int]:
    def refuse(why: str) -> ConfigError:
        return ConfigError(f"{name} rejected: {why}")

    if not text.isprintable() or " " in text or "\\" in text:
        raise refuse("invalid URL: it contains white space, a backslash or a control character")
    if "://" not in text:
        raise refuse("invalid URL: it has no scheme, write http://... or https://...")
    try:
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        (parts.hostname or "").encode("idna" if not text.isascii() else "ascii")
    except ValueError as error:  # UnicodeError is one; its text may quote a password
        raise refuse("invalid URL: host or port cannot be read") from error
    if parts.scheme not in {"http", "https"}:
        raise refuse(f"scheme '{parts.scheme[:80]}' not allowed, use http or https")
    if not parts.hostname:
        raise refuse("URL has no host")
    if "@" in parts.netloc:
        raise refuse("it holds credentials, set the key in its own variable")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise refuse("it must not have a query or a fragment")
    return parts, port


def _refuse_metadata(name: str, host: str) -> None:
    address = address_of(host)
    if address is not None and address in _METADATA:
        raise ConfigError(f"{name} rejected: cloud metadata address {address} not allowed")
    if host in _METADATA_NAMES:
        raise ConfigError(f"{name} rejected: hostname '{host}' not allowed")


def address_of(host: str) -> Address | None:
    """The address that a host is written as, in any form that the resolver takes (`0xa9fea9fe`, `::ffff:10.0.0.1`), or None."""
    try:
        address: Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if not re.fullmatch(r"[0-9a-fx.]+", host):
            return None
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_loopback(host: str) -> bool:
    """Also the unspecified address: connecting to it reaches this machine."""
    address = address_of(host)
    if address is None:
        return host.lower().rstrip(".").endswith(_LOCAL_NAMES)
    return address.is_loopback or address.is_unspecified


def is_public_listener(host: str) -> bool:
    """Whether who listens on it can be reached from other machines."""
    address = address_of(host)
    return not is_loopback(host) or (address is not None and address.is_unspecified)


def is_private(host: str) -> bool:
    """Loopback, or an address or name that does not leave the operator's network."""
    address = address_of(host)
    if address is not None:
        return address.is_private or address.is_loopback or address.is_link_local
    return is_loopback(host) or "." not in host or host.endswith((".internal", ".local", ".lan", ".svc"))
