"""TLS towards upstreams: who is trusted, who we are, and that a key never stays on disk. Certificates are made by trustme."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from lanes import Open, every_lane, http1_lanes, request
from raw_upstream import CHUNKED, LAST_CHUNK, Close, Flood, Hang, Reset, Sleep, chunk, head, ok, raw_upstream

from anyllm_fast.errors import ConfigError, UpstreamBroken, UpstreamUnreachable
from anyllm_fast.upstream import tls
from anyllm_fast.upstream.tls import TlsOptions, open_context

CA = trustme.CA()
OTHER_CA = trustme.CA()


def server(*names: str, ca: trustme.CA = CA, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def trusting(tmp_path: Path, ca: trustme.CA = CA, **identity: str) -> ssl.SSLContext:
    pem = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(pem))
    return open_context(TlsOptions(ca_file=str(pem), **identity))


def write_p12(path: Path, password: str, ca: trustme.CA = CA) -> str:
    leaf = ca.issue_cert("client.example")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    certificate = load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    data = pkcs12.serialize_key_and_certificates(
        b"me",
        key,  # type: ignore[arg-type]  # an RSA or EC key
        certificate,
        [load_pem_x509_certificate(ca.cert_pem.bytes())],
        BestAvailableEncryption(password.encode()),
    )
    path.write_bytes(data)
    return str(path)


@every_lane
async def test_a_trusted_host_is_spoken_to_and_its_connection_kept(open_upstream: Open, tmp_path: Path) -> None:
    seen: list[str | None] = []
    context = server("localhost", "127.0.0.1")
    context.sni_callback = lambda _, name, __: seen.append(name)
    context.set_alpn_protocols(["http/1.1"])
    async with raw_upstream([ok(b"hi")], tls=context) as raw:
        upstream = open_upstream(trusting(tmp_path))
        for host in ("localhost", "localhost", "127.0.0.1"):
            reply = await upstream.send(request(raw.port, scheme="https", host=host))
            assert await reply.read(9) == b"hi"
        assert seen == ["localhost", None], "a name is announced, an address never (RFC 6066 section 3)"
        await upstream.close()


@pytest.mark.parametrize("case", ["unknown authority", "wrong name", "wrong address"])
@every_lane
async def test_a_certificate_that_does_not_fit_is_refused(open_upstream: Open, tmp_path: Path, case: str) -> None:
    context = {
        "unknown authority": server("localhost", ca=OTHER_CA),
        "wrong name": server("other.example"),
        "wrong address": server("localhost"),
    }[case]
    host = "127.0.0.1" if case == "wrong address" else "localhost"
    async with raw_upstream([ok(b"hi")], tls=context) as raw:
        upstream = open_upstream(trusting(tmp_path))
        with pytest.raises(UpstreamUnreachable, match="certificate was not accepted") as caught:
            await upstream.send(request(raw.port, scheme="https", host=host))
        assert caught.value.status == 502
        assert raw.requests == []
        await upstream.close()


@every_lane
async def test_without_a_ca_file_the_system_decides(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")], tls=server("localhost")) as raw:
        upstream = open_upstream(open_context(TlsOptions()))
        with pytest.raises(UpstreamUnreachable, match="certificate was not accepted"):
            await upstream.send(request(raw.port, scheme="https", host="localhost"))
        await upstream.close()


@every_lane
async def test_our_identity_is_shown_to_who_asks(open_upstream: Open, tmp_path: Path) -> None:
    p12 = write_p12(tmp_path / "me.p12", "pass word")
    async with raw_upstream([ok(b"hi")], tls=server("localhost", clients=CA)) as raw:
        upstream = open_upstream(trusting(tmp_path, p12_file=p12, p12_password="pass word"))
        reply = await upstream.send(request(raw.port, scheme="https", host="localhost"))
        assert await reply.read(9) == b"hi"
        await upstream.close()
        stranger = open_upstream(trusting(tmp_path))
        with pytest.raises((UpstreamUnreachable, UpstreamBroken)):  # TLS 1.3 tells it after the handshake
            await stranger.send(request(raw.port, scheme="https", host="localhost"))
        await stranger.close()


@every_lane
async def test_bodies_over_tls_are_whole_or_broken(open_upstream: Open, tmp_path: Path) -> None:
    stream = [CHUNKED + chunk(b"a"), Sleep(0.01), chunk(b"b" * 100_000) + LAST_CHUNK]
    until_close = [head(version=b"HTTP/1.0") + b"hello", Sleep(0.01), Close()]
    cut = [CHUNKED + chunk(b"a"), Sleep(0.01), Close()]
    lost = [CHUNKED + chunk(b"a"), Sleep(0.01), Reset()]
    async with raw_upstream(stream, stream, until_close, cut, lost, tls=server("localhost")) as raw:
        upstream = open_upstream(trusting(tmp_path))

        async def take() -> bytes:
            reply = await upstream.send(request(raw.port, b"x" * 1_000_000, scheme="https", host="localhost"))
            return await reply.read(1 << 20)

        assert await take() == b"a" + b"b" * 100_000
        assert await take() == b"a" + b"b" * 100_000
        assert await take() == b"hello"
        for _ in range(2):
            with pytest.raises(UpstreamBroken, match="in the middle of its answer"):
                await take()
        assert all(len(seen.body) == 1_000_000 for seen in raw.requests)
        assert len(raw.connections) == 3
        await upstream.close()


@every_lane
async def test_a_reader_that_does_not_read_stops_a_tls_upstream(open_upstream: Open, tmp_path: Path) -> None:
    async with raw_upstream([CHUNKED, Flood(50 << 20, chunk(b"x" * 60000)), Hang()], tls=server("localhost")) as raw:
        upstream = open_upstream(trusting(tmp_path))
        reply = await upstream.send(request(raw.port, scheme="https", host="localhost"))
        await reply.chunk()
        await asyncio.sleep(0.3)
        assert raw.flooded < 20 << 20
        reply.abort()
        await upstream.close()
        assert await raw.closed_within(1)


@http1_lanes
async def test_an_aborted_handshake_is_over_at_once(open_upstream: Open, tmp_path: Path) -> None:
    async with raw_upstream([Hang()]) as raw:  # takes the hello and says nothing
        upstream = open_upstream(trusting(tmp_path))
        task = asyncio.ensure_future(upstream.send(request(raw.port, scheme="https", host="localhost")))
        await asyncio.sleep(0.05)
        task.cancel()
        assert await raw.closed_within(0.5)
        await asyncio.gather(task, return_exceptions=True)
        await upstream.close()


# Files


def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    missing, bad = str(tmp_path / "missing"), tmp_path / "bad"
    bad.write_bytes(b"not a certificate")
    p12 = write_p12(tmp_path / "me.p12", "right")
    only_certificate = tmp_path / "only.p12"
    leaf = load_pem_x509_certificate(CA.issue_cert("x.example").cert_chain_pems[0].bytes())
    only_certificate.write_bytes(pkcs12.serialize_key_and_certificates(b"me", None, leaf, None, BestAvailableEncryption(b"p")))
    cases = [
        (TlsOptions(ca_file=missing), f"failed to read CA cert file '{missing}': No such file or directory"),
        (TlsOptions(ca_file=str(bad)), f"invalid CA certificate '{bad}': "),
        (TlsOptions(p12_file=missing), f"failed to read P12 file '{missing}': No such file or directory"),
        (TlsOptions(p12_file=str(bad)), f"invalid P12 file '{bad}' (wrong password or corrupt file): "),
        (TlsOptions(p12_file=p12, p12_password="wrong"), f"invalid P12 file '{p12}' (wrong password or corrupt file): "),
        (TlsOptions(p12_file=str(only_certificate), p12_password="p"), "(wrong password or corrupt file): it holds no key"),
    ]
    for options, text in cases:
        with pytest.raises(ConfigError) as caught:
            open_context(options)
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)


def test_verification_cannot_be_switched_off(tmp_path: Path) -> None:
    context = trusting(tmp_path)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_an_extra_authority_does_not_replace_the_systems(tmp_path: Path) -> None:
    system, both = open_context(TlsOptions()), trusting(tmp_path)
    assert both.cert_store_stats()["x509_ca"] == system.cert_store_stats()["x509_ca"] + 1


def test_the_private_key_is_never_on_disk_in_clear_and_never_stays(tmp_path: Path, monkeypatch: Any) -> None:
    p12 = write_p12(tmp_path / "me.p12", "secret")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    written: list[tuple[int, bytes]] = []

    class Spy(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, *args: Any, **kwargs: Any) -> None:
            path = Path(certfile)
            written.append((path.stat().st_mode & 0o777, path.read_bytes()))
            raise ssl.SSLError("as if the library failed")

    with pytest.raises(ConfigError):
        tls._identify(Spy(ssl.PROTOCOL_TLS_CLIENT), p12, "secret")
    open_context(TlsOptions(p12_file=p12, p12_password="secret"))
    ((mode, pem),) = written
    assert mode == 0o600
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    assert b"BEGIN PRIVATE KEY" not in pem
    assert list(folder.iterdir()) == []


def test_a_password_is_not_shown_by_repr() -> None:
    assert "hunter2" not in repr(TlsOptions(p12_file="a", p12_password="hunter2"))
