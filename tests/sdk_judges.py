"""The vendors' own SDKs, one client each without a network: what they make of an answer's bytes. Knows no test.

`rebuilt` is what an SDK's accumulator has at the end of a stream (for an SDK that has none, what its documents tell programs to
put together), `raised` the exception that it raises for an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import anthropic
import boto3
import httpx
import httpx2
import openai
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EventStreamError
from botocore.parsers import ResponseParserError
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from anyllm_fast.wire.aws import SseToAws

Json = dict[str, Any]
RAISED = (
    *(anthropic.APIError, openai.APIError, genai_errors.APIError, RuntimeError),
    *(BotoCoreError, ClientError, EventStreamError, ResponseParserError),
)
"""What says that a reply is not whole. RuntimeError: the accumulator of the openai SDK, where the last event did not come."""


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Rebuilt(NamedTuple):
    """What a program has of a reply."""

    text: str
    thoughts: str
    calls: list[tuple[str, str, Any]]  # id, name, arguments
    usage: tuple[int, int]  # tokens of the whole prompt, of the answer
    raw: Any  # the SDK's own object


class Caught(NamedTuple):
    status: int
    kind: str  # the class of the exception, or the code where the SDK has one class for all
    message: str


_next: list[Answer] = []
"""The answer that the clients get next."""


def _transport(module: Any) -> Any:
    def answer(request: Any) -> Any:
        status, headers, body = _next[-1]
        return module.Response(status, headers=headers, content=body)

    return module.Client(transport=module.MockTransport(answer))


@cache
def _anthropic() -> Any:
    return anthropic.Anthropic(api_key="k", base_url="http://t", max_retries=0, http_client=_transport(httpx2))


@cache
def _openai() -> Any:
    return openai.OpenAI(api_key="k", base_url="http://t/v1", max_retries=0, http_client=_transport(httpx2))


@cache
def _genai() -> Any:
    options = genai_types.HttpOptions(base_url="http://t", httpx_client=_transport(httpx))
    return genai.Client(api_key="k", vertexai=False, http_options=options)


class _Raw:
    """The body as botocore's transport hands it over."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, *_: Any) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None: ...


@cache
def _boto() -> Any:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answer(**_: Any) -> AWSResponse:
        status, headers, body = _next[-1]
        return AWSResponse("http://t", status, dict(headers), _Raw(body))

    client.meta.events.register("before-send.bedrock-runtime", answer)
    return client


ASK = [{"role": "user", "content": "x"}]
ASK_CONVERSE = [{"role": "user", "content": [{"text": "x"}]}]


# -- errors ------------------------------------------------------------------------------------------------------------


def _anthropic_error() -> Caught:
    try:
        _anthropic().messages.create(model="m", max_tokens=1, messages=ASK)
    except anthropic.APIStatusError as error:
        return Caught(error.status_code, type(error).__name__, error.message)
    raise AssertionError("nothing was raised")


def _chat_error() -> Caught:
    return _openai_error(lambda: _openai().chat.completions.create(model="m", messages=ASK))


def _responses_error() -> Caught:
    return _openai_error(lambda: _openai().responses.create(model="m", input="x"))


def _openai_error(ask: Callable[[], Any]) -> Caught:
    try:
        ask()
    except openai.APIStatusError as error:
        return Caught(error.status_code, type(error).__name__, error.message)
    raise AssertionError("nothing was raised")


def _gemini_error() -> Caught:
    try:
        _genai().models.generate_content(model="m", contents="x")
    except genai_errors.APIError as error:
        return Caught(error.code, str(error.status), str(error.message))
    raise AssertionError("nothing was raised")


def _converse_error() -> Caught:
    try:
        _boto().converse(modelId="m", messages=ASK_CONVERSE)
    except ClientError as error:
        meta = error.response["ResponseMetadata"]
        return Caught(meta["HTTPStatusCode"], error.response["Error"]["Code"], error.response["Error"]["Message"])
    raise AssertionError("nothing was raised")


_ERRORS: dict[str, Callable[[], Caught]] = {
    "anthropic": _anthropic_error,
    "openai_chat": _chat_error,
    "openai_responses": _responses_error,
    "gemini": _gemini_error,
    "bedrock": _converse_error,
}


def raised(dialect: str, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Caught:
    """What the dialect's SDK raises for an error answer to a call that is no stream."""
    given = [(name.decode(), value.decode()) for name, value in headers]
    _next[:] = [Answer(status, [("content-type", "application/json"), *given], body)]
    return _ERRORS[dialect]()


# -- streams -----------------------------------------------------------------------------------------------------------


def _messages() -> Rebuilt:
    with _anthropic().messages.stream(model="m", max_tokens=9, messages=ASK) as made:
        found = made.get_final_message()
    blocks = {kind: [block for block in found.content if block.type == kind] for kind in ("text", "thinking", "tool_use")}
    calls = [(block.id, block.name, block.input) for block in blocks["tool_use"]]
    thoughts = "".join(block.thinking for block in blocks["thinking"])
    usage = found.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Rebuilt("".join(block.text for block in blocks["text"]), thoughts, calls, (prompt, usage.output_tokens), found)


def _completion() -> Rebuilt:
    with _openai().chat.completions.stream(model="m", messages=ASK) as made:
        found = made.get_final_completion()
    message = found.choices[0].message
    calls = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]
    thoughts = (message.model_extra or {}).get("reasoning_content") or ""
    usage = (found.usage.prompt_tokens, found.usage.completion_tokens) if found.usage else (0, 0)
    return Rebuilt((message.content or "") + (message.refusal or ""), thoughts, calls, usage, found)


