"""What the Anthropic Messages service refuses, worded as it words it. Writes no answer.

Names and shapes come from the installed anthropic SDK (its beta types when the request names a beta), the rules between
fields from the API reference and from refusals seen in the field (issue threads of clients and gateways).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any

from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count
from anthropic.types.beta import message_create_params as beta_create

from .signing import is_sealed, is_signed
from .typed import Fault, Path, fault_of
from .upstream import Refusal
from .wire import Request

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")
ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
IMAGE_KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp")
HEADER_FIELDS = ("betas", "workspace_id", "user_profile_id")  # parameters of the SDK that travel as headers
BETA_FIELDS = {"context_management": "context-management", "mcp_servers": "mcp-client", "speed": "fast-mode"}
RETIRED = {"temperature": float, "top_p": float, "top_k": int}  # gone from the newest types, still taken on older models
THINKS = ("enabled", "adaptive")


def refusal_of(request: Request, body: dict[str, Any], counting: bool = False) -> Refusal | None:
    """The first reason to refuse a request, or None."""
    beta = request.header("anthropic-beta") or ""
    if not request.header("anthropic-version"):
        return _bad("anthropic-version: header is required")
    for name in HEADER_FIELDS:
        if name in body:
            return _bad(f"{name}: Extra inputs are not permitted")
    typed = {k: v for k, v in _typed(body, counting).items() if k not in RETIRED}
    sampling = (f for k, hint in RETIRED.items() if k in body and (f := fault_of(body[k], hint, (k,))))
    if fault := next(sampling, None) or fault_of(typed, _hint(bool(beta), counting)):
        return _of_fault(fault)
    for name, needed in BETA_FIELDS.items():
        if name in body and needed not in beta:
            return _bad(f"{name}: Extra inputs are not permitted")
    rules = [r for r in RULES if not (counting and r in _ONLY_CREATE)]
    return next((r for rule in rules if (r := rule(body))), None)


def _typed(body: dict[str, Any], counting: bool) -> dict[str, Any]:
    return body if counting else {**body, "stream": True} if body.get("stream") in (None, False) else body


def _hint(beta: bool, counting: bool) -> Any:
    if counting:
        return beta_count.MessageCountTokensParams if beta else message_count_tokens_params.MessageCountTokensParams
    return beta_create.MessageCreateParamsStreaming if beta else message_create_params.MessageCreateParamsStreaming


def _bad(message: str) -> Refusal:
    return Refusal(400, message, "invalid_request_error")


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _of_fault(fault: Fault) -> Refusal:
    where = _dotted(fault.path)
    match fault.kind:
        case "unknown":
            return _bad(f"{where}: Extra inputs are not permitted")
        case "missing":
            return _bad(f"{where}: Field required")
        case "value":
            return _bad(f"{where}: Input should be {fault.detail}")
        case _:
            return _bad(f"{where}: Input should be a valid {fault.detail}")


# -- single fields ----------------------------------------------------------------------------------------------------


def _bounds(body: dict[str, Any]) -> Refusal | None:
    if body["max_tokens"] < 0:
        return _bad("max_tokens: Input should be greater than or equal to 0")
    for name, high in (("temperature", 1), ("top_p", 1)):
        value = body.get(name)
        if value is not None and not 0 <= value <= high:
            return _bad(f"{name}: range: 0..{high}")
    for i, stop in enumerate(body.get("stop_sequences", ())):
        if not stop.strip():
            return _bad(f"stop_sequences.{i}: each stop sequence must contain non-whitespace")
    return None


def _thinking(body: dict[str, Any]) -> Refusal | None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") not in THINKS:
        return None
    if thinking["type"] == "enabled":
        if thinking["budget_tokens"] < 1024:
            return _bad("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if "max_tokens" in body and thinking["budget_tokens"] >= body["max_tokens"]:
            return _bad("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature") not in (None, 1):
        return _bad("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        return _bad("`top_k` must be unset when thinking is enabled.")
    if body.get("top_p") is not None and body["top_p"] < 0.95:
        return _bad("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        return _bad("Thinking may not be enabled when tool_choice forces tool use.")
    return None


def _format(body: dict[str, Any]) -> Refusal | None:
    form = (body.get("output_config") or {}).get("format")
    if form and (fault := _open_object(form["schema"], ())):
        return _bad(f"output_config.format.schema: {fault}")
    return None


def _open_object(schema: Any, path: Path) -> str | None:
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return "For 'object' type, 'additionalProperties' must be explicitly set to false"
        inner = schema.get("properties", {}).values()
        return next((f for v in inner if (f := _open_object(v, path))), None)
    return _open_object(schema.get("items"), path)


# -- tools ------------------------------------------------------------------------------------------------------------


def _tools(body: dict[str, Any]) -> Refusal | None:
    tools = body.get("tools") or ()
    names: list[str] = []
    for i, tool in enumerate(tools):
        name = tool.get("name", "")
        names.append(name)
        if "input_schema" not in tool:
            continue  # a server tool: its shape was checked by its type
        if not NAME.match(name):
            return _bad(f"tools.{i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool["input_schema"].get("type") != "object":
            return _bad(f"tools.{i}.custom.input_schema.type: Field required")
        for word in ("oneOf", "anyOf", "allOf"):
            if word in tool["input_schema"]:
                return _bad(
                    f"tools.{i}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
                )
    if len(set(names)) != len(names):
        return _bad("tools: Tool names must be unique.")
    choice = body.get("tool_choice")
    if choice and not tools and choice["type"] != "none":
        return _bad("tool_choice: may only be specified while providing tools")
    if choice and choice["type"] == "tool" and choice["name"] not in names:
        return _bad(f"Tool '{choice['name']}' not found in provided tools")
    return None


# -- messages ---------------------------------------------------------------------------------------------------------


def blocks_of(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _messages(body: dict[str, Any]) -> Refusal | None:
    messages = body["messages"]
    if not messages:
        return _bad("messages: at least one message is required")
    if messages[0]["role"] != "user":
        return _bad("messages: first message must use the user role")
    for i, message in enumerate(messages):
        last = i == len(messages) - 1
        if not message["content"] and not (last and message["role"] == "assistant"):
            return _bad(f"messages.{i}: {message['role']} messages must have non-empty content")
        for j, block in enumerate(blocks_of(message["content"])):
            if refusal := _block(block, f"messages.{i}.content.{j}", message["role"]):
                return refusal
    return _prefill(messages[-1])


def _prefill(message: dict[str, Any]) -> Refusal | None:
    if message["role"] != "assistant":
        return None
    blocks = blocks_of(message["content"])
    if blocks and blocks[-1]["type"] == "text" and blocks[-1]["text"] != blocks[-1]["text"].rstrip():
        return _bad("messages: final assistant content cannot end with trailing whitespace")
    return None


def _block(block: dict[str, Any], where: str, role: str) -> Refusal | None:
    match block["type"]:
        case "text" if not block["text"]:
            return _bad(f"{where}: text content blocks must be non-empty")
        case "text" if not block["text"].strip():
            return _bad(f"{where}: text content blocks must contain non-whitespace text")
        case "thinking" if not is_signed(block["thinking"], block.get("signature", "")):
            return _bad(f"{where}: Invalid `signature` in `thinking` block")
        case "redacted_thinking" if not is_sealed(block["data"]):
            return _bad(f"{where}: Invalid `data` in `redacted_thinking` block")
        case "image" | "document":
            return _source(block["source"], block["type"], where)
        case "tool_use" if not ID.match(block["id"]) or not NAME.match(block["name"]):
            return _bad(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        case "tool_use" if not isinstance(block["input"], dict):
            return _bad(f"{where}.tool_use.input: Input should be an object")
        case "tool_result" if isinstance(block.get("content"), list):
            inner = enumerate(block["content"])
            return next((r for k, b in inner if (r := _block(b, f"{where}.content.{k}", role))), None)
    if block["type"] in ("thinking", "redacted_thinking", "tool_use") and role != "assistant":
        return _bad(f"{where}: `{block['type']}` blocks may only be specified in `assistant` turns")
    return None


def _source(source: dict[str, Any], kind: str, where: str) -> Refusal | None:
    if source["type"] == "url" and not source["url"].startswith("https://"):
        return _bad(f"{where}.{kind}.source.url.url: Only HTTPS URLs are supported.")
    if source["type"] != "base64":
        return None
    kinds = IMAGE_KINDS if kind == "image" else ("application/pdf",)
    if source["media_type"] not in kinds:
        return _bad(f"{where}.{kind}.source.base64.media_type: Input should be {kinds}")
    try:
        base64.b64decode(source["data"], validate=True)
    except (binascii.Error, ValueError):
        return _bad(f"{where}.{kind}.source.base64.data: The file format is invalid or unsupported")
    return None


def merged(messages: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Turns as the service sees them: consecutive messages of a role are one."""
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        if message["role"] == "system":
            continue
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks_of(message["content"]))
        else:
            turns.append((message["role"], blocks_of(message["content"])))
    return turns


