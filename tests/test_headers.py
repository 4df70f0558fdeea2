"""anyllm_fast/headers.py: what passes, what stays, and what is said in the other vendor's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast import headers
from anyllm_fast.call import Call, Route, Target
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.headers import duration_of, seconds_of, to_client, to_upstream
from anyllm_fast.upstream import Origin
from tests.facts import LANES

NEVER = {
    b"authorization": b"Bearer client",
    b"x-api-key": b"client",
    b"x-goog-api-key": b"client",
    b"cookie": b"c=1",
    b"proxy-authorization": b"p",
    b"host": b"us",
    b"connection": b"keep-alive, x-hop",
    b"x-hop": b"1",
    b"transfer-encoding": b"chunked",
    b"content-length": b"9",
    b"accept-encoding": b"gzip",
    b"x-forwarded-for": b"1.2.3.4",
    b"x-stainless-lang": b"python",
    b"anthropic-workspace-id": b"w",
    b"x-anything-else": b"1",
}
CLIENT = {
    **NEVER,
    b"user-agent": b"claude-cli/2",
    b"anthropic-beta": b"a,b",
    b"anthropic-version": b"2026-10-21",
    b"x-claude-code-session-id": b"s",
    b"openai-organization": b"org",
    b"openai-project": b"proj",
    b"idempotency-key": b"i",
}


async def nothing(*_: Any) -> Any:
    return {}


def sent(client: str, upstream: str, method: str = "POST", stream: bool = False, **received: bytes) -> dict[bytes, bytes]:
    """The headers that go upstream, by name. A name that would be sent twice fails."""
    given = {**CLIENT, **{name.replace("_", "-").encode(): value for name, value in received.items()}}
    scope = {"method": method, "path": "/", "query_string": b"", "client": None, "headers": list(given.items())}
    call = Call(scope, nothing, nothing, Route("generate", client), DIALECTS[client], "req-1")
    call.stream = stream
    target = Target(
        name="t",
        models_dialect=upstream,
        origin=Origin("https", "h", 443),
        credentials=((b"x-api-key", b"ours"),),
        model_of=str,
        surfaces=lambda model: (),
    )
    out = to_upstream(call, target, upstream, b"text/event-stream" if stream else b"application/json")
    assert len(dict(out)) == len(out)
    assert all(name == name.lower() for name, _ in out)
    return dict(out)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("upstream", DIALECTS)
def test_credentials_cookies_and_hop_by_hop_headers_never_go_upstream(client: str, upstream: str) -> None:
    out = sent(client, upstream)
    assert out[b"x-api-key"] == b"ours"
    assert not {name for name in out if name in NEVER and name != b"x-api-key"}
    assert b"client" not in out.values()


def test_what_speaks_of_the_body_passes_where_the_body_does() -> None:
    out = sent("anthropic", "anthropic")
    assert (out[b"anthropic-beta"], out[b"anthropic-version"]) == (b"a,b", b"2026-10-21")
    assert out[b"x-claude-code-session-id"] == b"s"
    assert out[b"user-agent"] == b"claude-cli/2"
    out = sent("openai_chat", "openai_chat")
    assert (out[b"openai-organization"], out[b"openai-project"], out[b"idempotency-key"]) == (b"org", b"proj", b"i")
    assert b"anthropic-beta" not in out


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_dialect_lists_passes_where_both_sides_speak_it_and_nowhere_else(dialect: str) -> None:
    listed = {name.decode(): b"theirs" for name in headers.TO_UPSTREAM[dialect]}
    assert not {name for name in listed if sent(dialect, dialect, **listed)[name.encode()] != b"theirs"}
    for upstream in DIALECTS:
        if upstream != dialect:
            assert b"theirs" not in sent(dialect, upstream, **listed).values()


@pytest.mark.parametrize(("client", "upstream"), LANES)
def test_nothing_of_the_clients_passes_where_the_body_is_translated(client: str, upstream: str) -> None:
    out = sent(client, upstream)
    assert not {b"anthropic-beta", b"openai-organization", b"idempotency-key", b"x-claude-code-session-id"} & set(out)
    assert out[b"user-agent"].startswith(b"anyllm-fast/")
    assert out.get(b"anthropic-version") == dict(headers.DEFAULTS.get(upstream, ())).get(b"anthropic-version")


def test_the_upstream_learns_our_request_id_and_what_we_take() -> None:
    assert sent("anthropic", "anthropic")[b"x-request-id"] == b"req-1"
    assert sent("anthropic", "anthropic")[b"accept"] == b"application/json"
    assert sent("anthropic", "openai_chat", stream=True)[b"accept"] == b"text/event-stream"
    assert b"content-type" not in sent("anthropic", "anthropic", "GET")


def test_a_credential_wins_over_a_header_of_the_same_name() -> None:
    table = headers.TO_UPSTREAM["anthropic"]
    assert b"x-api-key" not in table
    assert b"authorization" not in table


# -- back --------------------------------------------------------------------------------------------------------------

REPLY = [
    (b"set-cookie", b"a=1"),
    (b"connection", b"close"),
    (b"transfer-encoding", b"chunked"),
    (b"content-length", b"5"),
    (b"content-encoding", b"gzip"),
    (b"content-type", b"text/html"),
    (b"server", b"x"),
    (b"strict-transport-security", b"x"),
    (b"alt-svc", b"x"),
]


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("upstream", DIALECTS)
def test_cookies_framing_and_hop_by_hop_headers_never_come_back(client: str, upstream: str) -> None:
    assert to_client(REPLY, upstream, client) == []


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("upstream", DIALECTS)
def test_retry_hints_and_the_upstreams_request_id_come_back_on_every_lane(client: str, upstream: str) -> None:
    hints = [(b"retry-after", b"3"), (b"retry-after-ms", b"3000"), (b"x-should-retry", b"false")]
    assert to_client([*hints, (b"x-request-id", b"u")], upstream, client) == [*hints, (b"x-upstream-request-id", b"u")]


def test_the_same_dialect_gets_its_own_headers() -> None:
    own = [
        (b"request-id", b"req_1"),
        (b"anthropic-organization-id", b"o"),
        (b"anthropic-ratelimit-input-tokens-remaining", b"9"),
    ]
    assert to_client(own, "anthropic", "anthropic") == own
    own = [(b"openai-processing-ms", b"9"), (b"x-ratelimit-limit-requests", b"5"), (b"x-ratelimit-reset-tokens", b"6ms")]
    assert to_client(own, "openai_chat", "openai_chat") == own


def test_rate_limits_of_openai_are_said_in_anthropics_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers.time, "time", lambda: 1_700_000_000.2)
    upstream = [
        (b"x-ratelimit-limit-requests", b"5000"),
        (b"x-ratelimit-remaining-requests", b"4999"),
        (b"x-ratelimit-reset-requests", b"12ms"),
        (b"x-ratelimit-limit-tokens", b"160000"),
        (b"x-ratelimit-remaining-tokens", b"many"),
        (b"x-ratelimit-reset-tokens", b"1m30s"),
        (b"openai-version", b"2020-10-01"),
    ]
    assert to_client(upstream, "openai_chat", "anthropic") == [
        (b"anthropic-ratelimit-requests-limit", b"5000"),
        (b"anthropic-ratelimit-requests-remaining", b"4999"),
        (b"anthropic-ratelimit-requests-reset", b"2023-11-14T22:13:21Z"),
        (b"anthropic-ratelimit-tokens-limit", b"160000"),
        (b"anthropic-ratelimit-tokens-reset", b"2023-11-14T22:14:51Z"),
    ]


def test_rate_limits_of_anthropic_are_said_in_openais_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers.time, "time", lambda: 1_700_000_000.0)
    upstream = [
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-requests-reset", b"2023-11-14T22:14:50Z"),
        (b"anthropic-ratelimit-tokens-remaining", b"0"),
        (b"anthropic-ratelimit-tokens-reset", b"2023-11-14T22:13:19Z"),
        (b"anthropic-ratelimit-input-tokens-limit", b"1"),
        (b"request-id", b"req_1"),
    ]
    assert to_client(upstream, "anthropic", "openai_chat") == [
        (b"x-ratelimit-limit-requests", b"50"),
        (b"x-ratelimit-reset-requests", b"1m30s"),
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"x-ratelimit-reset-tokens", b"0ms"),
        (b"x-upstream-request-id", b"req_1"),
    ]


@pytest.mark.parametrize("value", [b"soon", b"", b"-1s", b"1e99", b"9999999999", b"1x", b"\xff"])
def test_a_reset_that_cannot_be_read_is_left_out(value: bytes) -> None:
    assert to_client([(b"x-ratelimit-reset-tokens", value)], "openai_chat", "anthropic") == []


@pytest.mark.parametrize("value", [b"soon", b"", b"2023-11-14T22:14:50", b"9999-01-01T00:00:00Z", b"\xff", b"1700000000"])
def test_a_time_that_cannot_be_read_is_left_out(value: bytes) -> None:
    assert to_client([(b"anthropic-ratelimit-tokens-reset", value)], "anthropic", "openai_chat") == []


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [(b"6ms", 0.006), (b"1s", 1), (b"1m30s", 90), (b"2h", 7200), (b"7.66s", 7.66), (b"1h2m3s4ms", 3723.004), (b"60", 60)],
)
def test_durations_are_read_as_every_host_writes_them(duration: bytes, seconds: float) -> None:
    assert seconds_of(duration) == pytest.approx(seconds)


@given(st.floats(0, 300 * 86400.0))
def test_a_duration_that_is_written_reads_back_at_most_a_second_later(seconds: float) -> None:
    read = seconds_of(duration_of(seconds))
    assert read is not None
    assert seconds - 1e-6 <= read <= seconds + 1


@given(st.integers(0, 86400))
def test_a_reset_survives_both_translations(seconds: int) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 5)
    there = to_client(
        [(b"anthropic-ratelimit-tokens-reset", moment.strftime("%Y-%m-%dT%H:%M:%SZ").encode())], "anthropic", "openai_chat"
    )
    back = to_client(there, "openai_chat", "anthropic")
    assert abs(datetime.fromisoformat(back[0][1].decode()) - moment) <= timedelta(seconds=2)
