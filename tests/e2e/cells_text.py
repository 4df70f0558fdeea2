"""Cells about plain conversation: text both ways, system prompts, pictures and documents, parameters, usage, stops."""

from __future__ import annotations

import base64
import json
import re

from scripted.answer import Answer, Cite, Document, Image, Text, Usage, says
from scripted.asked import Asked, assistant, user

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress, newest, same_dialect
from .lanes import Lane
from .speech import SPEECHES

# 4-byte characters, joiners, right-to-left, separators that JSON may carry raw, every escape, a lone backslash at the end
ODD = 'naïve 👩‍👩‍👧‍👦 שלום مرحبا 𝒳𝔘 \u2028\u2029 \x7f \\n \\u0041 " / \b\f\t\r\n é ﷽ \U0010ffff \\'
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(64))).decode()
PDF = base64.b64encode(b"%PDF-1.4\n" + bytes(range(200))).decode()
SCHEMA = {
    "type": "object",
    "properties": {"zeta": {"type": "string"}, "alpha": {"type": "array", "items": {"type": "integer"}}},
    "required": ["zeta", "alpha"],
    "additionalProperties": False,
}


@cell(modes=("whole", "stream", "async"))
def text(lane: Lane) -> None:
    got = lane.send(Asked((user("Say hello."),)), says("Hello from upstream."))
    got.same().arrived()


@cell()
def unicode_answer(lane: Lane) -> None:
    for tcp, escaped in ((0, False), (1, False), (3, True), (-1, True)):
        answer = says(ODD * 3).styled(pieces=9, tcp=tcp, ascii=escaped)
        lane.send(Asked((user("odd"),)), answer).same()


@cell()
def unicode_question(lane: Lane) -> None:
    lane.send(Asked((user(ODD), assistant(ODD.strip()), user("again " + ODD)), (ODD,)), says("ok")).same().arrived()


@cell()
def an_empty_answer_is_an_answer(lane: Lane) -> None:
    lane.send(Asked((user("nothing"),)), Answer()).same()


@cell()
def white_space_is_kept(lane: Lane) -> None:
    lane.send(Asked((user("spaces"),)), says("  \n\n lead and trail \t\n ").styled(pieces=12)).same()


@cell()
def a_megabyte_of_answer(lane: Lane) -> None:
    lane.send(Asked((user("long"),)), says("0123456789abcdé\n" * 65536).styled(pieces=400)).same()


@cell(where=newest)
def a_megabyte_of_question(lane: Lane) -> None:
    lane.send(Asked((user("long " + "0123456789abcdé\n" * 65536),)), says("ok")).same().arrived()


@cell()
def several_turns(lane: Lane) -> None:
    turns = (user("one"), assistant("uno"), user("two"), assistant("dos"), user("three"))
    lane.send(Asked(turns), says("tres")).same().arrived()


@cell()
def several_texts_in_a_turn(lane: Lane) -> None:
    lane.send(Asked((user("first", "second", "third"),)), says("ok")).same().arrived()


@cells_for({"one": ("You are terse.",), "several": ("You are terse.", "You rhyme.\n\n", "Never lie.")})
def system(lane: Lane, texts: tuple[str, ...]) -> None:
    lane.send(Asked((user("hi"),), texts), says("ok")).same().arrived()


@cells_for(
    {
        "developer first": [{"role": "developer", "content": "BE TERSE"}],
        "developer parts": [{"role": "developer", "content": [{"type": "text", "text": "BE TERSE"}]}],
        "system after user": [{"role": "user", "content": "a"}, {"role": "system", "content": "BE TERSE"}],
    },
    where=ingress("openai"),
)
def instructions_in_any_place(lane: Lane, messages: list[dict[str, object]]) -> None:
    asked = [*messages, {"role": "user", "content": "hi {script}"}]
    got = lane.send_body({"messages": asked, "max_completion_tokens": 50}, says("ok")).same()
    assert b"BE TERSE" in got.record.request.body


@cell(where=ingress("anthropic"))
def a_system_message_between_turns(lane: Lane) -> None:
    """Claude Code puts one after its first user message, as blocks or as a string."""
    for content in ("BE TERSE", [{"type": "text", "text": "BE TERSE"}]):
        messages = [
            {"role": "user", "content": "hello {script}"},
            {"role": "system", "content": content},
        ]
        got = lane.send_body({"messages": messages, "max_tokens": 50}, says("ok")).same()
        assert b"BE TERSE" in got.record.request.body


@cell()
def picture(lane: Lane) -> None:
    image = Image("image/png", PNG)
    lane.send(Asked((user("what is this?", image, "and be brief"),)), says("a cat")).same().arrived()


@cell(where=lambda way: "bedrock" not in (way.ingress, way.egress))  # Converse has no addresses but S3's: ImageSource
def picture_by_url(lane: Lane) -> None:
    image = Image(url="https://example.com/cat.png?a=1&b=2")
    lane.send(Asked((user("what is this?", image, "and be brief"),)), says("a cat")).same().arrived()


