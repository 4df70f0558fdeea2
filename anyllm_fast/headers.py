"""Which headers pass, and what becomes of the ones whose meaning has another name on the other side. Tables; no body, no socket.

What passes is listed, everything else stays: so credentials, cookies, hop-by-hop headers and whatever a browser adds never cross,
in neither direction, and a header that some vendor invents tomorrow has to be thought about first.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from anyllm_fast import __version__
from anyllm_fast.call import Call, Target
from anyllm_fast.upstream import HeaderList

_OURS: Final = b"anyllm-fast/" + __version__.encode()

# -- to the upstream ---------------------------------------------------------------------------------------------------

TO_UPSTREAM: Final[dict[str, tuple[bytes, ...]]] = {
    # The user agent passes where nothing is translated: services treat their own tools by it, and support asks for it.
    # Not x-stainless-* (telemetry of an SDK about itself), nor anthropic-workspace-id (chosen by our credential's owner).
    "anthropic": (
        b"user-agent",
        b"anthropic-beta",
        b"anthropic-version",
        b"anthropic-user-profile-id",
        b"idempotency-key",
        b"x-app",
        b"x-claude-code-session-id",
        b"x-claude-code-agent-id",
    ),
    "openai_chat": (
        b"user-agent",
        b"openai-beta",
        b"openai-organization",
        b"openai-project",
        b"idempotency-key",
        b"x-client-request-id",
    ),
    "openai_responses": (
        b"user-agent",
        b"openai-beta",
        b"openai-organization",
        b"openai-project",
        b"idempotency-key",
        b"x-client-request-id",
    ),
    "gemini": (b"user-agent", b"x-goog-api-client"),
    "bedrock": (
        b"user-agent",
        b"x-amzn-bedrock-trace",
        b"x-amzn-bedrock-guardrailidentifier",
        b"x-amzn-bedrock-guardrailversion",
        b"x-amzn-bedrock-performanceconfig-latency",
        b"x-amzn-bedrock-service-tier",
    ),
}
"""Client headers that go upstream where both sides speak the same dialect. Where they do not, none does: a beta flag, a version
or an idempotency key speaks of the body that the client wrote, and that is not the body that is sent."""

DEFAULTS: Final[dict[str, tuple[tuple[bytes, bytes], ...]]] = {
    "anthropic": ((b"anthropic-version", b"2023-06-01"),),
}
"""What an upstream demands, where the client has not said it."""


def to_upstream(call: Call, target: Target, dialect: str, accept: bytes) -> HeaderList:
    """The headers of a request in `dialect` that goes to `target`, credentials included. Lower-case names."""
    out: HeaderList = [
        (b"accept", accept),
        (b"x-request-id", call.request_id.encode("latin-1", "replace")),
        *target.credentials,
    ]
    if call.method == "POST":
        out.append((b"content-type", b"application/json"))
    ours = {name for name, _ in target.credentials}
    received = call.headers if call.dialect.name == dialect else _NONE
    for name, default in _WANTED[dialect]:
        value = received.get(name, default)
        if value is not None and name not in ours:
            out.append((name, value))
    return out


_NONE: Final[dict[bytes, bytes]] = {}
_WANTED: Final[dict[str, tuple[tuple[bytes, bytes | None], ...]]] = {
    dialect: tuple((name, {b"user-agent": _OURS, **dict(DEFAULTS.get(dialect, ()))}.get(name)) for name in names)
    for dialect, names in TO_UPSTREAM.items()
}
"""Header -> what is sent where the client has not said it, or may not."""


# -- to the client -----------------------------------------------------------------------------------------------------

EVERY_LANE: Final[dict[bytes, bytes]] = {
    b"retry-after": b"retry-after",
    b"retry-after-ms": b"retry-after-ms",
    b"x-should-retry": b"x-should-retry",  # read by both vendors' SDKs
    b"x-request-id": b"x-upstream-request-id",  # x-request-id itself is ours, on every answer
}
SAME_LANE: Final[dict[bytes, bytes]] = {**EVERY_LANE, b"request-id": b"request-id"}
SAME_LANE_PREFIXES: Final = (b"anthropic-", b"openai-", b"x-ratelimit-", b"x-amzn-")
TRANSLATED_LANE: Final[dict[bytes, bytes]] = {**EVERY_LANE, b"request-id": b"x-upstream-request-id"}

FAMILIES: Final = {"openai_responses": "openai_chat"}
"""Dialects of one vendor have their headers in common."""

_Rule = tuple[bytes, Callable[[bytes, float], bytes | None]]


def to_client(headers: Iterable[tuple[bytes, bytes]], upstream: str, client: str) -> HeaderList:
    """The upstream's reply headers that the client gets, in the names and units of the client's dialect."""
    upstream, client = FAMILIES.get(upstream, upstream), FAMILIES.get(client, client)
    if upstream == client:
        out = []
        for name, value in headers:
            known = SAME_LANE.get(name)
            if known is not None:
                out.append((known, value))
            elif name.startswith(SAME_LANE_PREFIXES):
                out.append((name, value))
        return out
    return _translated(headers, RATE_LIMITS.get((upstream, client), {}))


def _translated(headers: Iterable[tuple[bytes, bytes]], rules: dict[bytes, _Rule]) -> HeaderList:
    out = []
    now = time.time()
    for name, value in headers:
        known = TRANSLATED_LANE.get(name)
        if known is not None:
            out.append((known, value))
        elif (rule := rules.get(name)) is not None and (said := rule[1](value, now)) is not None:
            out.append((rule[0], said))
    return out


def _count(value: bytes, now: float) -> bytes | None:
    return value if value.isdigit() else None


_DURATION = re.compile(rb"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_LONGEST = 366 * 86400.0


def seconds_of(duration: bytes) -> float | None:
    """`6ms`, `1m30s`, `7.66s`, or plain seconds. None if it is no duration, or one that nobody means (over a year)."""
    try:
        if duration[-1:].isdigit():
            seconds = float(duration)
        else:
            found = _DURATION.fullmatch(duration)
            if found is None or not found[0]:
                return None
            seconds = sum(float(part) * unit for part, unit in zip(found.groups(), _UNITS, strict=True) if part)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= _LONGEST else None


def duration_of(seconds: float) -> bytes:
    """As OpenAI writes it: `6ms` below a second, else `59s`, `1m30s`, `2h0m5s`. Rounded up: never too early."""
    if seconds < 1:
        return b"%dms" % math.ceil(max(seconds, 0) * 1000)
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, rest)
    return b"%dm%ds" % (minutes, rest) if minutes else b"%ds" % rest


def _moment(value: bytes, now: float) -> bytes | None:
    """A duration from now as an RFC 3339 time, in whole seconds, rounded up."""
    seconds = seconds_of(value)
    if seconds is None:
        return None
    return datetime.fromtimestamp(math.ceil(now + seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _duration(value: bytes, now: float) -> bytes | None:
    """An RFC 3339 time as a duration from now; one that is past is 0ms."""
    try:
        moment = datetime.fromisoformat(value.decode())
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    left = (moment - datetime.fromtimestamp(now, UTC)) / timedelta(seconds=1)
    return duration_of(left) if left <= _LONGEST else None


def _rules(
    written: Callable[[bytes, bytes], tuple[bytes, bytes]], reset: Callable[[bytes, float], bytes | None]
) -> dict[bytes, _Rule]:
    rules: dict[bytes, _Rule] = {}
    for what in (b"requests", b"tokens"):
        for figure in (b"limit", b"remaining", b"reset"):
            source, name = written(what, figure)
            rules[source] = (name, reset if figure == b"reset" else _count)
    return rules


def _openai(what: bytes, figure: bytes) -> bytes:
    return b"x-ratelimit-%b-%b" % (figure, what)


def _anthropic(what: bytes, figure: bytes) -> bytes:
    return b"anthropic-ratelimit-%b-%b" % (what, figure)


RATE_LIMITS: Final[dict[tuple[str, str], dict[bytes, _Rule]]] = {
    ("openai_chat", "anthropic"): _rules(lambda w, f: (_openai(w, f), _anthropic(w, f)), _moment),
    ("anthropic", "openai_chat"): _rules(lambda w, f: (_anthropic(w, f), _openai(w, f)), _duration),
}
"""Upstream's and client's dialect: header -> (its name there, its value there; None where it cannot be said)."""
