"""Who may connect: the IP allowlist. Knows addresses, no credentials."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from anyllm_fast.call import Call, Policy
from anyllm_fast.config import Settings
from anyllm_fast.errors import Forbidden

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Access(Policy):
    """Refuses callers outside IP_ALLOWLIST, on every route. An empty list allows nobody.

    Behind a trusted proxy (TRUST_PROXY_HEADERS) the address is the TRUSTED_PROXY_DEPTH-th from the right of x-forwarded-for.
    """

    def __init__(self, settings: Settings) -> None:
        self._networks = settings.ip_allowlist or ()
        self._trust = settings.trust_proxy_headers
        self._depth = max(settings.trusted_proxy_depth, 1)
        self._allowed = lru_cache(maxsize=4096)(self._look_up)

    @classmethod
    def open(cls, settings: Settings) -> Access | None:
        return None if settings.ip_allowlist is None else cls(settings)

    def screen(self, call: Call) -> None:
        address = self._address(call)
        if not address:
            raise Forbidden("IP address could not be determined")
        if not self._allowed(address):
            raise Forbidden("IP address not in allowlist")

    def _address(self, call: Call) -> str:
        if not self._trust:
            return call.peer
        hops = call.headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        return hops[-self._depth].strip() if len(hops) >= self._depth else ""

    def _look_up(self, text: str) -> bool:
        try:
            address: Address = ipaddress.ip_address(text)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            address = mapped
        return any(address in network for network in self._networks)