@cell()
def a_pdf(lane: Lane) -> None:
    document = Document(PDF, name="paper.pdf")
    lane.send(Asked((user(document, "summarise"),)), says("short")).same().arrived()


@cell()
def sampling_parameters(lane: Lane) -> None:
    asked = Asked((user("hi"),), temperature=0.5, stops=("END", "STOP"), max_tokens=123)
    lane.send(asked, says("ok")).same().arrived()
    lane.send(Asked((user("hi"),), top_p=0.25), says("ok")).same().arrived()


@cell()
def one_stop_sequence(lane: Lane) -> None:
    answer = Answer((Text("one two"),), stop="stop_sequence", stop_sequence="END")
    got = lane.send(Asked((user("count"),), stops=("END",)), answer).same().arrived()
    if not lane.way.crosses and lane.way.ingress == "anthropic":
        assert got.final["stop_sequence"] == "END"


@cell(where=both(gateway_only, ingress("openai"), egress("anthropic")))
def a_temperature_that_the_other_side_has_not(lane: Lane) -> None:
    got = lane.send(Asked((user("hi"),), temperature=1.6), says("ok")).same()
    assert (got.heard.temperature or 0) <= 1
    assert "temperature" in got.losses


@cell(where=both(ingress("openai"), gateway_only))
def no_bound_is_asked_for(lane: Lane) -> None:
    """Chat clients send no bound; Messages demands one."""
    lane.send_body({"messages": [{"role": "user", "content": "hi {script}"}]}, says("ok")).same()


@cell(where=ingress("openai"))
def the_old_name_of_the_bound(lane: Lane) -> None:
    body = {"messages": [{"role": "user", "content": "hi {script}"}], "max_tokens": 77}
    got = lane.send_body(body, says("ok")).same()
    assert got.heard.max_tokens == 77


@cell()
def the_end_of_the_budget(lane: Lane) -> None:
    lane.send(Asked((user("long"),), max_tokens=5), says("one two three", stop="length")).same()


@cell()
def user_of_the_caller(lane: Lane) -> None:
    lane.send(Asked((user("hi"),), user="u-12345"), says("ok")).same().arrived()


@cell(where=same_dialect)
def usage_of_a_cached_prompt(lane: Lane) -> None:
    usage = Usage(input=100, cached=4096, written=512, output=77, reasoning=33)
    got = lane.send(Asked((user("hi"),)), says("ok", usage=usage)).same()
    assert SPEECHES[lane.way.ingress].reasoned(got.final) in (0, 33), got.final


@cell(where=both(crossing))
def usage_in_the_other_dialect(lane: Lane) -> None:
    usage = Usage(input=100, cached=4096, output=77, reasoning=33)
    lane.send(Asked((user("hi"),)), says("ok", usage=usage)).same()


@cell(where=both(crossing, egress("anthropic")))
def tokens_that_wrote_the_cache(lane: Lane) -> None:
    """The newest Chat types have a place for them; the total counts them in any case."""
    got = lane.send(Asked((user("hi"),)), says("ok", usage=Usage(input=100, cached=50, written=512)))
    meaning = got.meaning
    assert (meaning.input, meaning.cached, meaning.output) == (662, 50, 7)


@cell(where=both(crossing, ingress("openai"), lambda way: way.egress != "bedrock"))  # Converse counts none: usage has no member
def reasoning_tokens(lane: Lane) -> None:
    got = lane.send(Asked((user("hi"),)), says("ok", usage=Usage(output=77, reasoning=33))).same()
    assert got.final["usage"]["completion_tokens_details"]["reasoning_tokens"] == 33


@cell()
def structured_answer(lane: Lane) -> None:
    """The schema arrives with its keys in order, whatever carries it, and the JSON comes back as text."""
    said = json.dumps({"zeta": "ok", "alpha": [1, 2]})
    lane.send(Asked((user("as JSON"),), schema=SCHEMA), says(said)).same().arrived()


@cell(modes=("parse",), where=lambda way: way.ingress != "bedrock")  # boto3 has no such helper
def structured_answer_by_a_class(lane: Lane) -> None:
    """The SDK writes the schema of a class and reads the answer back into it."""
    said = {"zeta": "ok", "alpha": [1, 2]}
    got = lane.send(Asked((user("as JSON"),)), says(json.dumps(said)))
    assert got.verdict.get("parsed") == said, got.verdict
    assert got.heard.schema is not None and set(got.heard.schema["properties"]) == set(said)


@cell(where=both(gateway_only, ingress("openai"), egress("openai")))
def json_object_mode(lane: Lane) -> None:
    body = {"messages": [{"role": "user", "content": "json please {script}"}], "response_format": {"type": "json_object"}}
    got = lane.send_body(body, says("{}")).same()
    assert got.record.body["response_format"] == {"type": "json_object"}


