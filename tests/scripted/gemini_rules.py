"""What the Gemini API refuses, worded as it words it. Writes no answer.

Names and shapes come from the installed google-genai SDK (`gemini_types`), the rules between fields from the API reference and
from refusals seen in the field (issue threads of clients and gateways).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from .gemini_signing import SKIPS, fits
from .gemini_tool_rules import schema_fault, tools_fault
from .gemini_types import Count, Request, fault_of, snake, spelled
from .typed import Fault, Path
from .upstream import Refusal

Body = dict[str, Any]
ROLES = ("user", "model", "function")
DATA = (
    *("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"),
    *("toolCall", "toolResponse", "audioTranscription"),
)
"""The members of a part that say what it is: one of them, never two."""
MAX_STOPS = 5
_NEW = re.compile(r"(?:models/)?gemini-([3-9]|\d\d)")
_THINKS = re.compile(r"(?:models/)?gemini-(2\.5|[3-9]|\d\d)")


def is_new(model: str) -> bool:
    """Gemini 3 and later: demands signatures, gives its calls ids, takes levels of thinking."""
    return bool(_NEW.match(model))


def refusal_of(body: Body, model: str, counting: bool = False) -> Refusal | None:
    """The first reason to refuse a request body, or None."""
    if fault := fault_of(body, Count if counting else Request):
        return _of_fault(fault)
    asked = spelled(body)
    if counting:
        if "contents" in asked and "generateContentRequest" in asked:
            return bad("* CountTokensRequest: contents and generate_content_request cannot both be set")
        asked = asked.get("generateContentRequest") or asked
    if refusal := _contents(asked):
        return refusal
    asked = {**asked, "contents": _joined(asked["contents"])}
    return next((r for rule in RULES if (r := rule(asked, model))), None)


def bad(message: str) -> Refusal:
    return Refusal(400, message, "INVALID_ARGUMENT")


def dotted(path: Path) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def _of_fault(fault: Fault) -> Refusal:
    where = dotted(fault.path)
    if fault.kind == "unknown":
        *above, name = fault.path
        place = f" at '{dotted(tuple(above))}'" if above else ""
        return bad(f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.')
    if fault.kind == "value":
        return bad(f"Invalid value at '{where}', \"{fault.detail}\"")
    return bad(f"Invalid value at '{where}' ({fault.detail})")


# -- contents ----------------------------------------------------------------------------------------------------------


def _joined(contents: list[Body]) -> list[Body]:
    """The model may speak several times in a row: the SDK's own conversations keep each chunk of a stream as a content."""
    out: list[Body] = []
    for content in contents:
        if out and out[-1].get("role") == content.get("role") == "model":
            out[-1] = {**content, "parts": [*out[-1]["parts"], *content["parts"]]}
        else:
            out.append(content)
    return out


