"""anyllm_fast/config/urls.py and proxies.py: what operators write for addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast.config import Proxy
from anyllm_fast.config.proxies import mask_proxy, proxy_for, read_proxy_url
from anyllm_fast.config.urls import is_loopback, is_private, read_base_url
from anyllm_fast.errors import ConfigError

CHAT = "/chat/completions"
MESSAGES = "/messages"


@pytest.mark.parametrize(
    ("text", "base", "prefix"),
    [
        ("http://h:1", "http://h:1", "/v1"),
        ("http://h:1/", "http://h:1", "/v1"),
        ("http://h:1/v1", "http://h:1", "/v1"),
        ("http://h:1/v1/", "http://h:1", "/v1"),
        ("http://h:1//v1//", "http://h:1", "/v1"),
        ("http://h:1/v1/chat/completions", "http://h:1", "/v1"),
        ("http://localhost:11434/v1", "http://localhost:11434", "/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000", "/v1"),
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000", "/v1"),
        ("https://api.groq.com/openai/v1", "https://api.groq.com/openai", "/v1"),
        ("https://h/openai", "https://h/openai", "/v1"),
        ("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas", "/v4"),
        ("https://g/v1beta/openai/", "https://g", "/v1beta/openai"),
        ("https://api.deepinfra.com/v1/openai", "https://api.deepinfra.com", "/v1/openai"),
    ],
)
def test_an_openai_base_url_is_taken_with_and_without_its_version(text: str, base: str, prefix: str) -> None:
    url = read_base_url("OPENAI_BASE_URL", text, CHAT)
    assert (url.base, url.prefix) == (base, prefix)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com"),
        ("https://api.anthropic.com/v1/", "https://api.anthropic.com"),
        ("https://api.anthropic.com/v1/messages", "https://api.anthropic.com"),
        ("https://g/v1/account/gateway/anthropic", "https://g/v1/account/gateway/anthropic"),
        ("https://h/anthropic", "https://h/anthropic"),
    ],
)
def test_an_anthropic_base_url_gets_v1_appended_as_the_sdks_do(text: str, base: str) -> None:
    url = read_base_url("ANTHROPIC_BASE_URL", text, MESSAGES)
    assert (url.base, url.prefix) == (base, "/v1")


@pytest.mark.parametrize(
    ("text", "port", "tls"), [("http://h", 80, False), ("https://h", 443, True), ("https://h:8443/v1", 8443, True)]
)
def test_the_port_is_known_also_where_it_is_not_written(text: str, port: int, tls: bool) -> None:
    url = read_base_url("U", text, CHAT)
    assert (url.host, url.port, url.tls) == ("h", port, tls)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://h", "U rejected: scheme 'ftp' not allowed, use http or https"),
        ("file:///etc/passwd", "U rejected: scheme 'file' not allowed, use http or https"),
        ("localhost:8000", "U rejected: invalid URL: it has no scheme, write http://... or https://..."),
        ("http://", "U rejected: URL has no host"),
        ("http:///v1", "U rejected: URL has no host"),
        ("http://h:99999", "U rejected: invalid URL: host or port cannot be read"),
        ("http://user:hunter2/x@h", "U rejected: invalid URL: host or port cannot be read"),
        ("http://[::1", "U rejected: invalid URL: host or port cannot be read"),
        ("http://h/a b", "U rejected: invalid URL: it contains white space, a backslash or a control character"),
        ("http://h\\@evil", "U rejected: invalid URL: it contains white space, a backslash or a control character"),
        ("http://user:hunter2@h", "U rejected: it holds credentials, set the key in its own variable"),
        ("http://@h", "U rejected: it holds credentials, set the key in its own variable"),
        ("http://h/v1?key=x", "U rejected: it must not have a query or a fragment"),
        ("http://h/v1#x", "U rejected: it must not have a query or a fragment"),
        ("http://h/v1?", "U rejected: it must not have a query or a fragment"),
        ("http://169.254.169.254/v1", "U rejected: cloud metadata address 169.254.169.254 not allowed"),
        ("http://2852039166", "U rejected: cloud metadata address 169.254.169.254 not allowed"),
        ("http://0xa9fea9fe", "U rejected: cloud metadata address 169.254.169.254 not allowed"),
        ("http://0251.0376.0251.0376", "U rejected: cloud metadata address 169.254.169.254 not allowed"),
        ("http://169.254.43518", "U rejected: cloud metadata address 169.254.169.254 not allowed"),
        ("http://[::ffff:169.254.169.254]", "U rejected: cloud metadata address 169.254.169.254 not allowed"),
        ("http://[fd00:ec2::254]", "U rejected: cloud metadata address fd00:ec2::254 not allowed"),
        ("http://[fd00:ec2:0::254%25eth0]", "U rejected: cloud metadata address fd00:ec2::254 not allowed"),
        ("http://Metadata.Google.Internal./v1", "U rejected: hostname 'metadata.google.internal' not allowed"),
    ],
)
def test_a_base_url_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_base_url("U", text, CHAT)
    assert str(caught.value) == message
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://h", "http://[", "http://h:"]))
def test_any_text_is_an_address_or_a_config_error(text: str, start: str) -> None:
    try:
        url = read_base_url("U", start + text, CHAT)
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert url.base.startswith(("http://", "https://", "HTTP", "hTTP"))
        assert not url.base.endswith("/")
        assert url.prefix.startswith("/v")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "x.localhost", "127.0.0.1", "127.9.9.9", "127.1", "::1", "0.0.0.0", "::"]
)
def test_these_hosts_are_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert is_private(host)


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.0.1", "fd12::1", "vllm", "vllm.default.svc", "llm.internal"])
def test_these_hosts_are_within_the_operators_network(host: str) -> None:
    assert is_private(host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["api.openai.com", "8.8.8.8", "2001:4860::1", "localhost.example.com"])
def test_these_hosts_are_elsewhere(host: str) -> None:
    assert not is_private(host)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", ""),
        ("proxy:3128", "http://proxy:3128"),
        ("http://u:p@proxy:3128", "http://u:p@proxy:3128"),
        ("socks5h://proxy:1080", "socks5h://proxy:1080"),
    ],
)
def test_a_proxy_is_an_http_proxy_unless_it_says_otherwise(text: str, url: str) -> None:
    assert read_proxy_url("HTTP_PROXY", text) == url


@pytest.mark.parametrize("text", ["ftp://proxy", "http://", "http://u:hunter2/y@p", "http://p:0", "http://p:x"])
def test_a_proxy_that_cannot_be_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_proxy_url("HTTPS_PROXY", text)
    assert str(caught.value).startswith("HTTPS_PROXY rejected: invalid proxy URL")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ((), "api.openai.com", False),
        ((), "localhost", True),
        ((), "127.0.0.1", True),
        ((), "10.0.0.1", False),
        (("*",), "api.openai.com", True),
        (("openai.com",), "api.openai.com", True),
        (("openai.com",), "OpenAI.com", True),
        ((".openai.com",), "openai.com", True),
        (("*.openai.com",), "api.openai.com", True),
        (("openai.com:443",), "api.openai.com", True),
        (("openai.com",), "notopenai.com", False),
        (("10.0.0.0/8",), "10.1.2.3", True),
        (("10.0.0.0/8",), "11.1.2.3", False),
        (("10.1.2.3",), "10.1.2.3", True),
        (("[fd00::]/8",), "10.1.2.3", False),
        (("fd00::/8",), "fd12::1", True),
        (("nonsense/8",), "10.1.2.3", False),
        (("", "."), "api.openai.com", False),
    ],
)
def test_no_proxy_names_domains_addresses_and_blocks(no_proxy: tuple[str, ...], host: str, direct: bool) -> None:
    proxy = Proxy("http://plain:1", "http://secure:1", no_proxy)
    assert proxy_for(proxy, True, host) == ("" if direct else "http://secure:1")
    assert proxy_for(proxy, False, host) == ("" if direct else "http://plain:1")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://p:3128", "http://p:3128"),
        ("http://user@p", "http://user@p"),
        ("http://user:short@p", "http://user:****@p"),
        ("http://user:0123456789abcdef@p:1", "http://user:0123...cdef@p:1"),
        ("http://user:a/b:c@p", "http://user:****@p"),
        ("user:0123456789abcdef@p", "user:0123...cdef@p"),
    ],
)
def test_a_proxys_password_is_masked(url: str, masked: str) -> None:
    assert mask_proxy(url) == masked
