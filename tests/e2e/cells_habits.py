"""Cells about servers that are only nearly compatible: translated, their meaning still arrives whole and in order."""

from __future__ import annotations

from scripted.answer import Answer, Text, Thinking, says
from scripted.asked import Asked, user
from scripted.chat_habits import CHUNKS, DOCUMENTS
from scripted.messages_habits import DOCUMENTS as MESSAGE_DOCUMENTS
from scripted.messages_habits import EVENTS

from .cells import both, cells_for, crossing, egress
from .cells_thinking import wanting
from .cells_tools import ASK, NOW, OSLO, PARIS, TIME, WEATHER
from .lanes import Lane

RICH = says("Both of them.", PARIS, OSLO, NOW)
WHOLE = ("every_index_zero", "no_ids", "empty_ids", "same_ids", "arguments_as_object")  # habits of whole calls


@cells_for({name: name for name in CHUNKS}, modes=("stream",), where=both(crossing, egress("openai")))
def nearly_chat(lane: Lane, habit: str) -> None:
    """Three calls stay three, each with an id of its own that comes back on the next turn."""
    answer = RICH.styled(habit=habit, whole_calls=habit in WHOLE, pieces=4)
    got = lane.send(ASK, answer, says("All known.")).same()
    assert len(set(got.call_ids())) == 3, got.call_ids()
    got.then(*got.results("sunny", "snow", "noon")).same()


@cells_for({name: name for name in CHUNKS}, modes=("stream",), where=both(crossing, egress("openai")))
def nearly_chat_in_words(lane: Lane, habit: str) -> None:
    answer = Answer((Thinking("hm, let me see"), Text("one two three"))).styled(habit=habit)
    lane.send(wanting(lane), answer).same()


@cells_for({name: name for name in DOCUMENTS}, modes=("whole",), where=both(crossing, egress("openai")))
def nearly_a_completion(lane: Lane, habit: str) -> None:
    got = lane.send(ASK, RICH.styled(habit=habit), says("All known.")).same()
    assert len(set(got.call_ids())) == 3, got.call_ids()
    got.then(*got.results("sunny", "snow", "noon")).same()
    lane.send(Asked((user("hi"),)), says("one two").styled(habit=habit)).same()
    lane.send(ASK, Answer((PARIS,)).styled(habit=habit)).same()


@cells_for({name: name for name in EVENTS}, modes=("stream",), where=both(crossing, egress("anthropic")))
def nearly_messages(lane: Lane, habit: str) -> None:
    answer = Answer((Thinking("hm, let me see"), Text("Both of them."), PARIS, OSLO, NOW)).styled(habit=habit)
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), answer).same()
    assert len(set(got.call_ids())) == 3, got.call_ids()


@cells_for({name: name for name in MESSAGE_DOCUMENTS}, modes=("whole",), where=both(crossing, egress("anthropic")))
def nearly_a_message(lane: Lane, habit: str) -> None:
    lane.send(ASK, RICH.styled(habit=habit)).same()