def _contents(body: Body) -> Refusal | None:
    contents = body.get("contents")
    if not contents:
        return bad("* GenerateContentRequest.contents: contents is not specified")
    for i, content in enumerate(contents):
        where = f"contents[{i}]"
        if content.get("role", "user") not in ROLES:
            return bad("Please use a valid role: user, model.")
        if not content.get("parts"):
            return bad(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.")
        if refusal := _parts(content["parts"], f"{where}.parts"):
            return refusal
    return None


def _parts(parts: list[Body], where: str) -> Refusal | None:
    for j, part in enumerate(parts):
        place = f"{where}[{j}]"
        said = [name for name in DATA if part.get(name) is not None]
        if not said:
            return bad(f"* GenerateContentRequest.{place}.data: required oneof field 'data' must have one initialized field")
        if len(said) > 1:
            return bad(f"Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{said[1]}'")
        if refusal := _datum(said[0], part[said[0]], place):
            return refusal
    return None


def _datum(kind: str, value: Any, where: str) -> Refusal | None:
    match kind:
        case "functionCall" | "functionResponse" if not value.get("name"):
            return bad(f"* GenerateContentRequest.{where}.{snake(kind)}.name: Name cannot be empty.")
        case "functionResponse" if not isinstance(value.get("response"), dict):
            return bad(f"* GenerateContentRequest.{where}.function_response.response: required field is not set")
        case "inlineData" if not value.get("mimeType"):
            return bad(f"* GenerateContentRequest.{where}.inline_data.mime_type: mimeType must be set.")
        case "inlineData" if value["mimeType"] not in MEDIA and not value["mimeType"].startswith(("audio/", "video/", "text/")):
            return bad(f"Unsupported MIME type: {value['mimeType']}")
        case "inlineData" if not value.get("data"):
            return bad(f"* GenerateContentRequest.{where}.inline_data.data: required field is not set")
        case "fileData" if not value.get("fileUri"):
            return bad(f"* GenerateContentRequest.{where}.file_data.file_uri: required field is not set")
    return None


MEDIA = frozenset(
    {
        *("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "image/gif", "image/bmp"),
        *("application/pdf", "application/json", "application/x-javascript", "application/rtf"),
    }
)


def _system(body: Body, model: str) -> Refusal | None:
    system = body.get("systemInstruction")
    if system is None:
        return None
    if not system.get("parts"):
        return bad("* GenerateContentRequest.system_instruction.parts: system_instruction.parts must not be empty.")
    if any("text" not in part for part in system["parts"]):
        return bad("Developer instruction is not enabled for other than text parts")
    return None


def _order(body: Body, model: str) -> Refusal | None:
    roles = ["model" if c.get("role") == "model" else "user" for c in body["contents"]]
    if roles[0] != "user":
        return bad("Please ensure that multiturn requests begin with a user role.")
    if any(before == role for before, role in pairwise(roles)):
        return bad("Please ensure that multiturn requests alternate between user and model.")
    return None


# -- calls and their responses -------------------------------------------------------------------------------------------


def of_kind(content: Body, kind: str) -> list[Body]:
    return [part[kind] for part in content["parts"] if kind in part]


def _pairing(body: Body, model: str) -> Refusal | None:
    calls: list[Body] = []
    for content in body["contents"]:
        responses = _distinct(of_kind(content, "functionResponse"))
        if responses and not calls:
            return bad("Please ensure that function response turn comes immediately after a function call turn.")
        if len(responses) != len(calls):
            return bad(
                "Please ensure that the number of function response parts is equal to the number of function call parts of "
                "the function call turn."
            )
        if refusal := _answers(calls, responses):
            return refusal
        calls = of_kind(content, "functionCall")
        if calls and content.get("role") != "model":
            return bad(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            )
    if calls:
        return bad("Please ensure that multiturn requests end with a user role or a function response.")
    return None


def _distinct(responses: list[Body]) -> list[Body]:
    """A response that is there twice, as resumed sessions of gemini-cli have it, counts once."""
    kept: list[Body] = []
    for response in responses:
        if not response.get("id") or response["id"] not in [k.get("id") for k in kept]:
            kept.append(response)
    return kept


def _answers(calls: list[Body], responses: list[Body]) -> Refusal | None:
    if sorted(c["name"] for c in calls) != sorted(r["name"] for r in responses):
        return bad("Please ensure that the function response parts are of the functions of the function call turn.")
    ids = {c.get("id"): c["name"] for c in calls if c.get("id")}
    for response in responses:
        if response.get("id") and ids and ids.get(response["id"]) != response["name"]:
            return bad(f"Function response id '{response['id']}' matches no function call of that name.")
    return None


def _signatures(body: Body, model: str) -> Refusal | None:
    for i, content in enumerate(body["contents"]):
        for j, part in enumerate(content["parts"]):
            signature = part.get("thoughtSignature")
            if signature and signature not in SKIPS and not fits(signature, part):
                return bad(f"Invalid thought signature. (contents[{i}].parts[{j}])")
    if not is_new(model):
        return None
    for i, content in _current(body["contents"]):
        calls = [(j, part) for j, part in enumerate(content["parts"]) if "functionCall" in part]
        if calls and not calls[0][1].get("thoughtSignature"):
            return bad(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                "correctly, and missing thought_signature may lead to degraded model performance. Additional data, function "
                f"call `default_api:{calls[0][1]['functionCall']['name']}` , position {i}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )
    return None


def _current(contents: list[Body]) -> Iterator[tuple[int, Body]]:
    """The model's contents of the turn that is going on: all since the user last said something himself."""
    spoke = [i for i, c in enumerate(contents) if c.get("role") != "model" and not of_kind(c, "functionResponse")]
    last = spoke[-1] if spoke else -1
    return ((i, c) for i, c in enumerate(contents) if i > last and c.get("role") == "model")


# -- tools and settings --------------------------------------------------------------------------------------------------


def _tools(body: Body, model: str) -> Refusal | None:
    fault = tools_fault(body, is_new(model))
    return bad(fault) if fault else None


_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "maxOutputTokens": (1, 2**31),
    "candidateCount": (1, 8),
    "logprobs": (0, 20),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
}


def _settings(body: Body, model: str) -> Refusal | None:
    config = body.get("generationConfig") or {}
    for name, (low, high) in _RANGES.items():
        value = config.get(name)
        if value is not None and not low <= float(value) <= high:
            return bad(f"* GenerateContentRequest.generation_config.{snake(name)}: {name} must be in the range [{low}, {high}].")
    if len(config.get("stopSequences") or ()) > MAX_STOPS:
        return bad("* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are supported")
    if config.get("logprobs") is not None and not config.get("responseLogprobs"):
        return bad("logprobs is only allowed when response_logprobs is true")
    return _thinking(config.get("thinkingConfig") or {}, model) or _format(config, body, model)


def _thinking(thinking: Body, model: str) -> Refusal | None:
    if thinking and not _THINKS.match(model):
        return bad("Thinking is not enabled for this model. Please remove thinking_config.")
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if budget is not None and level:
        return bad("You can only set only one of thinking budget and thinking level.")
    if level and not is_new(model):
        return bad("Thinking level is not supported for this model.")
    if budget is not None and not -1 <= budget <= 32768:
        return bad(f"The thinking budget {budget} is invalid. Please choose a value between 0 and 32768.")
    if budget == 0 and "pro" in model:
        return bad("Budget 0 is invalid. This model only works in thinking mode.")
    return None


def _format(config: Body, body: Body, model: str) -> Refusal | None:
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if config.get(name) is not None]
    mime = config.get("responseMimeType")
    if len(schemas) > 1:
        return bad("response_schema and response_json_schema cannot both be set.")
    if schemas and mime not in ("application/json", "text/x.enum"):
        return bad(f"{snake(schemas[0])} requires response_mime_type to be application/json.")
    if mime == "application/json" and not is_new(model) and any("functionDeclarations" in t for t in body.get("tools") or ()):
        return bad("Function calling with a response mime type: 'application/json' is unsupported")
    fault = schema_fault(config.get("responseSchema"), "generation_config.response_schema")
    return bad(fault) if fault else None


RULES: tuple[Callable[[Body, str], Refusal | None], ...] = (
    _system,
    _order,
    _pairing,
    _signatures,
    _tools,
    _settings,
)
