"""What Bedrock Converse refuses, worded as it words it. Writes no answer.

Names, types and bounds come from the installed botocore's service model; the rules between fields from the API reference and from
refusals seen in the field (issue threads of clients and gateways). For Claude the request is then put into Messages form and the
model's own rules are asked, as the service does: what the model refuses comes back with its words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from . import messages_rules
from .aws_shapes import fault_of, input_shape
from .bedrock_asked import FIELDS, IMAGES
from .upstream import Refusal

Body = dict[str, Any]
Rule = Callable[[Body], Refusal | None]

MODEL = re.compile(
    r"(?:arn:aws:bedrock:us-east-1:\d{0,12}:(?:inference-profile|foundation-model)/)?(?:[a-z-]+\.)?"
    r"(anthropic|amazon|meta|mistral|cohere|deepseek|openai|qwen|ai21)\.[a-z0-9][a-z0-9.:-]*\Z"
)
FILE_NAME = re.compile(r"[A-Za-z0-9()\[\]-]+(?:\s[A-Za-z0-9()\[\]-]+)*\s?\Z")
CLAUDE_FIELDS = {"thinking", "reasoning_config", "top_k", "tool_choice", "anthropic_beta", "output_config"}
MAX_POINTS, MAX_DOCUMENTS, MAX_IMAGES = 4, 5, 20
TOOL_BLOCKS = ("toolUse", "toolResult")
USERS = ("image", "document", "video", "audio", "toolResult", "searchResult")
MODELS = ("toolUse", "reasoningContent", "citationsContent")


def refusal_of(model: str, body: Body, operation: str) -> Refusal | None:
    """The first reason to refuse a request, or None."""
    if MODEL.match(model) is None:
        return bad("The provided model identifier is invalid.")
    if fault := fault_of(body, input_shape(operation)):
        return bad(f"1 validation error detected: {fault}")
    if not body.get("messages"):
        return bad("A conversation must have at least one message. Try again with a conversation that has messages.")
    if refusal := next((r for rule in RULES if (r := rule(body))), None):
        return refusal
    return _of_claude(body) if is_claude(model) else None


def is_claude(model: str) -> bool:
    return "anthropic." in model


def bad(message: str) -> Refusal:
    return Refusal(400, message, "ValidationException")


def blocks_of(body: Body) -> Iterator[tuple[str, str, str, Any]]:
    """(path, role, kind, value) of every block of every message."""
    for i, message in enumerate(body["messages"]):
        for j, block in enumerate(message["content"]):
            for kind, value in block.items():
                yield f"messages.{i}.content.{j}", message["role"], kind, value


# -- the conversation --------------------------------------------------------------------------------------------------


def _roles(body: Body) -> Refusal | None:
    roles = [m["role"] for m in body["messages"] if m["role"] != "system"]
    if not roles or body["messages"][0]["role"] != "user":
        return bad(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message."
        )
    if any(a == b for a, b in pairwise(roles)):
        return bad(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between"
            " user and assistant roles and try again."
        )
    return None


def _contents(body: Body) -> Refusal | None:
    for i, message in enumerate(body["messages"]):
        if not message["content"]:
            return bad(
                f"The content field in the Message object at messages.{i} is empty. Add a ContentBlock object to the content"
                " field and try again."
            )
    for where, role, kind, value in blocks_of(body):
        if kind == "text" and not value.strip():
            return bad(
                f"The text field in the ContentBlock object at {where} is blank. Add text to the text field, and try again."
            )
        if (kind in USERS and role != "user") or (kind in MODELS and role != "assistant"):
            return bad(f"The {kind} block at {where} cannot be used with the {role} role.")
    for i, block in enumerate(body.get("system", ())):
        if not block.get("text", "x").strip():
            return bad(f"The text field in the SystemContentBlock object at system.{i} is blank.")
    return None


def _results(body: Body) -> Refusal | None:
    """Each answer's calls are answered, all of them and nothing else, by the next message."""
    due: list[str] = []
    for i, message in enumerate(body["messages"]):
        if message["role"] == "system":
            continue
        given = [b["toolResult"]["toolUseId"] for b in message["content"] if "toolResult" in b]
        if len(given) > len(due):
            return bad(
                f"The number of toolResult blocks at messages.{i}.content exceeds the number of toolUse blocks of previous turn."
            )
        if missing := [i for i in due if i not in given]:
            return bad(f"Expected toolResult blocks at messages.{i}.content for the following Ids: {', '.join(missing)}")
        due = [b["toolUse"]["toolUseId"] for b in message["content"] if "toolUse" in b]
        if len(set(due)) != len(due):
            return bad(f"The toolUse blocks at messages.{i}.content contain duplicate Ids: {', '.join(due)}")
    if due:
        return bad(f"Expected toolResult blocks at messages.{len(body['messages'])}.content for the following Ids: {due}")
    return None


