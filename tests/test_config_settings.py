"""anyllm_fast/config/settings.py: masks, model names, URLs, and that a worker can be handed the tree."""

from __future__ import annotations

import hashlib
import ipaddress
import pickle

import pytest
from msgspec.structs import replace

from anyllm_fast.config import DEMO, Backend, Proxy, Settings, Tls, map_model, mask

OPENAI = Backend(
    name="openai",
    kind="openai",
    base_url="http://h",
    api_key="sk-0123456789abcdef",
    big_model="big",
    small_model="small",
    headers=(("x-token", "hush-hush"),),
)
FULL = Settings(
    backends=(OPENAI,),
    demo=False,
    tls=Tls("ca.pem", "c.p12", "p12-password"),
    proxy=Proxy("http://u:proxy-password@p:1", "http://u:proxy-password@p:1"),
    proxy_key_digests=(hashlib.sha256(b"k").digest(),),
    ip_allowlist=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
)


@pytest.mark.parametrize(
    ("secret", "masked"),
    [
        ("", ""),
        ("a", "****"),
        ("12345678901", "****"),
        ("123456789012", "1234...9012"),
        ("sk-" + "x" * 40 + "wxyz", "sk-x...wxyz"),
    ],
)
def test_a_mask_shows_the_ends_of_long_secrets_only(secret: str, masked: str) -> None:
    assert mask(secret) == masked


def test_no_repr_shows_a_secret() -> None:
    for shown in (repr(FULL), str(FULL), f"{FULL!r}", repr(OPENAI), repr([OPENAI])):
        for secret in ("0123456789abcdef", "hush-hush", "p12-password", "proxy-password", repr(FULL.proxy_key_digests[0])):
            assert secret not in shown
    assert "api_key=****" in repr(OPENAI)
    assert "api_key=''" in repr(DEMO)


def test_settings_survive_the_way_to_a_spawned_worker() -> None:
    copy = pickle.loads(pickle.dumps(FULL))
    assert copy == FULL
    assert copy.backends[0].api_key == OPENAI.api_key


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        FULL.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("requested", "upstream"),
    [
        ("claude-haiku-4-5", "small"),
        ("claude-3-5-HAIKU-latest", "small"),
        ("claude-sonnet-4-5-20250929", "big"),
        ("Claude-Opus-5-5", "big"),
        ("opus-and-haiku", "small"),
        ("gpt-4o", "gpt-4o"),
        ("", ""),
    ],
)
def test_model_names_map_by_the_words_in_them(requested: str, upstream: str) -> None:
    assert map_model(OPENAI, requested) == upstream
    assert map_model(DEMO, requested) == requested


def test_a_missing_size_leaves_the_name_alone_rather_than_empty() -> None:
    assert map_model(replace(OPENAI, small_model=""), "claude-haiku-4-5") == "claude-haiku-4-5"
    assert map_model(replace(OPENAI, big_model=""), "claude-haiku-4-5") == "small"


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("/v1", "http://h/v1/chat/completions"),
        ("/v4", "http://h/v4/chat/completions"),
        ("/v1/x", "http://h/v1/x/chat/completions"),
    ],
)
def test_the_version_of_our_path_becomes_the_backends(prefix: str, url: str) -> None:
    assert replace(OPENAI, api_prefix=prefix).url("/v1/chat/completions") == url


@pytest.mark.parametrize(
    ("fields", "access"),
    [
        ({}, "demo"),
        ({"demo": False}, "closed"),
        ({"demo": False, "open_relay": True}, "open_relay"),
        ({"demo": True, "open_relay": True}, "open_relay"),
        ({"demo": True, "proxy_key_digests": (b"d",)}, "keys"),
        ({"demo": False, "proxy_key_digests": (b"d",), "open_relay": True}, "keys"),
    ],
)
def test_keys_close_what_would_be_open(fields: dict[str, object], access: str) -> None:
    assert replace(Settings(), **fields).access == access
