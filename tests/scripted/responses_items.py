"""What the OpenAI Responses service refuses in the items of a request: content, ids, pairs, reasoning. Writes no answer."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from .responses_asked import items_of
from .responses_signing import is_encrypted
from .responses_state import State
from .responses_words import bad
from .upstream import Refusal

Item = dict[str, Any]
PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "compaction": "cmp",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "code_interpreter_call": "ci",
    "file_search_call": "fs",
}
CALLS = {
    "function_call": ("function_call_output", "function call"),
    "custom_tool_call": ("custom_tool_call_output", "custom tool call"),
    "local_shell_call": ("local_shell_call_output", "local shell call"),
    "shell_call": ("shell_call_output", "shell call"),
    "apply_patch_call": ("apply_patch_call_output", "apply patch call"),
}
"""Kind of call -> kind of its output, and what the service calls it."""
SAID = (*CALLS, "message", "web_search_call", "image_generation_call", "code_interpreter_call", "file_search_call", "mcp_call")
"""What may follow reasoning; of messages, those of the assistant."""
MAX_ID = 64
ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
IMAGE_KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp")


def kind_of(item: Item) -> str:
    return str(item.get("type") or "message")


def item_refusal(body: Item, state: State) -> Refusal | None:
    """The first reason to refuse the input of `body` in its place after what is kept, or None."""
    items = items_of(body)
    for i, item in enumerate(items):
        for rule in (_ids, _content, _encrypted):
            if refusal := rule(item, f"input[{i}]"):
                return refusal
    whole = [*state.context(body.get("previous_response_id")), *items]
    return next((r for check in (_persisted, _twice, _pairs, _followed) if (r := check(whole, state))), None)


# -- one item ---------------------------------------------------------------------------------------------------------


def _ids(item: Item, where: str) -> Refusal | None:
    for name in ("id", "call_id"):
        value = item.get(name)
        if value is None:
            continue
        if name == "call_id" and not value:
            words = "empty string. Expected a string with minimum length 1, but got an empty string instead."
            return bad(f"Invalid '{where}.call_id': {words}", f"{where}.call_id", "empty_string")
        if len(value) > MAX_ID:
            words = f"Expected a string with maximum length {MAX_ID}, but got a string with length {len(value)} instead."
            return bad(f"Invalid '{where}.{name}': string too long. {words}", f"{where}.{name}", "string_above_max_length")
    ident = item.get("id")
    if ident is None or kind_of(item) == "item_reference":
        return None
    if not ID.match(ident):
        words = "Expected an ID that contains letters, numbers, underscores, or dashes"
        rest = "but this value contained additional characters."
        return bad(f"Invalid '{where}.id': '{ident}'. {words}, {rest}", f"{where}.id", "invalid_value")
    prefix = PREFIXES.get(kind_of(item))
    if prefix and not ident.startswith(prefix):
        words = f"Expected an ID that begins with '{prefix}'."
        return bad(f"Invalid '{where}.id': '{ident}'. {words}", f"{where}.id", "invalid_id_prefix")
    return None


_OF_ASSISTANT = ("output_text", "refusal")
_OF_OTHERS = ("input_text", "input_image", "input_file", "input_audio")


def _content(item: Item, where: str) -> Refusal | None:
    if kind_of(item) == "message":
        content, allowed = item.get("content"), _OF_ASSISTANT if item["role"] == "assistant" else _OF_OTHERS
    elif kind_of(item) in ("function_call_output", "custom_tool_call_output"):
        content, allowed = item.get("output"), _OF_OTHERS
        where = f"{where}.output"
    else:
        return None
    if not isinstance(content, list):
        return None
    for i, part in enumerate(content):
        at = f"{where}[{i}]" if where.endswith("output") else f"{where}.content[{i}]"
        if part["type"] not in allowed:
            listed = " and ".join(filter(None, (", ".join(f"'{a}'" for a in allowed[:-1]), f"'{allowed[-1]}'")))
            return bad(f"Invalid value: '{part['type']}'. Supported values are: {listed}.", at, "invalid_value")
        if refusal := _part(part, at):
            return refusal
    return None


def _part(part: Item, where: str) -> Refusal | None:
    if part["type"] == "input_image":
        url = part.get("image_url")
        if (url is None) == (part.get("file_id") is None):
            return bad(f"Exactly one of 'image_url' and 'file_id' must be given: '{where}'.", where, "invalid_value")
        if url is not None and not url.startswith(("http://", "https://")):
            return _data_url(url, IMAGE_KINDS, f"{where}.image_url")
    if part["type"] == "input_file":
        given = [k for k in ("file_data", "file_id", "file_url") if part.get(k) is not None]
        if len(given) != 1:
            return bad(f"Exactly one of 'file_data', 'file_id' and 'file_url' must be given: '{where}'.", where, "invalid_value")
        if given == ["file_data"]:
            if not part.get("filename"):
                return bad(f"Missing required parameter: '{where}.filename'.", f"{where}.filename", "missing_required_parameter")
            return _data_url(part["file_data"], ("application/pdf", "text/plain", "text/csv", "text/html"), f"{where}.file_data")
    return None


def _data_url(url: str, kinds: tuple[str, ...], where: str) -> Refusal | None:
    found = re.match(r"data:([\w/+.-]+);base64,(.*)\Z", url, re.DOTALL)
    if not found or found[1] not in kinds:
        return bad(f"Invalid '{where}'. Expected a base64-encoded data URL of {kinds}.", where, "invalid_value")
    try:
        base64.b64decode(found[2], validate=True)
    except (binascii.Error, ValueError):
        return bad(f"Invalid '{where}'. The base64 data is not valid.", where, "invalid_base64")
    return None


def _encrypted(item: Item, where: str) -> Refusal | None:
    data = item.get("encrypted_content")
    if kind_of(item) not in ("reasoning", "compaction") or data is None or is_encrypted(data):
        return None
    words = "could not be verified. Reason: Encrypted content could not be decrypted or parsed."
    return bad(f"The encrypted content {data[:4]}...{data[-4:]} {words}", None, "invalid_encrypted_content")


# -- between items ----------------------------------------------------------------------------------------------------


def _persisted(items: list[Item], state: State) -> Refusal | None:
    """What is named by its id alone has to be kept here."""
    for item in items:
        bare = kind_of(item) == "reasoning" and not item.get("encrypted_content")
        if kind_of(item) != "item_reference" and not bare:
            continue
        ident = item.get("id") or ""
        issued = state.issued(ident)
        if issued is None or not issued.stored:
            words = (
                "Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item"
            )
            return bad(f"Item with id '{ident}' not found. {words} from your input.", "input", None, 404)
    return None


def _twice(items: list[Item], state: State) -> Refusal | None:
    seen: set[str] = set()
    for item in items:
        ident = item.get("id")
        if ident and ident in seen:
            words = "Remove duplicate items from your input and try again."
            return bad(f"Duplicate item found with id {ident}. {words}", "input")
        if ident:
            seen.add(ident)
    return None


def _resolved(items: list[Item], state: State) -> list[Item]:
    found = ((state.issued(i["id"]), i) if kind_of(i) == "item_reference" else (None, i) for i in items)
    return [known.item if known else item for known, item in found]


def _pairs(items: list[Item], state: State) -> Refusal | None:
    """By call_id and kind, wherever they are, but the call before its output."""
    items = _resolved(items, state)
    kinds = {output: (call, words) for call, (output, words) in CALLS.items()}
    open_calls: dict[str, str] = {}
    answered: set[str] = set()
    for item in items:
        kind, ident = kind_of(item), item.get("call_id") or ""
        if kind in CALLS:
            open_calls[ident] = kind
            answered.discard(ident)
        elif kind in kinds:
            call, words = kinds[kind]
            ident = ident or item.get("id") or ""
            if open_calls.get(ident) != call:
                return bad(f"No tool call found for {words} output with call_id {ident}.", "input")
            answered.add(ident)
    for ident, kind in open_calls.items():
        if ident not in answered:
            return bad(f"No tool output found for {CALLS[kind][1]} {ident}.", "input")
    return None


def _followed(items: list[Item], state: State) -> Refusal | None:
    """Reasoning and what it led to come back together."""
    items = _resolved(items, state)
    for at, item in enumerate(items):
        if kind_of(item) == "reasoning":
            rest = (i for i in items[at + 1 :] if kind_of(i) != "reasoning")
            after = next(rest, {"type": "nothing"})
            if kind_of(after) not in SAID or (kind_of(after) == "message" and after["role"] != "assistant"):
                words = "of type 'reasoning' was provided without its required following item."
                return bad(f"Item '{item.get('id')}' {words}", "input")
            continue
        issued = state.issued(item.get("id") or "")
        if issued and issued.after and not any(i.get("id") == issued.after for i in items[:at]):
            words = f"of type '{kind_of(item)}' was provided without its required 'reasoning' item: '{issued.after}'."
            return bad(f"Item '{item['id']}' {words}", "input")
    return None