def _result_contents(body: Body) -> Refusal | None:
    for where, _, kind, value in blocks_of(body):
        if kind != "toolResult":
            continue
        if not value["content"] and value.get("status") == "error":
            return bad(f"The content field at {where}.toolResult cannot be empty when status value is error.")
        if any(not block.get("text", "x") for block in value["content"]):
            return bad(f"The text field in the ToolResultContentBlock object at {where}.toolResult is blank.")
    return None


# -- tools -------------------------------------------------------------------------------------------------------------


def _tools(body: Body) -> Refusal | None:
    config = body.get("toolConfig")
    if config is None:
        if any(kind in TOOL_BLOCKS for _, _, kind, _ in blocks_of(body)):
            return bad("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        return None
    specs = [(i, t["toolSpec"]) for i, t in enumerate(config["tools"]) if "toolSpec" in t]
    if not specs:
        return bad("toolConfig.tools: at least one tool must be defined.")
    for i, spec in specs:
        if spec["inputSchema"]["json"].get("type") != "object":
            return bad(f"The value at toolConfig.tools.{i}.toolSpec.inputSchema.json.type must be one of the following: object.")
    names = [spec["name"] for _, spec in specs]
    if len(set(names)) != len(names):
        return bad("toolConfig.tools: Tool names must be unique.")
    wanted = config.get("toolChoice", {}).get("tool", {}).get("name", names[0])
    return None if wanted in names else bad(f"The tool {wanted} of toolConfig.toolChoice is not in toolConfig.tools.")


# -- media and cache points --------------------------------------------------------------------------------------------


def _media(body: Body) -> Refusal | None:
    names: list[str] = []
    images = 0
    for where, _, kind, value in _with_inner(body):
        images += kind == "image"
        if kind == "document":
            names.append(value["name"])
            if FILE_NAME.match(value["name"]) is None:
                return bad(
                    f"{where}: The document file name can only contain alphanumeric characters, whitespace characters, hyphens,"
                    " parentheses, and square brackets. The name can't contain more than one consecutive whitespace character."
                )
    if len(set(names)) != len(names):
        return bad(f"The request has documents with the same name: {names}")
    if len(names) > MAX_DOCUMENTS or images > MAX_IMAGES:
        return bad(f"At most {MAX_DOCUMENTS} documents and {MAX_IMAGES} images can be sent.")
    for i, message in enumerate(body["messages"]):
        kinds = {kind for block in message["content"] for kind in block}
        if "document" in kinds and "text" not in kinds:
            return bad(f"messages.{i}: a text content block must be included with a document.")
    return None


def _with_inner(body: Body) -> Iterator[tuple[str, str, str, Any]]:
    for where, role, kind, value in blocks_of(body):
        yield where, role, kind, value
        if kind == "toolResult":
            for k, block in enumerate(value["content"]):
                for name, inner in block.items():
                    yield f"{where}.toolResult.content.{k}", role, name, inner


def _points(body: Body) -> Refusal | None:
    """At most four, none before everything, and the longer lives before the shorter."""
    rows = [body.get("toolConfig", {}).get("tools", []), body.get("system", []), *(m["content"] for m in body["messages"])]
    points = [block["cachePoint"] for row in rows for block in row if "cachePoint" in block]
    if len(points) > MAX_POINTS:
        return bad(f"A maximum of {MAX_POINTS} cache points may be provided. Found {len(points)}.")
    if any(row and "cachePoint" in row[0] for row in rows):
        return bad("A cachePoint must follow the content that it caches.")
    if any("cachePoint" in a and "cachePoint" in b for row in rows for a, b in pairwise(row)):
        return bad("A cachePoint cannot follow another one.")
    lives = [point.get("ttl", "5m") for point in points]
    if lives != sorted(lives):  # "1h" sorts before "5m"
        return bad("a ttl='1h' cachePoint must not come after a ttl='5m' cachePoint.")
    return None


# -- Claude ------------------------------------------------------------------------------------------------------------


def _of_claude(body: Body) -> Refusal | None:
    fields = body.get(FIELDS) or {}
    if strange := set(fields) - CLAUDE_FIELDS:
        return bad(f"Malformed input request: extraneous key [{min(strange)}] is not permitted, please reformat your input.")
    config = body.get("inferenceConfig") or {}
    if "temperature" in config and "topP" in config:
        return bad("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if any(not stop.strip() for stop in config.get("stopSequences", ())):
        return _of_model("stop_sequences: each stop sequence must contain non-whitespace")
    if "type" in fields.get("tool_choice", {}) and "toolChoice" in body.get("toolConfig", {}):
        return bad("The additional field tool_choice conflicts with the existing field toolChoice.")
    as_claude = to_messages(body)
    refusal = next((r for rule in messages_rules.RULES if (r := rule(as_claude))), None)
    return _of_model(refusal.message) if refusal else None


def _of_model(message: str) -> Refusal:
    return bad(f"The model returned the following errors: {message}")


def to_messages(body: Body) -> Body:
    """A Converse request as Claude gets it, cache points aside."""
    config, fields = body.get("inferenceConfig") or {}, body.get(FIELDS) or {}
    tools = body.get("toolConfig", {})
    out: Body = {"max_tokens": config.get("maxTokens", 4096), "messages": [], **fields}
    names = {"temperature": "temperature", "topP": "top_p", "stopSequences": "stop_sequences"}
    out |= {mine: config[theirs] for theirs, mine in names.items() if theirs in config}
    out["messages"] = [
        {"role": m["role"], "content": [c for b in m["content"] if (c := _block(b)) is not None]} for m in body["messages"]
    ]
    out["system"] = [{"type": "text", "text": b["text"]} for b in body.get("system", ()) if "text" in b]
    out["tools"] = [
        {"name": t["toolSpec"]["name"], "input_schema": t["toolSpec"]["inputSchema"]["json"]}
        for t in tools.get("tools", ())
        if "toolSpec" in t
    ]
    choice = (
        {"type": kind, **said}
        if (kind := next(iter(tools.get("toolChoice", {})), "")) and (said := tools["toolChoice"][kind]) is not None
        else {}
    )
    if choice or "tool_choice" in fields:
        out["tool_choice"] = {"type": "auto", **choice, **fields.get("tool_choice", {})}
    shape = (body.get("outputConfig") or {}).get("textFormat", {}).get("structure", {}).get("jsonSchema")
    if shape:
        out["output_config"] = {"format": {"type": "json_schema", "schema": json.loads(shape["schema"])}}
    return out


def _block(block: Body) -> Body | None:
    ((kind, inside),) = block.items()
    match kind:
        case "text":
            return {"type": "text", "text": inside}
        case "image":
            source = {"type": "base64", "media_type": IMAGES[inside["format"]], "data": inside["source"]["bytes"]}
            return {"type": "image", "source": source}
        case "toolUse":
            return {"type": "tool_use", "id": inside["toolUseId"], "name": inside["name"], "input": inside["input"]}
        case "toolResult":
            content = [c for b in inside["content"] if (c := _block(b)) is not None]
            return {"type": "tool_result", "tool_use_id": inside["toolUseId"], "content": content}
        case "json":
            return {"type": "text", "text": json.dumps(inside)}
        case "reasoningContent" if "redactedContent" in inside:
            return {"type": "redacted_thinking", "data": inside["redactedContent"]}
        case "reasoningContent":
            said = inside["reasoningText"]
            return {"type": "thinking", "thinking": said["text"], "signature": said.get("signature", "")}
        case "citationsContent":
            return {"type": "text", "text": "".join(c["text"] for c in inside["content"])}
        case "cachePoint":
            return None
    return {"type": "text", "text": f"<{kind}>"}


RULES: tuple[Rule, ...] = (_roles, _contents, _tools, _results, _result_contents, _media, _points)
