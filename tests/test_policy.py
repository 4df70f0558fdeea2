"""policy/: who may connect, who is calling, how many at once, what is counted and what is logged."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import Any

import pytest

from anyllm_fast.call import Call, Route
from anyllm_fast.config import Settings
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.errors import Forbidden, RateLimited, Unauthenticated
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.policy.access import Access
from anyllm_fast.policy.auth import Auth
from anyllm_fast.policy.concurrency import Concurrency
from anyllm_fast.policy.log import _fields, _json, _text
from anyllm_fast.policy.metrics import Metrics, as_json, as_prometheus
from anyllm_fast.providers import open_target
from tests.asgi import OPENAI


def make_call(headers: dict[str, str] | None = None, peer: str = "10.0.0.1", *, public: bool = False) -> Call:
    scope: dict[str, Any] = {
        "method": "POST",
        "path": "/v1/messages",
        "query_string": b"",
        "client": (peer, 1),
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }

    async def never(*_: Any) -> Any:
        raise AssertionError("a policy awaited")

    return Call(scope, never, never, Route("generate", "anthropic", public=public), DIALECTS["anthropic"], "id-1")


def keys(*plain: str) -> Settings:
    return Settings(demo=False, proxy_key_digests=tuple(hashlib.sha256(key.encode()).digest() for key in plain))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "k2"},
        {"x-goog-api-key": "k2"},
        {"authorization": "Bearer k2"},
        {"authorization": "bearer  k2 "},
        {"x-api-key": "", "authorization": "Bearer k2"},
    ],
)
def test_a_key_is_taken_from_every_header_that_clients_use(headers: dict[str, str]) -> None:
    policy = Auth.open(keys("k1", "k2"))
    assert policy is not None
    call = make_call(headers)
    policy.screen(call)
    assert call.key_name == hashlib.sha256(b"k2").hexdigest()[:8]


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "Missing authentication"),
        ({"authorization": "Basic azI="}, "Missing authentication"),
        ({"authorization": "Bearer "}, "Missing authentication"),
        ({"x-api-key": "wrong"}, "Invalid API key."),
        ({"x-api-key": "wrong", "authorization": "Bearer k1"}, "Invalid API key."),
        ({"x-api-key": "k"}, "Invalid API key."),
    ],
)
def test_a_caller_without_a_key_is_refused(headers: dict[str, str], text: str) -> None:
    policy = Auth.open(keys("k1"))
    assert policy is not None
    with pytest.raises(Unauthenticated, match=text):
        policy.screen(make_call(headers))


def test_without_keys_the_relay_is_closed_unless_it_was_opened_by_name() -> None:
    closed = Auth.open(Settings(demo=False))
    assert closed is not None
    with pytest.raises(Unauthenticated, match="not configured for access"):
        closed.screen(make_call({"x-api-key": "anything"}))
    opened = Auth.open(Settings(demo=False, open_relay=True))
    assert opened is not None
    opened.screen(make_call({"x-api-key": "anything"}))
    with pytest.raises(Unauthenticated):
        opened.screen(make_call({}))


def test_the_demo_needs_no_credential_but_keys_that_are_set_count() -> None:
    assert Auth.open(Settings(demo=True)) is None
    guarded = Auth.open(Settings(demo=True, proxy_key_digests=(hashlib.sha256(b"k").digest(),)))
    assert guarded is not None
    with pytest.raises(Unauthenticated):
        guarded.screen(make_call({}))


def test_public_routes_need_no_credential() -> None:
    policy = Auth.open(keys("k1"))
    assert policy is not None
    policy.screen(make_call({}, public=True))


def networks(*texts: str) -> tuple[Any, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("x", False),
    ],
)
def test_the_allowlist_knows_both_address_families_and_mapped_ones(peer: str, allowed: bool) -> None:
    policy = Access.open(Settings(ip_allowlist=networks("10.0.0.0/8", "2001:db8::/32")))
    assert policy is not None
    if allowed:
        policy.screen(make_call(peer=peer))
    else:
        with pytest.raises(Forbidden):
            policy.screen(make_call(peer=peer))


def test_an_empty_allowlist_allows_nobody_and_none_allows_all() -> None:
    assert Access.open(Settings(ip_allowlist=None)) is None
    nobody = Access.open(Settings(ip_allowlist=()))
    assert nobody is not None
    with pytest.raises(Forbidden):
        nobody.screen(make_call(peer="127.0.0.1"))


def test_a_forged_x_forwarded_for_is_ignored_unless_a_proxy_is_trusted() -> None:
    forged = {"x-forwarded-for": "10.0.0.1"}
    direct = Access.open(Settings(ip_allowlist=networks("10.0.0.0/8")))
    assert direct is not None
    with pytest.raises(Forbidden):
        direct.screen(make_call(forged, peer="9.9.9.9"))
    behind = Access.open(Settings(ip_allowlist=networks("10.0.0.0/8"), trust_proxy_headers=True, trusted_proxy_depth=2))
    assert behind is not None
    behind.screen(make_call({"x-forwarded-for": "6.6.6.6, 10.0.0.1, 172.16.0.1"}, peer="9.9.9.9"))
    with pytest.raises(Forbidden):
        behind.screen(make_call({"x-forwarded-for": "10.0.0.1, 6.6.6.6, 172.16.0.1"}, peer="9.9.9.9"))
    with pytest.raises(Forbidden, match="could not be determined"):
        behind.screen(make_call({"x-forwarded-for": "10.0.0.1"}, peer="10.0.0.1"))


def aimed() -> Call:
    call = make_call()
    call.target = open_target(OPENAI)
    return call


def test_a_permit_is_held_until_the_call_is_settled_and_given_back_once() -> None:
    policy = Concurrency.open(Settings(max_concurrency=2))
    assert policy is not None
    first, second, third = aimed(), aimed(), aimed()
    policy.admit(first)
    policy.admit(second)
    with pytest.raises(RateLimited) as caught:
        policy.admit(third)
    assert (b"retry-after", b"1") in caught.value.headers
    policy.settle(third)
    with pytest.raises(RateLimited):
        policy.admit(aimed())
    policy.settle(first)
    policy.settle(first)
    policy.admit(third)
    with pytest.raises(RateLimited):
        policy.admit(aimed())
    assert Concurrency.open(Settings(max_concurrency=0)) is None


def test_metrics_count_each_ending_once() -> None:
    metrics = Metrics(["openai"])
    good = aimed()
    good.outcome.status, good.outcome.usage = 200, Usage(input=7, output=3, cache_read=2)
    metrics.settle(good)
    broken = aimed()
    broken.stream, broken.outcome.status, broken.outcome.error, broken.outcome.first_byte_at = True, 200, "api", 1.0
    metrics.settle(broken)
    gone = aimed()
    gone.stream, gone.outcome.status, gone.outcome.client_gone, gone.outcome.first_byte_at = True, 200, True, 1.0
    metrics.settle(gone)
    refused = make_call()
    refused.outcome.status, refused.outcome.error = 401, "authentication"
    metrics.settle(refused)
    shown = json.loads(as_json(metrics))
    assert shown["total"] == {"requests_total": 3, "requests_success": 1, "requests_error": 2}
    assert shown["refused"] == 1
    openai = shown["backends"]["openai"]
    assert (openai["streams_started"], openai["streams_failed"], openai["streams_client_disconnected"]) == (2, 1, 1)
    assert (openai["input_tokens"], openai["output_tokens"], openai["cache_read_tokens"]) == (7, 3, 2)
    text = as_prometheus(metrics).decode()
    assert 'anyllm_requests_total{backend="openai"} 3\n' in text
    assert "# TYPE anyllm_input_tokens_total counter\n" in text


def test_a_log_line_has_no_credential_and_no_content() -> None:
    call = aimed()
    call.headers[b"authorization"] = b"Bearer sk-very-secret"
    call.body = b'{"messages":"private words"}'
    call.key_name = "abcd1234"
    line = _fields(call, "INFO")
    for written in (_json(dict(line)), _text(dict(line))):
        assert b"secret" not in written and b"private words" not in written
        assert written.endswith(b"\n") and written.count(b"\n") == 1
    assert json.loads(_json(line))["key"] == "abcd1234"
