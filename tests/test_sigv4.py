"""providers/sigv4.py against AWS's published vectors and against botocore."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast.providers import sigv4
from anyllm_fast.providers.sigv4 import Credentials, Scope, sign
from anyllm_fast.upstream import Origin, Timeouts, UpstreamRequest

KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
AWS_MODEL = "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse"
AWS_PROFILE = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x/invoke"


def request(target: str, body: bytes = b"", method: bytes = b"POST", host: str = "example.amazonaws.com") -> UpstreamRequest:
    return UpstreamRequest(Origin("https", host, 443), method, target.encode(), [], body, Timeouts())


@pytest.mark.parametrize(
    ("method", "target", "signature"),
    [
        (b"GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),  # get-vanilla
        (b"POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),  # post-vanilla
        # get-vanilla-query-order-key-case
        (b"GET", "/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ],
)
def test_the_published_vectors(method: bytes, target: str, signature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They sign host and x-amz-date alone, and the service is called `service`."""
    monkeypatch.setattr(sigv4, "_UNSIGNED", sigv4._UNSIGNED | {b"x-amz-content-sha256"})
    asked = request(target, method=method)
    sign(asked, KEYS, Scope("us-east-1", "service"), NOW)
    authorization = dict(asked.headers)[b"authorization"].decode()
    assert authorization == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        f"Signature={signature}"
    )


STAMP = NOW.strftime("%Y%m%dT%H%M%SZ")
NAMES = st.sampled_from(["content-type", "x-amzn-bedrock-trace", "x-custom"])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [AWS_MODEL, "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x/invoke", "/a/b%20c/~x", "/"]
    ),
    st.lists(st.tuples(st.text("abcXYZ-_.~ /+", min_size=1, max_size=5), st.text("abc é&=%/", max_size=5)), max_size=3),
    st.binary(max_size=40),
    st.dictionaries(NAMES, st.text("abc  /;", max_size=8), max_size=3),
    st.sampled_from(["", "SESSION/TOKEN+=="]),
)
def test_botocore_signs_alike(path: str, query: list[tuple[str, str]], body: bytes, headers: dict[str, str], token: str) -> None:
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    target = path + (f"?{text}" if text else "")
    ours = request(target, body, host="bedrock-runtime.us-east-1.amazonaws.com")
    ours.headers += [(name.encode(), value.encode()) for name, value in headers.items()]
    sign(ours, Credentials(KEYS.access_key, KEYS.secret_key, token), Scope("us-east-1"), NOW)
    mine = dict(ours.headers)

    theirs = AWSRequest("POST", f"https://bedrock-runtime.us-east-1.amazonaws.com{target}", dict(headers), body)
    theirs.headers["X-Amz-Date"] = STAMP
    theirs.headers["X-Amz-Content-SHA256"] = mine[b"x-amz-content-sha256"].decode()
    if token:
        theirs.headers["X-Amz-Security-Token"] = token
    auth = SigV4Auth(BotoCredentials(KEYS.access_key, KEYS.secret_key, token or None), "bedrock", "us-east-1")
    theirs.context["timestamp"] = STAMP
    theirs.context["payload_signing_enabled"] = True
    canonical = auth.canonical_request(theirs)
    signature = auth.signature(auth.string_to_sign(theirs, canonical), theirs)
    assert f"Signature={signature}" in mine[b"authorization"].decode()


def test_a_secret_is_not_in_a_repr() -> None:
    assert "wJalr" not in repr(KEYS)
