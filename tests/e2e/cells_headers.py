"""Cells about what travels beside the body: credentials, versions, betas, request ids, rate limits, models, counts."""

from __future__ import annotations

from scripted.answer import says
from scripted.asked import Asked, user
from scripted.aws_signature import KEY_ID as AWS_KEY_ID

from .cells import both, cell, crossing, egress, gateway_only, ingress, newest, same_dialect
from .cells_tools import ASK
from .gateway import KEY, UPSTREAM_KEY
from .lanes import Lane

HELLO = Asked((user("hi"),))


@cell(where=gateway_only)
def the_key_of_the_caller_stays_here(lane: Lane) -> None:
    got = lane.send(HELLO, says("ok"), headers={"cookie": "session=secret"}).same()
    head = got.record.request.head.decode()
    own = f"Credential={AWS_KEY_ID}/" if lane.way.egress == "bedrock" else UPSTREAM_KEY
    assert own in head and KEY not in head and "session=secret" not in head


@cell(where=both(gateway_only))
def a_wrong_key_is_refused(lane: Lane) -> None:
    got = lane.send(HELLO, says("ok"), key="not-a-key").failed("AuthenticationError", status=401)
    assert not got.records


@cell(where=both(same_dialect, ingress("anthropic")))
def betas_and_version_pass(lane: Lane) -> None:
    headers = {"anthropic-beta": "context-1m-2025-08-07,interleaved-thinking-2025-05-14"}
    got = lane.send(HELLO, says("ok"), headers=headers).same()
    request = got.record.request
    assert request.header("anthropic-beta") == headers["anthropic-beta"]
    assert (request.header("anthropic-version") or "").startswith("202")


@cell(where=both(same_dialect, ingress("openai")))
def the_organization_passes(lane: Lane) -> None:
    headers = {"openai-organization": "org-e2e", "openai-project": "proj-e2e"}
    request = lane.send(HELLO, says("ok"), headers=headers).same().record.request
    assert request.header("openai-organization") == "org-e2e"


@cell(where=both(crossing))
def headers_of_one_vendor_stay_with_it(lane: Lane) -> None:
    mine = {"anthropic-beta": "context-1m-2025-08-07"} if lane.way.ingress == "anthropic" else {"openai-organization": "o"}
    got = lane.send(HELLO, says("ok"), headers=mine).same()
    assert not [k for k, _ in got.record.request.headers if k.lower() in mine]


@cell(where=gateway_only)
def identity_is_asked_for(lane: Lane) -> None:
    encodings = lane.send(HELLO, says("ok")).same().record.request.header("accept-encoding") or "identity"
    assert encodings == "identity"


@cell()
def request_ids_and_limits_come_back(lane: Lane) -> None:
    got = lane.send(HELLO, says("ok")).same()
    name = "request-id" if lane.way.ingress == "anthropic" else "x-request-id"
    assert got.headers.get(name), got.headers
    limits = "anthropic-ratelimit-" if lane.way.ingress == "anthropic" else "x-ratelimit-"
    assert [h for h in got.headers if h.startswith(limits)], got.headers


@cell(where=gateway_only)
def cookies_of_the_upstream_stay_there(lane: Lane) -> None:
    got = lane.send(HELLO, says("ok", headers=(("set-cookie", "__cf=1"), ("x-internal", "1")))).same()
    assert "set-cookie" not in got.headers


@cell(modes=("count",), where=both(ingress("anthropic"), newest))
def tokens_are_counted(lane: Lane) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 400 + "{script}"}]}
    small = lane.send_body({**body, "messages": [{"role": "user", "content": "hi {script}"}]}, says("ok"))
    large = lane.send_body({**body, "tools": []}, says("ok"))
    assert 0 < small.final["input_tokens"] < large.final["input_tokens"]
    assert large.final["input_tokens"] >= 300


@cell(modes=("models",))
def models_are_listed_in_the_dialect_of_the_asker(lane: Lane) -> None:
    verdict = lane.judged({}, {})
    assert verdict.get("final", {}).get("ids"), verdict


@cell(where=both(gateway_only, ingress("anthropic"), egress("openai")))
def names_of_models_are_mapped(lane: Lane) -> None:
    for asked, mapped in (("claude-opus-5-5", "gpt-5"), ("claude-haiku-4-5", "gpt-4.1-mini")):
        got = lane.send(ASK, says("ok"), model=asked).same()
        assert got.record.body["model"] == mapped
