"""anyllm_fast/providers/tokens.py and what fetches for it: single flight, refreshed ahead, failures told with what and where."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from raw_upstream import Close, Hang, ok, raw_upstream

from anyllm_fast.config import Backend, Proxy
from anyllm_fast.config.settings import Azure, Google
from anyllm_fast.errors import ConfigError, UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from anyllm_fast.providers import control, entra_token, google_token, open_target
from anyllm_fast.providers.tokens import AHEAD, Token, Tokens
from anyllm_fast.upstream import Origin, Timeouts, UpstreamRequest
from tests.accounts import authorized_user, external_account, service_account


def token(value: bytes, seconds: float) -> Token:
    return Token(((b"authorization", b"Bearer " + value),), time.monotonic() + seconds)


class Source:
    """A token endpoint that a test plays: what it gives or raises, in order, the last for ever."""

    def __init__(self, *answers: Token | Exception) -> None:
        self.answers = list(answers)
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Token:
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_that_wait_together_fetch_once() -> None:
    source = Source(token(b"a", 3600))
    source.gate.clear()
    tokens = Tokens(source.fetch)
    calls = [asyncio.create_task(tokens.current()) for _ in range(20)]
    await settled()
    source.gate.set()
    assert await asyncio.gather(*calls) == [[(b"authorization", b"Bearer a")]] * 20
    await tokens.current()
    assert source.calls == 1


async def test_a_caller_that_leaves_takes_nothing_from_the_others() -> None:
    source = Source(token(b"a", 3600))
    source.gate.clear()
    tokens = Tokens(source.fetch)
    first, second = asyncio.create_task(tokens.current()), asyncio.create_task(tokens.current())
    await settled()
    first.cancel()
    await settled()
    source.gate.set()
    assert await second == [(b"authorization", b"Bearer a")]
    assert source.calls == 1


async def test_a_refresh_ahead_of_time_keeps_nobody_waiting() -> None:
    source = Source(token(b"old", AHEAD - 1), token(b"new", 3600))
    tokens = Tokens(source.fetch)
    await tokens.current()
    tokens._not_before = 0.0  # as if the pause after the first fetch were over
    source.gate.clear()
    assert await asyncio.wait_for(tokens.current(), 1) == [(b"authorization", b"Bearer old")]
    assert await asyncio.wait_for(tokens.current(), 1) == [(b"authorization", b"Bearer old")]
    source.gate.set()
    await settled()
    assert await tokens.current() == [(b"authorization", b"Bearer new")]
    assert source.calls == 2


async def test_a_token_that_lives_shorter_than_we_look_ahead_is_not_fetched_by_every_call() -> None:
    source = Source(token(b"short", 60))
    tokens = Tokens(source.fetch)
    for _ in range(50):
        await tokens.current()
        await settled()
    assert source.calls == 1


async def test_a_refresh_that_fails_leaves_the_token_in_use_and_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    source = Source(token(b"old", AHEAD - 1), UpstreamUnreachable("cannot reach it"))
    tokens = Tokens(source.fetch)
    await tokens.current()
    tokens._not_before = 0.0
    for _ in range(10):
        assert await tokens.current() == [(b"authorization", b"Bearer old")]
        await settled()
    assert source.calls == 2
    assert "cannot reach it" in capfd.readouterr().err


async def test_an_expired_token_is_not_sent() -> None:
    source = Source(token(b"old", 5), token(b"new", 3600))
    tokens = Tokens(source.fetch)
    assert await tokens.current() == [(b"authorization", b"Bearer old")]
    assert await tokens.current() == [(b"authorization", b"Bearer new")]


async def test_a_failure_answers_the_calls_of_the_next_second_and_is_tried_again_then() -> None:
    source = Source(UpstreamUnreachable("cannot reach it"), token(b"a", 3600))
    tokens = Tokens(source.fetch)
    for _ in range(5):
        with pytest.raises(UpstreamUnreachable, match="cannot reach it"):
            await tokens.current()
    assert source.calls == 1
    tokens._not_before = 0.0
    assert await tokens.current() == [(b"authorization", b"Bearer a")]


# --- Entra ID ----------------------------------------------------------------------------------------------------------------


def azure(url: str) -> Backend:
    principal = Azure(tenant_id="my-tenant", client_id="me", client_secret="hush-hush", authority=url, scope="https://s/.default")
    return Backend(name="azure", kind="azure", base_url=f"{url}/openai", api_prefix="", azure=principal)


def answer(**told: object) -> bytes:
    return ok(json.dumps(told).encode(), b"content-type: application/json")


async def signed(backend: Backend) -> list[tuple[bytes, bytes]]:
    target = open_target(backend)
    assert target.sign is not None
    request = UpstreamRequest(Origin("http", "h", 1), b"POST", b"/", [(b"a", b"b")], b"", Timeouts())
    await target.sign(request)
    assert request.headers[0] == (b"a", b"b")
    return request.headers[1:]


async def test_a_service_principal_gets_its_token_from_entra_id() -> None:
    async with raw_upstream([answer(token_type="Bearer", expires_in=3599, access_token="entra")]) as upstream:
        assert await signed(azure(upstream.url)) == [(b"authorization", b"Bearer entra")]
        (seen,) = upstream.requests
    assert seen.line == b"POST /my-tenant/oauth2/v2.0/token HTTP/1.1"
    assert parse_qs(seen.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["me"],
        "client_secret": ["hush-hush"],
        "scope": ["https://s/.default"],
    }


@pytest.mark.parametrize(
    ("script", "kind", "status", "wanted"),
    [
        (
            [ok(b'{"error":"invalid_client",\n"error_description":"AADSTS7000215"}', status=b"401 Unauthorized")],
            "authentication",
            401,
            'got no token from {url}/my-tenant/oauth2/v2.0/token: status 401, {{"error":"invalid_client", "error_description"',
        ),
        ([ok(b"", status=b"503 Service Unavailable")], "overloaded", 503, "status 503"),
        ([ok(b"", b"location: http://127.0.0.1:1/", status=b"302 Found")], "authentication", 401, "status 302"),
        ([ok(b"<html>")], "api", 502, "no JSON object"),
        ([answer(expires_in=1)], "api", 502, "answered without access_token"),
        ([b"HTTP/1.1 200 OK\r\ncontent-le", Close()], "api", 502, "cannot reach {url}/my-tenant"),
        ([ok(b"x" * (2 << 20))], "api", 502, "answered more than"),
    ],
)
async def test_what_entra_id_says_instead_of_a_token_is_passed_on(
    script: list[bytes | Close], kind: str, status: int, wanted: str
) -> None:
    async with raw_upstream(script) as upstream:
        with pytest.raises(UpstreamError) as caught:
            await signed(azure(upstream.url))
        assert (caught.value.kind, caught.value.status) == (kind, status)
        assert wanted.format(url=upstream.url) in caught.value.message
        assert "hush-hush" not in caught.value.message


async def test_a_token_endpoint_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "SECONDS", 0.2)
    async with raw_upstream([Hang()]) as upstream:
        with pytest.raises(UpstreamTimeout, match=r"did not answer within 0\.2 s"):
            await signed(azure(upstream.url))


async def test_tokens_are_fetched_through_the_proxy_and_loopback_ones_directly() -> None:
    proxy = Proxy(http="http://127.0.0.1:1")
    assert control.client_options(Backend(name="a", kind="azure", proxy=proxy), "http://login.example/")["proxy"]
    assert not control.client_options(Backend(name="a", kind="azure", proxy=proxy), "http://127.0.0.1:9/")["proxy"]
    assert entra_token.open_tokens(azure("http://127.0.0.1:1")) is not None


# --- Google ------------------------------------------------------------------------------------------------------------------


def vertex(url: str, path: str | Path = "") -> Backend:
    google = Google(project="p", region="r", credentials_file=str(path), metadata_url=url)
    return Backend(name="vertex", kind="vertex", base_url=url or "http://h:1", google=google)


async def test_the_metadata_server_gives_a_token() -> None:
    async with raw_upstream([answer(access_token="meta", expires_in=3600, token_type="Bearer")]) as upstream:
        assert await signed(vertex(upstream.url)) == [(b"authorization", b"Bearer meta")]
        (seen,) = upstream.requests
    assert seen.line == b"GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1"
    assert seen.header(b"metadata-flavor") == b"Google"


@pytest.mark.parametrize(
    ("write", "grant", "more"),
    [
        (service_account, "urn:ietf:params:oauth:grant-type:jwt-bearer", []),
        (authorized_user, "refresh_token", [(b"x-goog-user-project", b"who-pays")]),
        (external_account, "urn:ietf:params:oauth:grant-type:token-exchange", []),
    ],
)
async def test_a_credentials_file_is_turned_into_a_token_at_its_own_address(
    tmp_path: Path, write: Callable[[Path, str], Path], grant: str, more: list[tuple[bytes, bytes]]
) -> None:
    told = {"access_token": "from-file", "expires_in": 3600, "token_type": "Bearer"}
    told["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
    async with raw_upstream([answer(**told)]) as upstream:
        path = write(tmp_path, f"{upstream.url}/token")
        tokens = google_token.open_tokens(vertex("", path))
        assert await tokens.current() == [(b"authorization", b"Bearer from-file"), *more]
        assert tokens._token is not None
        assert 3000 < tokens._token.expires - time.monotonic() <= 3600
        (seen,) = upstream.requests
    assert seen.line == b"POST /token HTTP/1.1"
    assert parse_qs(seen.body.decode())["grant_type"] == [grant]


async def test_a_token_that_google_refuses_is_told_with_the_file(tmp_path: Path) -> None:
    refusal = ok(b'{"error":"invalid_grant","error_description":"Account deleted"}', status=b"400 Bad Request")
    async with raw_upstream([refusal]) as upstream:
        path = service_account(tmp_path, f"{upstream.url}/token")
        with pytest.raises(UpstreamError) as caught:
            await signed(vertex("", path))
    assert (caught.value.kind, caught.value.status) == ("authentication", 401)
    assert caught.value.message.startswith(f"the gateway got no token for '{path}': ")
    assert "invalid_grant: Account deleted" in caught.value.message


async def test_an_endpoint_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnreachable, match=r"cannot reach http://127\.0\.0\.1:1"):
        await signed(vertex("http://127.0.0.1:1"))
    with pytest.raises(UpstreamUnreachable, match=r"no token for '.*service\.json': cannot reach http://127\.0\.0\.1:1/token"):
        await signed(vertex("", service_account(tmp_path, "http://127.0.0.1:1/token")))


async def test_a_metadata_server_that_gives_no_token_is_told() -> None:
    async with raw_upstream([answer(hello="world")]) as upstream:
        with pytest.raises(UpstreamBroken, match="answered without access_token and expires_in"):
            await signed(vertex(upstream.url))


def test_a_file_that_the_library_cannot_read_stops_the_start(tmp_path: Path) -> None:
    path = service_account(tmp_path)
    key = json.loads(path.read_text())["private_key"].splitlines()[3]
    path.write_text(path.read_text().replace("BEGIN PRIVATE", "BEGIN PIRATE"))
    with pytest.raises(ConfigError, match=r"service\.json' cannot be used: ") as caught:
        open_target(vertex("", path))
    assert key not in str(caught.value)


def test_without_the_library_the_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.oauth2", None)
    with pytest.raises(ConfigError, match=r"pip install 'anyllm-fast\[vertex\]'"):
        open_target(vertex("", service_account(tmp_path)))
