"""What is different about each dialect, for tests that run over all of them: one row a dialect. Asserts nothing, knows no test.

A test asks a fact (`if facts.model_in_body`) and never a name. `EACH` are the names, `LANES` the pairs of two that differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from anthropic.types import Message
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as AnthropicRequest
from google.genai import types as genai
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatRequest
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsBase as ResponsesRequest

from anyllm_fast.dialects import (
    anthropic_request,
    bedrock_request,
    gemini_request,
    openai_chat_request,
    openai_responses_request,
)
from anyllm_fast.neutral.dialect import Profile
from tests import bedrock_judge, gemini_bodies
from tests.sdk_types import problems

Json = dict[str, Any]
CORPUS = Path(__file__).parent / "corpus"


class Facts(NamedTuple):
    """One dialect. Bodies are decoded JSON unless they are bytes."""

    requests: Any  # the module that reads and writes them
    model_in_body: bool  # and `stream`; else both are in the path
    turns: str  # the member that holds the conversation
    profile: Profile  # a current model of its vendor, for golden files
    problems: Callable[[Json], list[str]]  # what the vendor's published type has against a request
    judge: Callable[[bytes], Any]  # a whole reply as its SDK reads it; raises where it cannot
    list_key: str  # the member of a models list that holds its rows
    list_has_times: bool  # and says when a model was made
    wraps_a_model: str  # the member in which one model stands alone, "" where it is the row itself
    errors_have_an_object: bool  # `error`; else the message is at the top and a header says what kind it is
    no_key: str  # what the SDK's exception is called for a caller without a key
    complete: tuple[bytes, ...]  # what a stream has said of one of these makes its reply complete
    good_end: bytes  # in the last frame of a stream that ended well; b"" where the end of the body says so
    bad_end: bytes  # in the last frame of every stream that did not
    added_end: bytes  # what a stream gets that was complete without it


UNPUBLISHED = (".temperature", ".top_p", ".top_k", ".reasoning", ".stream:", ".stream")
"""Members that are gone from the SDKs' newest types and not from the APIs, and those of compatible hosts."""


def _published(kind: Any) -> Callable[[Json], list[str]]:
    return lambda body: [found for found in problems(body, kind) if not any(name in found for name in UNPUBLISHED)]


def _chat(body: Json) -> list[str]:
    """With films, which OpenAI's types do not have and compatible hosts take."""
    messages = [
        {**message, "content": [part for part in message["content"] if part["type"] != "video_url"]}
        if isinstance(message.get("content"), list)
        else message
        for message in body["messages"]
    ]
    return _published(ChatRequest)({**body, "messages": messages})


def _message(body: bytes) -> Any:
    """Pictures that a model made go out in the form that requests have: the types of replies have none."""
    said = json.loads(body)
    return Message.model_validate({**said, "content": [block for block in said["content"] if block["type"] != "image"]})


def _responses(body: Json) -> list[str]:
    """But for the ids of answers that nobody has stored: Codex, too, leaves them out."""
    items: list[Json] = []
    for item in body["input"]:
        said = item.get("type") == "message" and item.get("role") == "assistant" and "id" not in item
        if said and any(part["type"] not in ("output_text", "refusal") for part in item["content"]):
            return [f"an answer with {item['content']}"]
        items.append({**item, "content": "checked"} if said else item)
    return _published(ResponsesRequest)({**body, "input": items})


def _gemini(body: Json) -> list[str]:
    try:
        gemini_bodies.check(body)
    except (AssertionError, ValueError) as error:
        return [str(error)]
    return _out_of_turn(body["contents"])


def _converse(body: Json) -> list[str]:
    """And what the service itself refuses: documents of one name, more than four cache points."""
    found = [bedrock_judge.problems(body), *_out_of_turn(body.get("messages", []))]
    text = json.dumps(body)
    names = re.findall(r'"document": \{"name": "([^"]*)"', text)
    if len(names) != len(set(names)):
        found.append("two documents of one name")
    if text.count('"cachePoint"') > 4:
        found.append("more than four cache points")
    return [problem for problem in found if problem]


def _out_of_turn(turns: list[Json]) -> list[str]:
    """Where a user has to begin and the roles to alternate. Turns of the system's count for no role."""
    roles = [turn["role"] for turn in turns if turn["role"] != "system"]
    return [] if roles[:1] in ([], ["user"]) and all(map(str.__ne__, roles, roles[1:])) else [f"turns of {roles}"]


def _messages(body: Json) -> list[str]:
    return [*_published(AnthropicRequest)(body), *_out_of_turn(body.get("messages", []))]


