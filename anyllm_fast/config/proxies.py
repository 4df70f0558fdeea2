"""Forward proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, and which of them a host is reached through. Opens nothing."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from anyllm_fast.config.settings import Proxy, mask
from anyllm_fast.config.urls import address_of, is_loopback
from anyllm_fast.errors import ConfigError

_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})


def read_proxy_url(name: str, text: str) -> str:
    """A proxy written as `host:port` is an http proxy, as everywhere; "" stays "". Raises ConfigError."""
    if not text:
        return ""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError as error:  # its text may quote a password
        raise ConfigError(
            f"{name} rejected: invalid proxy URL, expected http, https, socks5 or socks5h, a host and maybe a port"
        ) from error
    return url


def proxy_for(proxy: Proxy, tls: bool, host: str) -> str:
    """The proxy's URL for a backend's host, "" to reach it directly. Loopback hosts are never reached through a proxy."""
    url = proxy.https if tls else proxy.http
    if not url or is_loopback(host) or any(_matches(pattern, host.lower()) for pattern in proxy.no_proxy):
        return ""
    return url


def _matches(pattern: str, host: str) -> bool:
    """curl's rule: `example.com` and `.example.com` both mean the domain and what is below it; CIDR blocks mean addresses."""
    if pattern == "*":
        return True
    address = address_of(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(pattern.strip("[]"), strict=False)
        except ValueError:
            return False
    name = pattern.lower().lstrip("*").lstrip(".").partition(":")[0]
    return bool(name) and (host == name or host.endswith("." + name))


def mask_proxy(url: str) -> str:
    """Any URL with its password hidden, even one that cannot be parsed: credentials are what stands before the last `@`."""
    head, at, rest = url.rpartition("@")
    scheme, colons, who = head.rpartition("://")
    user, colon, password = who.partition(":")
    return f"{scheme}{colons}{user}:{mask(password)}{at}{rest}" if at and colon else url
