"""When and after how long a request may be sent again before the commit point. Arithmetic only: sleeps nothing, sends nothing.

A delay is never longer than a cap: an upstream that says "in an hour" is telling the caller, not us. Then the answer is "do not
retry" and its error goes out with its retry-after, while the caller's connection and our permit are free again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

from anyllm_fast.errors import GatewayError, UpstreamError

from . import HeaderList

FIRST_DELAY = 0.5
MAX_RETRIES = 10  # beyond it the doubling has long met every cap
_SPENT = frozenset(("insufficient_quota", "billing_hard_limit_reached"))


def retryable_status(status: int) -> bool:
    """408, 429 and every 5xx: what the upstream says it could not do now."""
    return status in (408, 429) or 500 <= status <= 599


def retryable_code(code: str | None) -> bool:
    """Whether waiting can help. A spent budget is announced as a 429 too, and stays spent."""
    return code not in _SPENT


def retryable_error(error: GatewayError) -> bool:
    """Whether nothing of the request can have been acted on (no connection)."""
    return isinstance(error, UpstreamError) and error.retryable


def retry_after_of(headers: HeaderList) -> bytes | None:
    """The reply's retry-after, with OpenAI's and Azure's finer `retry-after-ms` before it."""
    known = dict(headers)
    milliseconds = _number(known.get(b"retry-after-ms", b""))
    if milliseconds is not None:
        return b"%.3f" % (milliseconds / 1000)
    return known.get(b"retry-after")


def retry_delay(attempt: int, retry_after: bytes | None, cap_seconds: float, rng: Callable[[], float]) -> float | None:
    """Seconds to wait before retry number `attempt` (0 is the first), None: do not retry, retry-after is beyond the cap.

    `retry_after` is the header's value: seconds, also with a fraction, or an HTTP date (RFC 9110 section 10.2.3); what is neither
    counts as absent. Without it the delay doubles from FIRST_DELAY, times 0.75 to 1.25 by `rng` (0 <= x < 1), up to the cap.
    The result is finite and never negative.
    """
    asked = None if retry_after is None else read_retry_after(retry_after, time.time())
    if asked is not None:
        return asked if asked <= cap_seconds else None
    doubled = FIRST_DELAY * 2.0 ** min(max(attempt, 0), MAX_RETRIES)
    return min(doubled * (0.75 + 0.5 * rng()), max(cap_seconds, 0.0))


def read_retry_after(value: bytes, now: float) -> float | None:
    """Seconds from `now` (epoch) that a retry-after value asks for, 0 for the past. None if it says nothing that can be used."""
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value.decode("ascii").strip())
        if date.tzinfo is None:  # HTTP knows no other zone than GMT, also where it is left out
            date = date.replace(tzinfo=UTC)
        return max(date.timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(value: bytes) -> float | None:
    """A plain decimal number. No sign, exponent, `inf` or `nan`; what is too long for a float is a very long time."""
    text = value.strip()
    if not text or not text.replace(b".", b"", 1).isdigit():
        return None
    number = float(text)
    return number if math.isfinite(number) else math.nextafter(math.inf, 0)
