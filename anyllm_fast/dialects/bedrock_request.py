"""Requests of Bedrock Converse, both ways: bytes to neutral and back. Content, tools and reasoning are in files of their own.

The model is in the request's path and whether it streams too, so the body has neither. Blobs are strings of base64 in it. Source:
the service model that AWS's SDKs are made from (botocore, bedrock-runtime 2023-09-30, operations Converse and ConverseStream).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.arguments import string_of_arguments
from anyllm_fast.dialects.bedrock_content import NAME, read_system, read_turns, take_word
from anyllm_fast.dialects.bedrock_thinking import read_thinking, write_thinking
from anyllm_fast.dialects.bedrock_tools import FIELDS, read_tool_config, write_tool_config
from anyllm_fast.dialects.bedrock_turns import Conversation, in_words
from anyllm_fast.dialects.closed_schema import closed
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.members import (
    Opener,
    encode,
    is_string,
    leftovers,
    need_text,
    number_of,
    open_array,
    open_object,
    refuse,
    take,
    take_count,
    take_number,
    take_object,
    take_string,
    text_of,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Members, OutputFormat, Request

MAX_METADATA: Final = 16

_OPENER: Final = Opener(
    ("messages",),
    (
        *("system", "inferenceConfig", "toolConfig", "guardrailConfig", FIELDS, "promptVariables", "requestMetadata"),
        *("additionalModelResponseFieldPaths", "performanceConfig", "serviceTier", "outputConfig"),
    ),
)
_CONFIG: Final[Where] = (ROOT, "inferenceConfig")
_OUTPUT: Final[Where] = (ROOT, "outputConfig")
_TIERS: Final = {
    b'"auto"': "default",
    b'"default"': "default",
    b'"standard_only"': "default",
    b'"flex"': "flex",
    b'"priority"': "priority",
    b'"reserved"': "reserved",
}
_KEY: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_VALUE: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_STANDARD: Final = (b"{}", b'{"latency":"standard"}')


def read_request(body: bytes, losses: Losses) -> Request:
    """Raises InvalidRequest with the field's path. `model` is "" and `stream` False: the path says them."""
    members, lists = _OPENER.open(body)
    request = Request(model="", source=NAME)
    request.turns = read_turns(lists["messages"] or [])
    system = take(members, "system")
    if system is not None:
        read_system(system, request)
    read_tool_config(members, request)
    _read_inference(members, request)
    _read_fields(members, request)
    _read_metadata(members, request)
    request.service_tier = take_word(members, "serviceTier", ROOT)
    request.where["service_tier"] = (ROOT, "serviceTier")
    request.private |= leftovers(members)
    if bytes(members.get("performanceConfig", b"")).replace(b" ", b"") in _STANDARD:
        request.idle.add("performanceConfig")
    return request


def _read_inference(members: Members, request: Request) -> None:
    raw = take_object(members, "inferenceConfig", ROOT)
    if raw is None:
        return
    inside = open_object(raw, _CONFIG)
    request.max_tokens = take_count(inside, "maxTokens", _CONFIG)
    request.temperature = take_number(inside, "temperature", _CONFIG)
    request.top_p = take_number(inside, "topP", _CONFIG)
    request.stop = _read_stop(inside)
    for field, name in (
        ("max_tokens", "maxTokens"),
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("stop", "stopSequences"),
    ):
        request.where[field] = (_CONFIG, name)
    if rest := leftovers(inside):
        request.inner["inferenceConfig"] = rest


def _read_stop(inside: Members) -> list[Raw] | None:
    raw = take(inside, "stopSequences")
    if raw is None:
        return None
    where: Where = (_CONFIG, "stopSequences")
    stop = open_array(raw, where)
    for index, item in enumerate(stop):
        if not is_string(item):
            raise wrong(item, "a string", (where, index))
    return stop


def _read_fields(members: Members, request: Request) -> None:
    """What the model's own API has beyond the common one, and outputConfig, which says some of the same."""
    where: Where = (ROOT, FIELDS)
    raw = take(members, FIELDS)
    fields = {} if raw is None else leftovers(open_object(raw, where))
    said = take_object(members, "outputConfig", ROOT)
    config = {} if said is None else open_object(said, _OUTPUT)
    read_thinking(fields, config, request)
    for name in ("top_k", "topK"):
        if request.top_k is None and name in fields:
            request.top_k = take_count(fields, name, where)
            request.where["top_k"] = (where, name)
    _read_format(config, request)
    if fields:
        request.inner[FIELDS] = fields
    if rest := leftovers(config):
        request.inner["outputConfig"] = rest