@cell()
def refusal(lane: Lane) -> None:
    words = "I cannot help with that."
    got = lane.send(Asked((user("bad"),)), Answer(refusal=words))
    meaning = got.meaning
    assert words in meaning.text + meaning.refusal, got.verdict
    if lane.way.ingress == "anthropic":
        assert meaning.stop == "refusal"
    elif lane.way.egress == "anthropic":
        assert meaning.stop == SPEECHES[lane.way.ingress].stops["refusal"] or meaning.refusal == words


@cell(where=egress("openai"))
def filtered_content(lane: Lane) -> None:
    got = lane.send(Asked((user("bad"),)), says("Once", stop="refusal"))
    assert got.meaning.text == "Once"
    assert got.meaning.stop == ("refusal" if lane.way.ingress == "anthropic" else "content_filter")


@cell(where=both(ingress("openai"), egress("openai")))
def several_choices_and_logprobs(lane: Lane) -> None:
    answer = says("first choice", others=("second choice", "third"))
    got = lane.send(Asked((user("three"),)), answer, extra={"n": 3, "logprobs": True, "top_logprobs": 0})
    texts = [c["message"]["content"] for c in got.final["choices"]]
    assert texts == ["first choice", "second choice", "third"]
    tokens = [t["token"] for t in got.final["choices"][0]["logprobs"]["content"]]
    assert "".join(tokens) == "first choice"


@cells_for(
    {"n": {"n": 2}, "logprobs": {"logprobs": True}, "seed": {"seed": 7}, "penalty": {"frequency_penalty": 1.5}},
    where=both(crossing, ingress("openai")),
)
def what_cannot_cross_is_announced(lane: Lane, extra: dict[str, object]) -> None:
    got = lane.send(Asked((user("hi"),)), says("ok"), extra=extra)
    if "error" in got.verdict:
        got.failed("BadRequestError", status=400)
        return
    assert next(iter(extra)) in got.losses, f"not announced: {got.headers}"
    got.same()


@cells_for(
    {
        "top_k": ({"top_k": 5}, "top_k"),
        "server tool": ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}, "tools"),
    },
    where=both(crossing, ingress("anthropic")),
)
def what_only_anthropic_has_is_announced(lane: Lane, row: tuple[dict[str, object], str]) -> None:
    extra, path = row
    got = lane.send(Asked((user("hi"),)), says("ok"), extra=extra)
    if "error" in got.verdict:
        got.failed("BadRequestError", status=400)
        return
    assert path in got.losses or "web_search_options" in got.record.body, f"not announced: {got.headers}"
    got.same()


@cell()
def citations(lane: Lane) -> None:
    cite = Cite("https://example.com/a", "A page", "the quoted words")
    got = lane.send(Asked((user("cite"),)), Answer((Text("It is so.", (cite,)),))).same()
    if lane.way.ingress == "anthropic":
        found = got.final["content"][0].get("citations") or []
    else:
        found = got.final["choices"][0]["message"].get("annotations") or []
    carried = bool(found) and cite.url in json.dumps(found)
    announced = lane.way.crosses and re.search("citation|annotation", got.losses)
    assert carried or announced, got.verdict


# Other SDKs put the members of a body into an order of their own.
@cell(where=both(gateway_only, same_dialect, lambda way: way.ingress in ("anthropic", "openai", "responses")))
def the_body_of_the_same_dialect_is_untouched(lane: Lane) -> None:
    """Also the order of its keys and numbers that another encoder would write otherwise."""
    extras: dict[str, dict[str, object]] = {
        "anthropic": {"metadata": {"user_id": "ü"}},
        "openai": {"user": "ü", "seed": 12345678901},
        "responses": {"user": "ü", "max_tool_calls": 12345678901},
    }
    extra = extras[lane.way.ingress]
    asked = Asked((user("hi é \u2028"),), temperature=1.0, schema=SCHEMA)
    got = lane.send(asked, says("ok"), extra=extra).same()
    sent = dict(got.sent)
    received = dict(got.record.body)
    for added in ("stream", "stream_options"):
        received.pop(added, None)
        sent.pop(added, None)
    assert json.dumps(received) == json.dumps({k: sent[k] for k in received})
    assert set(received) == set(sent)


@cell(where=both(gateway_only, same_dialect, lambda way: way.ingress != "bedrock"))  # boto3 sends none
def an_unknown_field_reaches_a_service_that_may_know_it(lane: Lane) -> None:
    got = lane.send(Asked((user("hi"),)), says("ok"), extra={"field_of_next_year": {"a": 1}})
    assert got.records and got.records[-1].body["field_of_next_year"] == {"a": 1}
    got.failed("BadRequestError", status=400, says="field_of_next_year")