def _response() -> Rebuilt:
    found: Any = None
    with _openai().responses.stream(model="m", input="x") as made:
        for event in made:
            if event.type in ("error", "response.failed"):
                raise openai.APIError(str(event), request=httpx2.Request("POST", "http://t"), body=None)
            if event.type in ("response.completed", "response.incomplete"):
                found = event.response
    if found is None:
        raise RuntimeError("neither response.completed nor response.incomplete came")
    text = thoughts = ""
    calls: list[tuple[str, str, Any]] = []
    for item in found.output:
        if item.type == "message":
            text += "".join(part.text if part.type == "output_text" else part.refusal for part in item.content)
        elif item.type == "reasoning":
            thoughts += "".join(part.text for part in item.summary)
        elif item.type == "function_call":
            calls.append((item.call_id, item.name, json.loads(item.arguments)))
    usage = (found.usage.input_tokens, found.usage.output_tokens) if found.usage else (0, 0)
    return Rebuilt(text, thoughts, calls, usage, found)


def _content() -> Rebuilt:
    text = thoughts = ""
    calls: list[tuple[str, str, Any]] = []
    chunks = list(_genai().models.generate_content_stream(model="m", contents="x"))
    if not any((chunk.candidates and chunk.candidates[0].finish_reason) or chunk.prompt_feedback for chunk in chunks):
        raise genai_errors.APIError(0, {"error": {"message": "no chunk said why it stopped", "status": ""}})
    for chunk in chunks:
        for candidate in chunk.candidates or ():
            for part in (candidate.content and candidate.content.parts) or ():
                if part.function_call:
                    calls.append((part.function_call.id, part.function_call.name, part.function_call.args or {}))
                elif part.thought:
                    thoughts += part.text or ""
                else:
                    text += part.text or ""
    counts = next((chunk.usage_metadata for chunk in reversed(chunks) if chunk.usage_metadata), None)
    counted = (counts.prompt_token_count or 0) + (counts.tool_use_prompt_token_count or 0) if counts else 0
    spent = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0) if counts else 0
    return Rebuilt(text, thoughts, calls, (counted, spent), chunks)


def _converse() -> Rebuilt:
    blocks: dict[int, Json] = {}
    usage: Json = {}
    ended = False
    for event in _boto().converse_stream(modelId="m", messages=ASK_CONVERSE)["stream"]:
        ((name, body),) = event.items()
        ended = ended or name == "messageStop"
        usage = body["usage"] if name == "metadata" else usage
        if name == "contentBlockStart":
            blocks[body["contentBlockIndex"]] = {kind: dict(start) for kind, start in body["start"].items()}
        elif name == "contentBlockDelta":
            block = blocks.setdefault(body["contentBlockIndex"], {})
            ((kind, piece),) = body["delta"].items()
            if kind == "toolUse":
                block[kind]["input"] = block[kind].get("input", "") + piece["input"]
            elif kind == "text":
                block[kind] = block.get(kind, "") + piece
            elif kind == "reasoningContent":
                block[kind] = block.get(kind, "") + piece.get("text", "")
    if not ended:
        raise RuntimeError("no messageStop came")
    found = [blocks[index] for index in sorted(blocks)]
    uses = [block["toolUse"] for block in found if "toolUse" in block]
    calls = [(use["toolUseId"], use["name"], json.loads(use.get("input") or "{}")) for use in uses]
    said = "".join(block.get("text", "") for block in found)
    prompt = sum(usage.get(name, 0) for name in ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"))
    thoughts = "".join(block.get("reasoningContent", "") for block in found)
    return Rebuilt(said, thoughts, calls, (prompt, usage.get("outputTokens", 0)), found)


_STREAMS: dict[str, Callable[[], Rebuilt]] = {
    "anthropic": _messages,
    "openai_chat": _completion,
    "openai_responses": _response,
    "gemini": _content,
    "bedrock": _converse,
}


def rebuilt(dialect: str, stream: bytes) -> Rebuilt:
    """What the dialect's SDK makes of a stream, in SSE; boto3 gets it in its own framing. Raises one of RAISED."""
    if dialect == "bedrock":
        frame = SseToAws(False)
        _next[:] = [Answer(200, [("content-type", "application/vnd.amazon.eventstream")], frame.feed(stream) + frame.finish())]
    else:
        _next[:] = [Answer(200, [("content-type", "text/event-stream")], stream)]
    return _STREAMS[dialect]()