def _read_format(config: Members, request: Request) -> None:
    raw = take_object(config, "textFormat", _OUTPUT)
    if raw is None:
        return
    where: Where = (_OUTPUT, "textFormat")
    inside = open_object(raw, where)
    kind = need_text(inside, "type", where)
    structure = take_object(inside, "structure", where)
    if kind != "json_schema" or structure is None:
        config["textFormat"] = raw
        return
    place: Where = (where, "structure")
    around = open_object(structure, place)
    here: Where = (place, "jsonSchema")
    shape = open_object(around.pop("jsonSchema", Raw(b"{}")), here)
    text = need_text(shape, "schema", here)
    try:
        msgspec.json.decode(text.encode(), type=dict[str, Raw])
    except (msgspec.MsgspecError, RecursionError):
        raise refuse((here, "schema"), "expected a JSON object in a string") from None
    request.format = OutputFormat(kind="json_schema", schema=Raw(text.encode()), where=where)
    request.format.name = take_string(shape, "name", here)
    request.format.description = take_string(shape, "description", here)
    request.format.private = leftovers(inside)


def _read_metadata(members: Members, request: Request) -> None:
    request.metadata = take_object(members, "requestMetadata", ROOT)
    request.where["metadata"] = (ROOT, "requestMetadata")


# -- writing -----------------------------------------------------------------------------------------------------------