def _pairing(body: dict[str, Any]) -> Refusal | None:
    """Each tool_use is answered at the head of the next user turn, and each tool_result answers one."""
    turns = merged(body["messages"])
    open_ids: set[str] = set()
    for i, (role, blocks) in enumerate(turns):
        if role == "user":
            if refusal := _answers(i, blocks, open_ids):
                return refusal
            continue
        ids = [b["id"] for b in blocks if b["type"] == "tool_use"]
        if len(set(ids)) != len(ids):
            return _bad(f"messages.{i}: `tool_use` ids must be unique")
        open_ids = set(ids)
        if open_ids and i == len(turns) - 1:
            return _bad(f"messages.{i}: `tool_use` ids were found without `tool_result` blocks: {sorted(open_ids)}")
    return None


def _answers(at: int, blocks: list[dict[str, Any]], open_ids: set[str]) -> Refusal | None:
    results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
    if missing := open_ids - set(results):
        return _bad(
            f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(sorted(missing))}. Each `tool_use` block must have a corresponding `tool_result` block in the "
            "next message."
        )
    if strange := set(results) - open_ids:
        return _bad(f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {sorted(strange)}")
    if len(set(results)) != len(results):
        return _bad(f"messages.{at}: each tool_use must have a single result")
    head = [b["type"] for b in blocks[: len(results)]]
    if any(kind != "tool_result" for kind in head):
        return _bad(f"messages.{at}: `tool_result` blocks must come first in the message")
    open_ids.clear()
    return None


def _thinking_kept(body: dict[str, Any]) -> Refusal | None:
    """Manual thinking: the turn whose tools are being answered must begin with its thinking."""
    if (body.get("thinking") or {}).get("type") != "enabled":
        return None
    turns = merged(body["messages"])
    if len(turns) < 2 or turns[-1][0] != "user" or turns[-1][1][0]["type"] != "tool_result":
        return None
    first = turns[-2][1][0]["type"]
    if first not in ("thinking", "redacted_thinking"):
        return _bad(
            f"messages.{len(turns) - 2}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block."
        )
    return None


def _caches(body: dict[str, Any]) -> Refusal | None:
    count = sum(1 for _ in _marks([body.get("system"), body.get("tools"), body["messages"]]))
    if count > 4:
        return _bad(f"A maximum of 4 blocks with cache_control may be provided. Found {count}.")
    return None


def _marks(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _marks(item)
    elif isinstance(value, dict):
        if value.get("cache_control"):
            yield value
        yield from _marks(value.get("content"))


def _system(body: dict[str, Any]) -> Refusal | None:
    system = body.get("system")
    if isinstance(system, list) and any(not block["text"] for block in system):
        return _bad("system: text content blocks must be non-empty")
    return None


RULES: tuple[Callable[[dict[str, Any]], Refusal | None], ...] = (
    _bounds,
    _system,
    _thinking,
    _format,
    _tools,
    _messages,
    _pairing,
    _thinking_kept,
    _caches,
)
_ONLY_CREATE = (_bounds,)