def _converse_reply(body: bytes) -> Any:
    """botocore passes over what it does not know, so that must not be there."""
    unknown = bedrock_judge.lost(body)
    if unknown:
        raise ValueError(f"botocore does not know {unknown}")
    return bedrock_judge.read(body)


def _generate_content(body: bytes) -> Any:
    return genai.GenerateContentResponse.model_validate_json(body)


FACTS: dict[str, Facts] = {
    "anthropic": Facts(
        requests=anthropic_request,
        model_in_body=True,
        turns="messages",
        profile=Profile(),
        problems=_messages,
        judge=_message,
        list_key="data",
        list_has_times=True,
        wraps_a_model="",
        errors_have_an_object=True,
        no_key="AuthenticationError",
        complete=(b'"type":"message_stop"',),
        good_end=b'"type":"message_stop"',
        bad_end=b'"type":"error"',
        added_end=b"",
    ),
    "openai_chat": Facts(
        requests=openai_chat_request,
        model_in_body=True,
        turns="messages",
        profile=Profile(),
        problems=_chat,
        judge=lambda body: ChatCompletion.model_validate(json.loads(body), strict=False),
        list_key="data",
        list_has_times=True,
        wraps_a_model="",
        errors_have_an_object=True,
        no_key="AuthenticationError",
        complete=(b'"finish_reason":"',),
        good_end=b"[DONE]",
        bad_end=b'"error"',
        added_end=b"data: [DONE]\n\n",
    ),
    "openai_responses": Facts(
        requests=openai_responses_request,
        model_in_body=True,
        turns="input",
        profile=Profile(custom_tools=True, cache_breakpoints=True),
        problems=_responses,
        judge=lambda body: Response.construct(**json.loads(body)).output,  # as the SDK itself reads: it validates nothing
        list_key="data",
        list_has_times=True,
        wraps_a_model="",
        errors_have_an_object=True,
        no_key="AuthenticationError",
        complete=(b'"type":"response.completed"', b'"type":"response.incomplete"'),
        good_end=b'"type":"response.',
        bad_end=b'"type":"response.failed"',
        added_end=b"",
    ),
    "gemini": Facts(
        requests=gemini_request,
        model_in_body=False,
        turns="contents",
        profile=gemini_bodies.GEMINI_3,
        problems=_gemini,
        judge=_generate_content,
        list_key="models",
        list_has_times=False,
        wraps_a_model="",
        errors_have_an_object=True,
        no_key="UNAUTHENTICATED",
        complete=(b'"finishReason"', b'"functionCall"', b'"promptFeedback"', b'"finish_reason"', b'"function_call"'),
        good_end=b"",
        bad_end=b'"error"',
        added_end=b"",
    ),
    "bedrock": Facts(
        requests=bedrock_request,
        model_in_body=False,
        turns="messages",
        profile=bedrock_judge.CLAUDE,
        problems=_converse,
        judge=_converse_reply,
        list_key="modelSummaries",
        list_has_times=False,
        wraps_a_model="modelDetails",
        errors_have_an_object=False,
        no_key="UnrecognizedClientException",
        complete=(b"event: messageStop",),
        good_end=b"",
        bad_end=b"Exception",
        added_end=b"",
    ),
}
EACH = tuple(FACTS)


def ends_well(dialect: str, out: bytes) -> bool:
    """Whether a stream has its terminator; where there is none, whether its last frame is no error."""
    last = _last_frame(out)
    return FACTS[dialect].good_end in last and not ends_badly(dialect, out)


def ends_badly(dialect: str, out: bytes) -> bool:
    return FACTS[dialect].bad_end in _last_frame(out)


def _last_frame(out: bytes) -> bytes:
    frames = [frame for frame in re.split(rb"\r?\n\r?\n", out) if frame.strip() and not frame.startswith(b":")]
    return frames[-1] if frames else b""


LANES = [(source, target) for source in EACH for target in EACH if source != target]


def bodies(what: str) -> list[Path]:
    """The corpus of `requests` or `replies`: <dialect>-<what>.json."""
    return sorted((CORPUS / what).glob("*.json"))


def source_of(path: Path) -> str:
    """The dialect of a file of the corpus. Chat's replies are filed under `chat`."""
    name = path.stem.partition("-")[0]
    return "openai_chat" if name == "chat" else name


def golden_name(path: Path, target: str) -> str:
    return f"{source_of(path)}_to_{target}_{path.stem.partition('-')[2]}.json"