def write_request(request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
    """Raises InvalidRequest for content that the API has no words for, or a conversation that it refuses in any order.

    `model` is not said: it goes into the path.
    """
    outgoing = Outgoing(request, NAME, profile, losses)
    out: Json = {}
    _write_limit(out, outgoing)
    write_tool_config(out, outgoing)
    write_thinking(out, outgoing)
    _write_sampling(out, outgoing)
    _write_stop(out, outgoing)
    _write_format(out, outgoing)
    _write_metadata(out, outgoing)
    _write_tier(out, outgoing)
    if not outgoing.own:
        _announce(outgoing)
    outgoing.top_level(out)
    Conversation(outgoing).write(out)
    if "toolConfig" in out and not outgoing.own:
        out["toolConfig"]["tools"] = [tool for tool in out["toolConfig"]["tools"] if tool != {}]
    return encode(out)


def _write_limit(out: Json, outgoing: Outgoing) -> None:
    """Without a limit the model's own holds."""
    request = outgoing.request
    if request.max_tokens is None:
        return
    limit: Raw | int = request.max_tokens
    if not outgoing.own and number_of(request.max_tokens) == 0:
        limit = 1
        outgoing.lose(request.path("max_tokens"), "the target cannot fill its cache without an answer: asked for one token")
    out["inferenceConfig"] = {"maxTokens": limit}


def _write_sampling(out: Json, outgoing: Outgoing) -> None:
    """temperature and topP from 0 to 1. Claude takes neither, or one, or only the defaults while it thinks."""
    request, config = outgoing.request, out.setdefault("inferenceConfig", {})
    if outgoing.own:
        for name, raw in (("temperature", request.temperature), ("topP", request.top_p)):
            if raw is not None:
                config[name] = raw
        if request.top_k is not None:
            where = request.path("top_k")
            out.setdefault(FIELDS, {})[str(where[1]) if where else "top_k"] = request.top_k
    else:
        thinks = out.get(FIELDS, {}).get("thinking", {}).get("type") not in (None, "disabled")
        _write_temperature(config, outgoing, thinks)
        _write_top_p(config, outgoing, thinks)
        _write_top_k(out, outgoing, thinks)
    if not config:
        del out["inferenceConfig"]


def _write_temperature(config: Json, outgoing: Outgoing, thinks: bool) -> None:
    request = outgoing.request
    value = None if request.temperature is None else number_of(request.temperature)
    if value is None or (value == 1 and outgoing.profile.anthropic_model):
        return
    where = request.path("temperature")
    if not outgoing.profile.samples:
        if value != 1:
            outgoing.lose(where, "the model takes no temperature")
    elif thinks:
        outgoing.lose(where, "not taken while the model thinks")
    elif value > 1:
        config["temperature"] = 1
        outgoing.lose(where, "clamped to 1, the target's highest")
    else:
        config["temperature"] = request.temperature


def _write_top_p(config: Json, outgoing: Outgoing, thinks: bool) -> None:
    request, profile = outgoing.request, outgoing.profile
    value = None if request.top_p is None else number_of(request.top_p)
    if value is None or (value == 1 and profile.anthropic_model):
        return
    where = request.path("top_p")
    if not profile.samples:
        if value != 1:
            outgoing.lose(where, "the model takes no top_p")
    elif thinks and value < 0.95:
        outgoing.lose(where, "not taken while the model thinks")
    elif "temperature" in config and profile.anthropic_model and not profile.temperature_with_top_p:
        outgoing.lose(where, "the model takes only one of temperature and top_p")
    else:
        config["topP"] = request.top_p


def _write_top_k(out: Json, outgoing: Outgoing, thinks: bool) -> None:
    request, profile = outgoing.request, outgoing.profile
    if request.top_k is None:
        return
    if thinks or not profile.samples or not (profile.anthropic_model or profile.top_k):
        outgoing.lose(request.path("top_k"), "not taken by the model")
    else:
        out.setdefault(FIELDS, {})["top_k"] = request.top_k


def _write_stop(out: Json, outgoing: Outgoing) -> None:
    """Claude is asked which one it met: the API's answer says that only on demand."""
    request = outgoing.request
    if request.stop is None:
        return
    kept = request.stop
    if not outgoing.own:
        claude = outgoing.profile.anthropic_model
        kept = [stop for stop in request.stop if (text_of(stop).strip() if claude else text_of(stop))]
        if len(kept) < len(request.stop):
            outgoing.lose(request.path("stop"), "the target takes no stop sequence of nothing or white space alone")
        if kept and claude:
            out["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if kept or outgoing.own:
        out.setdefault("inferenceConfig", {})["stopSequences"] = kept


def _write_format(out: Json, outgoing: Outgoing) -> None:
    """A schema goes as text in a string; what the model cannot be held to it is asked for in words (bedrock_turns)."""
    shape = outgoing.request.format
    if shape is None or shape.kind == "text":
        return
    if not outgoing.own:
        outgoing.inner({}, shape.inner, shape.where)
        if in_words(shape, outgoing):
            outgoing.private({}, shape.private, shape.where)
            outgoing.lose(shape.where, "the model cannot be held to a form of JSON: it is only asked for it")
            return
    schema = shape.schema if shape.schema is not None else Raw(b"{}")
    if outgoing.profile.anthropic_model and not outgoing.own:
        schema = closed(schema)
    said: Json = {"schema": string_of_arguments(schema)}
    if shape.name is not None:
        said["name"] = shape.name
    if shape.description is not None:
        said["description"] = shape.description
    text: Json = {"type": "json_schema", "structure": {"jsonSchema": said}}
    outgoing.private(text, shape.private, shape.where)
    out.setdefault("outputConfig", {})["textFormat"] = text


def _write_metadata(out: Json, outgoing: Outgoing) -> None:
    """Strings of plain letters, 16 at most."""
    request = outgoing.request
    if request.metadata is None:
        return
    if outgoing.own:
        out["requestMetadata"] = request.metadata
        return
    where = request.path("metadata")
    said: Json = {}
    for name, raw in open_object(request.metadata, where).items():
        if len(said) < MAX_METADATA and is_string(raw) and _KEY.fullmatch(name) and _VALUE.fullmatch(text_of(raw)):
            said[name] = raw
        else:
            outgoing.lose((where, name), "the target keeps 16 strings of letters, digits and few signs, up to 256 long")
    if said:
        out["requestMetadata"] = said


def _write_tier(out: Json, outgoing: Outgoing) -> None:
    tier = outgoing.request.service_tier
    if tier is None:
        return
    if outgoing.own:
        out["serviceTier"] = {"type": tier}
    elif (word := _TIERS.get(bytes(tier))) is not None:
        out["serviceTier"] = {"type": word}
    else:
        outgoing.lose(outgoing.request.path("service_tier"))


_UNSAYABLE: Final[tuple[tuple[str, tuple[Any, ...]], ...]] = (
    ("user", ()),
    ("seed", ()),
    ("presence_penalty", (0,)),
    ("frequency_penalty", (0,)),
    ("logprobs", (False,)),
    ("top_logprobs", (0,)),
    ("verbosity", ("medium",)),
    ("store", (False,)),
    ("cache_key", ()),
    ("cache_retention", ()),
)
"""Fields that the API has no words for, and the values that ask for nothing."""


def _announce(outgoing: Outgoing) -> None:
    request = outgoing.request
    for name, idle in _UNSAYABLE:
        value = getattr(request, name)
        if value is None:
            continue
        said = msgspec.json.decode(value) if isinstance(value, Raw) else value
        if said not in idle:
            outgoing.lose(request.path(name))
