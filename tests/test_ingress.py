"""The ways in, through the whole app: who may call, which errors they get, what they can ask beside a model call."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from anyllm_fast.config import Backend
from tests.asgi import OPENAI, ask, open_app
from tests.test_gateway import CHAT_REPLY, MESSAGES, good

GOOGLE = Backend(name="gemini", kind="gemini", base_url="http://upstream.test", api_key="k")
AMAZON = Backend(name="bedrock", kind="bedrock", base_url="http://upstream.test", api_key="k", api="converse")
DIGEST = hashlib.sha256(b"sk-mine").digest()
NOBODY = {"authorization": None}
GEMINI = "/v1beta/models/gemini-x:generateContent"
CONVERSE = "/model/m/converse"
SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"
}


def kept_keys(**more: Any) -> Any:
    return open_app(OPENAI, good(CHAT_REPLY), open_relay=False, proxy_key_digests=(DIGEST,), **more)[0]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (GEMINI, {"x-goog-api-key": "sk-mine"}),
        (GEMINI + "?key=sk-mine", {}),
        (GEMINI, {"authorization": "Bearer sk-mine"}),
        (CONVERSE, {"x-api-key": "sk-mine", **SIGNED}),
        (CONVERSE, {"authorization": "Bearer sk-mine"}),
    ],
)
async def test_a_key_counts_wherever_its_sdk_puts_it(path: str, headers: dict[str, str]) -> None:
    answer = await ask(kept_keys(), "POST", path, {}, {**NOBODY, **headers})
    assert answer.status != 401 and answer.status != 403


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (GEMINI, {}),
        (GEMINI + "?key=wrong", {}),
        ("/v1/messages?key=sk-mine", {}),
        (CONVERSE, SIGNED),
        (CONVERSE, {"x-api-key": "wrong", **SIGNED}),
    ],
)
async def test_without_a_key_nobody_gets_in(path: str, headers: dict[str, str]) -> None:
    answer = await ask(kept_keys(), "POST", path, MESSAGES, {**NOBODY, **headers})
    assert answer.status in (401, 403)


async def test_a_bare_signature_counts_only_where_any_credential_does() -> None:
    app, _ = open_app(OPENAI, open_relay=True)
    assert (await ask(app, "POST", CONVERSE, {}, SIGNED)).status not in (401, 403)
    assert (await ask(app, "POST", CONVERSE, {}, NOBODY)).status in (401, 403)


async def test_refusals_have_the_form_of_their_dialect() -> None:
    app = kept_keys()
    google = (await ask(app, "POST", GEMINI, {}, NOBODY)).json()["error"]
    assert (google["code"], google["status"]) == (401, "UNAUTHENTICATED")
    for path in (CONVERSE, "/model/m/invoke", "/model/m/converse-stream"):
        amazon = await ask(app, "POST", path, {}, NOBODY)
        assert amazon.headers["x-amzn-errortype"] and amazon.json()["message"]
    openai = (await ask(app, "POST", "/v1/responses", {}, NOBODY)).json()["error"]
    assert openai["code"] == "invalid_api_key"


async def test_an_upgrade_to_a_websocket_is_answered_426() -> None:
    app, _ = open_app(OPENAI)
    answer = await ask(app, "GET", "/v1/responses", b"", {"upgrade": "websocket", "connection": "Upgrade"})
    assert answer.status == 426 and "POST" in answer.json()["error"]["message"]


async def test_a_caller_says_per_request_whether_losses_are_refused() -> None:
    body = MESSAGES | {"top_k": 5}
    app, _ = open_app(OPENAI, good(CHAT_REPLY))
    refused = await ask(app, "POST", "/v1/messages", body, {"x-anyllm-on-loss": "refuse"})
    assert refused.status == 400 and "top_k" in refused.json()["error"]["message"]
    strict, _ = open_app(OPENAI, good(CHAT_REPLY), on_loss="refuse")
    announced = await ask(strict, "POST", "/v1/messages", body, {"x-anyllm-on-loss": "announce"})
    assert announced.status == 200 and announced.headers["x-anyllm-degradation"] == "top_k"
    wrong = await ask(app, "POST", "/v1/messages", body, {"x-anyllm-on-loss": "perhaps"})
    assert wrong.status == 400 and "x-anyllm-on-loss" in wrong.json()["error"]["message"]


async def test_googles_wait_before_the_next_try_reaches_every_client_as_a_header() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}
    error = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [info]}}
    app, _ = open_app(GOOGLE, good(json.dumps(error).encode(), status=429))
    answer = await ask(app, "POST", "/v1/messages", MESSAGES)
    assert answer.status == 429 and answer.headers["retry-after"] == "3"


async def test_an_error_of_aws_is_known_by_its_header() -> None:
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", b"UnrecognizedClientException:http://x/")]
    app, _ = open_app(AMAZON, good(b'{"message":"The security token is invalid."}', status=403, headers=headers))
    answer = await ask(app, "POST", "/v1/messages", MESSAGES)
    assert answer.status == 401 and answer.json()["error"]["type"] == "authentication_error"
