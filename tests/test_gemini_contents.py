"""Contents of Gemini requests, both ways: parts, pairing of calls, signatures."""

from __future__ import annotations

import base64
import json

import pytest
from msgspec import Raw

from anyllm_fast.dialects import gemini_request
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Foreign, Media, Request, Text, Thinking, ToolCall, ToolResult, Turn
from anyllm_fast.neutral.signatures import packed, redacted, tagged
from tests.gemini_bodies import (
    GEMINI_3,
    PIXEL,
    PLAIN,
    Json,
    answer,
    asked,
    call,
    from_anthropic,
    from_chat,
    home,
    read,
    response,
    result,
    said,
    to_anthropic,
    to_chat,
    use,
    user,
)


class TestParts:
    def test_base64_of_either_alphabet_leaves_in_the_standard_one(self) -> None:
        """google-genai writes the url-safe one, which no other vendor reads."""
        sent = to_anthropic(asked(said({"inlineData": {"mimeType": "image/png", "data": "-_-_"}})))[0]
        assert sent["messages"][0]["content"][0]["source"]["data"] == "+/+/"

    def test_files_go_by_their_address_or_as_googles_own(self) -> None:
        parts = [
            {"fileData": {"fileUri": "https://a/b.png"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x", "mimeType": "application/pdf"}},
            {"fileData": {"fileUri": "gs://b/c.pdf"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
        ]
        found = read(asked(said(*parts)))[0].turns[0].parts
        assert [(part.kind, part.url is not None) for part in found] == [  # type: ignore[union-attr]
            ("image", True),
            ("document", False),
            ("document", False),
            ("video", True),
        ]
        assert home(asked(said(*parts)))["contents"][0]["parts"] == parts

    def test_pdfs_and_images_are_carried(self) -> None:
        """W143 of the reference: non-image inlineData and fileData were dropped."""
        parts = [
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a"}},
            {"fileData": {"fileUri": "http://a/b.png"}},
        ]
        content = to_anthropic(asked(said(*parts)))[0]["messages"][0]["content"]
        assert content[0]["type"] == "document" and content[0]["title"] == "a"
        assert content[1]["source"] == {"type": "url", "url": "http://a/b.png"}

    def test_code_that_google_ran_is_said_as_text(self) -> None:
        parts = [
            {"executableCode": {"language": "PYTHON", "code": "print(1)", "id": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}},
        ]
        body = asked(said({"text": "x"}), said(*parts, role="model"), said({"text": "y"}))
        sent, losses = to_anthropic(body)
        texts = [block["text"] for block in sent["messages"][1]["content"]]
        assert texts == ["```python\nprint(1)\n```", "[OUTCOME_FAILED]\n```\nno\n```"] and not losses
        assert home(body) == body

    def test_thoughts_stay_thoughts(self) -> None:
        """W143 of the reference: they became visible text."""
        body = asked(said({"text": "x"}), said({"text": "hm", "thought": True}, {"text": "a"}, role="model"), said({"text": "y"}))
        assert to_chat(body)[0]["messages"][1] == {"role": "assistant", "content": "a"}
        assert home(body) == body

    def test_a_turn_without_a_role_is_the_users_or_with_calls_the_models(self) -> None:
        body = {"contents": [{"parts": [{"text": "x"}]}, {"parts": [call()]}, {"parts": [response()]}]}
        assert [turn.role for turn in read(body)[0].turns] == ["user", "assistant", "user"]

    @pytest.mark.parametrize("role", ["user", "function", "tool"])
    def test_responses_come_in_several_roles(self, role: str) -> None:
        body = asked(said({"text": "x"}), said(call(), role="model"), said(response(), role=role))
        assert to_chat(body)[0]["messages"][2]["role"] == "tool"

    def test_parts_that_nobody_knows_are_announced(self) -> None:
        sent, losses = to_chat(asked(said({"text": "x"}, {"speechMetadata": {"speaker": "a"}})))
        assert sent["messages"] == [user("x")] and set(losses) == {"contents.0.parts.1.speechMetadata"}


class TestPairing:
    def paired(self, *contents: Json) -> list[tuple[str, str]]:
        found = read({"contents": [said({"text": "x"}), *contents]})[0].turns
        calls = {bytes(part.ident): bytes(part.args) for turn in found for part in turn.parts if isinstance(part, ToolCall)}
        results = [part for turn in found for part in turn.parts if isinstance(part, ToolResult)]
        return [(calls[bytes(part.ident)].decode(), json.loads(bytes(part.parts[0].text))) for part in results]  # type: ignore[union-attr]

    def test_by_id_whatever_the_order(self) -> None:
        calls = said(call(args={"n": 1}, id="a"), call(args={"n": 2}, id="b"), role="model")
        responses = said(response(said={"output": "two"}, id="b"), response(said={"output": "one"}, id="a"))
        assert self.paired(calls, responses) == [('{"n": 2}', "two"), ('{"n": 1}', "one")]

    def test_two_calls_of_one_function_are_told_apart_by_their_order(self) -> None:
        """W70 and W143 of the reference: both had one id, made of the name."""
        calls = said(call(args={"n": 1}), call(args={"n": 2}), role="model")
        responses = said(response(said={"output": "one"}), response(said={"output": "two"}))
        assert self.paired(calls, responses) == [('{"n": 1}', "one"), ('{"n": 2}', "two")]

    def test_by_name_before_order(self) -> None:
        calls = said(call("f", {"n": 1}), call("g", {"n": 2}), role="model")
        responses = said(response("g", {"output": "two"}), response("f", {"output": "one"}))
        assert self.paired(calls, responses) == [('{"n": 2}', "two"), ('{"n": 1}', "one")]

    def test_an_id_that_no_call_has_is_paired_by_name(self) -> None:
        """gemini-cli's sub-agents: calls without ids, responses with one."""
        calls = said(call("f", {"n": 1}), call("g", {"n": 2}), role="model")
        responses = said(response("g", {"output": "two"}, id="uuid#0-1"), response("f", {"output": "one"}, id="uuid#0-0"))
        assert self.paired(calls, responses) == [('{"n": 2}', "two"), ('{"n": 1}', "one")]

    def test_a_response_that_comes_twice_counts_once(self) -> None:
        """gemini-cli --resume."""
        calls = said(call(args={"n": 1}, id="a"), role="model")
        twice = response(said={"output": "one"}, id="a")
        assert self.paired(calls, said(twice, twice)) == [('{"n": 1}', "one")]
        assert self.paired(calls, said(twice), said(twice)) == [('{"n": 1}', "one")]

    def test_another_response_to_the_same_call_is_announced(self) -> None:
        contents = [said(call(id="a"), role="model"), said(response(id="a"), response(said={"output": "other"}, id="a"))]
        assert set(read(asked(said({"text": "x"}), *contents))[1]) == {"contents.2.parts.1.functionResponse"}

    def test_the_same_conversation_gives_the_same_ids(self) -> None:
        body = asked(said({"text": "x"}), said(call(), call(), role="model"), said(response(), response()))
        longer = {"contents": [*body["contents"], said(call(), role="model"), said(response())]}
        short, long = to_chat(body)[0]["messages"], to_chat(longer)[0]["messages"]
        assert long[: len(short)] == short
        idents = [each["id"] for message in long for each in message.get("tool_calls", ())]
        assert idents == ["call_1_0", "call_1_1", "call_3_0"]

    def test_ids_that_were_made_do_not_go_back_to_gemini(self) -> None:
        body = asked(said({"text": "x"}), said(call(), role="model"), said(response()))
        assert home(body) == body

    def test_two_calls_with_one_id_get_another(self) -> None:
        body = asked(said({"text": "x"}), said(call(id="a"), call(id="a"), role="model"), said(response(), response()))
        calls = to_chat(body)[0]["messages"][1]["tool_calls"]
        assert [each["id"] for each in calls] == ["a", "call_1_1"]

    @pytest.mark.parametrize(
        ("given", "text", "failed"),
        [
            ({"output": "plain"}, "plain", False),
            ({"output": {"a": 1}}, '{"a": 1}', False),
            ({"error": "bad"}, "bad", True),
            ({"error": {"code": 5}}, '{"code": 5}', True),
            ({"result": "x"}, '{"result": "x"}', False),
            ({"output": "x", "more": 1}, '{"output": "x", "more": 1}', False),
            ({}, "{}", False),
        ],
    )
    def test_a_response_is_an_output_an_error_or_itself(self, given: Json, text: str, failed: bool) -> None:
        """W143 of the reference: it was always JSON text, and never an error."""
        body = asked(said({"text": "x"}), said(call(), role="model"), said(response(said=given)))
        block = to_anthropic(body)[0]["messages"][2]["content"][0]
        assert (block["content"] if isinstance(block["content"], str) else block["content"][0]["text"]) == text
        assert block.get("is_error", False) is failed

    def test_pictures_in_and_beside_a_response_are_carried(self) -> None:
        picture = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
        inside = asked(said({"text": "x"}), said(call(), role="model"), said(response(parts=[picture])))
        blocks = to_anthropic(inside)[0]["messages"][2]["content"]
        assert [part["type"] for part in blocks[0]["content"]] == ["text", "image"]
        beside = asked(said({"text": "x"}), said(call(), role="model"), said(response(), picture))
        assert [block["type"] for block in to_anthropic(beside)[0]["messages"][2]["content"]] == ["tool_result", "image"]
        assert home(beside) == beside and home(inside) == inside


def packed_value(origin: str, opaque: bytes, text: bytes, url_safe: bool = False) -> str:
    value = packed(tagged(origin, opaque), text)
    return (base64.urlsafe_b64encode(value) if url_safe else base64.b64encode(value)).decode()


class TestSignatures:
    def thoughts(self, *parts: Json) -> list[tuple[str, str, str]]:
        turns = read(asked(said({"text": "x"}), said(*parts, role="model"), said({"text": "y"})))[0].turns
        found = [part for part in turns[1].parts if isinstance(part, Thinking)]
        return [(part.origin, json.loads(bytes(part.text)), json.loads(bytes(part.signature or b'""'))) for part in found]

    def test_gemini_s_own_carries_the_kind_of_its_part(self) -> None:
        assert self.thoughts({**call(), "thoughtSignature": "U0lH"}) == [("gemini", "", "c:U0lH")]
        assert self.thoughts({"text": "a", "thoughtSignature": "U0lH"}) == [("gemini", "", "t:U0lH")]
        assert self.thoughts({"text": "a", "thought": True, "thoughtSignature": "U0lH"}) == [("gemini", "a", "h:U0lH")]

    def test_a_call_s_signature_is_of_the_thought_before_it(self) -> None:
        assert self.thoughts({"text": "hm", "thought": True}, {**call(), "thoughtSignature": "U0lH"}) == [
            ("gemini", "hm", "c:U0lH")
        ]

    @pytest.mark.parametrize("url_safe", [False, True])
    def test_another_vendors_comes_back_with_the_text_that_it_signs(self, url_safe: bool) -> None:
        value = packed_value("anthropic", b"SIG+/=", rb"th\n\"ink\"", url_safe)
        for kept in (
            [],
            [{"text": 'th\n"ink"', "thought": True}],
            [{"text": "th\n", "thought": True}, {"text": '"ink"', "thought": True}],
        ):
            found = self.thoughts(*kept, {**call(), "thoughtSignature": value.rstrip("=")})
            assert found == [("anthropic", 'th\n"ink"', "SIG+/=")]

    def test_redacted_reasoning_comes_back_too(self) -> None:
        value = packed_value("anthropic", redacted(b"RED"), b"")
        body = asked(said({"text": "x"}), said({"text": "a", "thoughtSignature": value}, role="model"), said({"text": "y"}))
        assert to_anthropic(body)[0]["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "RED"}

    def test_thinking_goes_back_to_anthropic_whole(self) -> None:
        value = packed_value("anthropic", b"SIG", b"hm")
        turn = said({**call(id="a"), "thoughtSignature": value}, role="model")
        sent, losses = to_anthropic(asked(said({"text": "x"}), turn, said(response(id="a"))))
        assert sent["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "SIG"}
        assert losses == {}

    @pytest.mark.parametrize(
        "word", ["skip_thought_signature_validator", base64.b64encode(b"skip_thought_signature_validator").decode()]
    )
    def test_the_word_for_no_signature_is_dropped_without_a_word(self, word: str) -> None:
        body = asked(said({"text": "x"}), said({**call(), "thoughtSignature": word}, role="model"), said(response()))
        assert self.thoughts({**call(), "thoughtSignature": word}) == [] and to_chat(body)[1] == {}

    def test_a_value_that_is_not_ours_is_geminis(self) -> None:
        for value in ("YW55bGxtO", "YW55bGxtOg==", "not base64!"):
            assert self.thoughts({**call(), "thoughtSignature": value})[0][0] in ("gemini", "")

    def test_each_goes_back_on_the_kind_of_part_that_it_came_on(self) -> None:
        """W70 of the reference: signatures were not kept."""
        parts = [
            {"text": "hm", "thought": True},
            {"text": "a", "thoughtSignature": "VEVYVA=="},
            {**call(id="1"), "thoughtSignature": "Q0FMTA=="},
            call(id="2"),
        ]
        body = asked(said({"text": "x"}), said(*parts, role="model"), said(response(id="1"), response(id="2")))
        assert home(body) == body

    def test_one_behind_a_stream_stays_on_an_empty_text(self) -> None:
        parts = [{"text": "a", "thoughtSignature": "MQ=="}, {"text": "", "thoughtSignature": "Mg=="}]
        body = asked(said({"text": "x"}), said(*parts, role="model"), said({"text": "y"}))
        assert home(body) == body

    @pytest.mark.parametrize("behind", [False, True])
    def test_geminis_own_survive_a_client_of_another_dialect(self, behind: bool) -> None:
        """A client may put all thoughts before all else."""
        thinking = Thinking(text=Raw(b'"hm"'), signature=Raw(b'"c:U0lH"'), origin="gemini")
        text = Text(text=Raw(b'"a"'))
        called = ToolCall(ident=Raw(b'"c1"'), name=Raw(b'"f"'), args=Raw(b"{}"))
        answer = Turn(role="assistant", parts=[text, thinking, called] if behind else [thinking, text, called])
        results = Turn(role="user", parts=[ToolResult(ident=Raw(b'"c1"'), parts=[text])])
        request = Request(model="m", source="anthropic", turns=[Turn(role="user", parts=[text]), answer, results])
        losses = Losses()
        parts = json.loads(gemini_request.write_request(request, "m", GEMINI_3, losses))["contents"][1]["parts"]
        thought = {"text": "hm", "thought": True}
        assert parts[:2] == ([{"text": "a"}, thought] if behind else [thought, {"text": "a"}])
        assert parts[2] == {"functionCall": {"id": "c1", "name": "f", "args": {}}, "thoughtSignature": "U0lH"}
        assert not losses

    def test_a_signature_whose_part_is_gone_is_announced(self) -> None:
        thinking = Thinking(text=Raw(b'""'), signature=Raw(b'"c:U0lH"'), origin="gemini", where=((), "here"))
        request = Request(model="m", source="anthropic", turns=[Turn(role="assistant", parts=[thinking, Text(text=Raw(b'"a"'))])])
        losses = Losses()
        gemini_request.write_request(request, "m", PLAIN, losses)
        assert dict(losses).keys() == {"here"}

    def test_a_foreign_thought_is_left_out_and_announced(self) -> None:
        thinking = {"type": "thinking", "thinking": "hm", "signature": "RXJl"}
        sent, losses = from_anthropic(user("x"), answer(thinking, use()), user([result()]))
        assert [list(part) for part in sent["contents"][1]["parts"]] == [["functionCall"]]
        assert set(losses) == {"messages.1.content.0"}

    def test_newest_models_get_the_documented_word_on_an_unsigned_first_call(self) -> None:
        sent, _ = from_anthropic(user("x"), answer(use("1"), use("2")), user([result("1"), result("2")]), profile=GEMINI_3)
        signatures = [part.get("thoughtSignature") for part in sent["contents"][1]["parts"]]
        assert signatures == ["skip_thought_signature_validator", None]


class TestContents:
    def test_neighbours_of_one_role_are_put_together(self) -> None:
        sent, _ = from_chat(user("a"), user("b"), {"role": "assistant", "content": "c"}, user("d"))
        assert [(content["role"], len(content["parts"])) for content in sent["contents"]] == [
            ("user", 2),
            ("model", 1),
            ("user", 1),
        ]

    def test_an_answer_that_opens_the_conversation_gets_a_user_before_it(self) -> None:
        sent, _ = from_chat({"role": "assistant", "content": "a"}, user("b"))
        assert [content["role"] for content in sent["contents"]] == ["user", "model", "user"]

    def test_a_system_prompt_alone_is_what_the_user_says(self) -> None:
        assert from_chat({"role": "system", "content": "s"})[0] == {"contents": [said({"text": "s"})]}

    def test_system_turns_in_the_middle_are_marked(self) -> None:
        sent, _ = from_chat(
            {"role": "system", "content": "s"},
            user("a"),
            {"role": "assistant", "content": "b"},
            {"role": "system", "content": "t"},
            user("c"),
        )
        assert sent["systemInstruction"] == {"parts": [{"text": "s"}]}
        assert sent["contents"][2]["parts"] == [{"text": "<system>\nt\n</system>"}, {"text": "c"}]

    def test_what_is_no_text_in_a_system_turn_becomes_the_users(self) -> None:
        picture = Media(kind="image", data=Raw(b'"AAAA"'), media_type="image/png")
        said_so = Foreign(type="x", raw=Raw(b"{}"), parts=[Text(text=Raw(b'"t"'))])
        turns = [
            Turn(role="system", parts=[Text(text=Raw(b'"s"')), picture]),
            Turn(role="user", parts=[Text(text=Raw(b'"a"'))]),
            Turn(role="system", parts=[said_so, picture]),
        ]
        out = json.loads(gemini_request.write_request(Request(model="m", source="bedrock", turns=turns), "m", PLAIN, Losses()))
        data = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        assert out["systemInstruction"] == {"parts": [{"text": "s"}]}
        assert out["contents"] == [said(data, {"text": "a"}, {"text": "<system>\nt\n</system>"}, data)]

    def test_calls_and_results(self) -> None:
        """W70 of the reference: results were told apart by name alone."""
        sent, losses = from_anthropic(
            user("x"),
            answer(use("1"), use("2", "g")),
            user([result("2", "two", is_error=True), result("1"), {"type": "text", "text": "more"}]),
        )
        assert sent["contents"][2]["parts"] == [
            {"functionResponse": {"id": "1", "name": "f", "response": {"output": "done"}}},
            {"functionResponse": {"id": "2", "name": "g", "response": {"error": "two"}}},
            {"text": "more"},
        ]
        assert losses == {}

    def test_pictures_of_a_result_follow_it_or_are_inside(self) -> None:
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
        messages = (user("x"), answer(use()), user([result("c1", [{"type": "text", "text": "a"}, picture])]))
        data = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
        parts = from_anthropic(*messages)[0]["contents"][2]["parts"]
        assert parts[0]["functionResponse"]["response"] == {"output": "a\n[image 1 of this result follows]"}
        assert parts[1:] == [{"text": "[image 1 of the result of tool call c1]"}, data]
        parts = from_anthropic(*messages, profile=GEMINI_3)[0]["contents"][2]["parts"]
        assert parts == [{"functionResponse": {"id": "c1", "name": "f", "response": {"output": "a"}, "parts": [data]}}]

    def test_pictures_and_files(self) -> None:
        """W48 and W70 of the reference: PDFs and URL images were dropped."""
        content = [
            {"type": "image", "source": {"type": "url", "url": "https://a/b.webp?x=1"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                "title": "T",
                "context": "C",
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {"type": "image", "source": {"type": "file", "file_id": "files/1"}},
        ]
        sent, losses = from_anthropic(user(content))
        assert sent["contents"][0]["parts"] == [
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://a/b.webp?x=1"}},
            {"text": "Document: T\nC"},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
            {"text": "words"},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "files/1"}},
        ]
        assert losses == {}

    def test_sounds(self) -> None:
        sent, _ = from_chat(user([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}]))
        assert sent["contents"][0]["parts"] == [{"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}}]

    def test_the_detail_of_a_picture(self) -> None:
        picture = {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "high"}}
        assert set(from_chat(user([picture]))[1]) == {"messages.0.content.0.image_url.detail"}
        sent, losses = from_chat(user([picture]), profile=GEMINI_3)
        assert sent["contents"][0]["parts"][0]["mediaResolution"] == {"level": "MEDIA_RESOLUTION_HIGH"} and losses == {}

    def test_cache_marks_are_announced(self) -> None:
        block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
        assert set(from_anthropic(user([block]))[1]) == {"messages.0.content.0.cache_control"}

    def test_a_line_of_accounting_stays_with_its_vendor(self) -> None:
        system = [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "s"}]
        assert from_anthropic(user("x"), system=system)[0]["systemInstruction"] == {"parts": [{"text": "s"}]}

    def test_nothing_but_what_cannot_be_sent_is_still_a_request(self) -> None:
        thinking = {"type": "thinking", "thinking": "hm", "signature": "RXJl"}
        sent, losses = from_anthropic(answer(thinking))
        assert sent["contents"] == [said({"text": "."})] and losses
