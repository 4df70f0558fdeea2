"""When to send again, and after how long. A delay is finite, never negative and never above the cap."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast.errors import InvalidRequest, UpstreamBroken, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from anyllm_fast.upstream import retry
from anyllm_fast.upstream.retry import read_retry_after, retry_after_of, retry_delay

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()


def middle() -> float:
    return 0.5


def test_the_statuses_that_may_be_tried_again() -> None:
    again = {status for status in range(100, 600) if retry.retryable_status(status)}
    assert again == {408, 429, *range(500, 600)}


def test_only_a_request_that_nobody_saw_may_be_sent_again_after_an_error() -> None:
    assert retry.retryable_error(UpstreamUnreachable("x"))
    for error in (UpstreamBroken("x"), UpstreamTimeout("x"), UpstreamRefused("x", status=500), InvalidRequest("x")):
        assert not retry.retryable_error(error)


def test_a_spent_budget_is_not_waited_for() -> None:
    assert not retry.retryable_code("insufficient_quota")
    assert retry.retryable_code("rate_limit_exceeded")
    assert retry.retryable_code(None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0.0),
        (b"1", 1.0),
        (b" 2 ", 2.0),
        (b"1.5", 1.5),
        (b".5", 0.5),
        (b"3600", 3600.0),
        (b"Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        (b"Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        (b"Sat, 21 Nov 2026 12:00:30", 30.0),
        (b"Saturday, 21-Nov-26 12:00:30 GMT", 30.0),
    ],
)
def test_seconds_and_dates_are_read(value: bytes, seconds: float) -> None:
    assert read_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"-1",
        b"+1",
        b"inf",
        b"nan",
        b"1e3",
        b"1e300",
        b"0x10",
        b"1,5",
        b".",
        b"1.2.3",
        b"soon",
        b"\xff",
        b"1_000",
        "٣".encode(),
    ],
)
def test_what_is_neither_says_nothing(value: bytes) -> None:
    assert read_retry_after(value, NOW) is None


def test_the_upstreams_wish_is_exact_up_to_the_cap_and_refused_above() -> None:
    assert retry_delay(0, b"7", 8, middle) == 7
    assert retry_delay(5, b"8", 8, middle) == 8
    assert retry_delay(0, b"8.01", 8, middle) is None
    assert retry_delay(0, b"3600", 60, middle) is None
    assert retry_delay(0, b"9" * 400, 60, middle) is None
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True).encode()
    assert retry_delay(0, in_an_hour, 60, middle) is None


def test_without_a_wish_it_doubles_with_jitter_up_to_the_cap() -> None:
    assert [retry_delay(attempt, None, 60, middle) for attempt in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert retry_delay(0, b"soon", 60, middle) == 0.5
    assert retry_delay(0, None, 60, lambda: 0.0) == 0.375
    assert retry_delay(0, None, 60, lambda: 0.999) == pytest.approx(0.625, abs=0.001)
    assert retry_delay(30, None, 8, middle) == 8


@given(
    st.integers(-5, 10**6),
    st.none() | st.binary(max_size=40) | st.from_regex(rb"[0-9.eE+-]{1,330}", fullmatch=True),
    st.floats(0, 1e6),
    st.integers(),
)
def test_no_header_makes_a_delay_that_cannot_be_slept(attempt: int, value: bytes | None, cap: float, seed: int) -> None:
    delay = retry_delay(attempt, value, cap, random.Random(seed).random)
    assert delay is None or (math.isfinite(delay) and 0 <= delay <= cap)


def test_the_finer_header_goes_first() -> None:
    assert retry_after_of([(b"retry-after", b"2"), (b"retry-after-ms", b"1250")]) == b"1.250"
    assert retry_after_of([(b"retry-after", b"2"), (b"retry-after-ms", b"soon")]) == b"2"
    assert retry_after_of([(b"x", b"y")]) is None
    huge = retry_after_of([(b"retry-after-ms", b"9" * 400)])
    assert retry_delay(0, huge, 60, middle) is None
