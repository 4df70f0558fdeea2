"""Requests beyond one member at a time: what is inside types that have one row as a whole, and members in random combinations.

Alone, every member of a type that has rows is tested in test_ledger.py. Here the types that are taken as one thing are opened
too, and cases are put together into one body: what is carried or announced alone has to be carried or announced in company, and
a combination that a target refuses is refused with a path. FUZZ_SECONDS gives each lane that long, in place of a few dozen
combinations and the shortest path to each member.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.ledger import refusals, sheet
from anyllm_fast.neutral.losses import Losses
from tests import sendable
from tests.sdk_bodies import Case, Schema, cases, distinct
from tests.sdk_schema import SCHEMAS, objects
from tests.test_ledger import DIALECTS, LANE, Outcome, all_cases, outcome, request_bytes, request_outcome, touches

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
COMBINATIONS = 24
SIZE = 5

Json = dict[str, Any]


# -- inside of what is taken as one thing ------------------------------------------------------------------------------


@cache
def inner_cases(dialect: str) -> tuple[Case, ...]:
    """Those that test_ledger.py has not, the shortest path to each member first."""
    schema = Schema(lambda key: False, sendable.values(dialect), lambda key: False)
    known = {repr(case) for case in all_cases(dialect, "request")}
    found = [case for root in SCHEMAS[dialect, "request"] for kind in objects(root) for case in distinct(cases(kind, schema))]
    return tuple(sorted((case for case in found if repr(case) not in known), key=lambda case: len(case.path)))


@cache
def shortest(dialect: str) -> tuple[Case, ...]:
    chosen: dict[tuple[str, str], Case] = {}
    for case in inner_cases(dialect):
        chosen.setdefault((case.key, repr(case.value)), case)
    return tuple(chosen.values())


def timed(few: tuple[Case, ...], all_of_them: tuple[Case, ...]) -> Iterator[Case]:
    yield from few
    end = time.monotonic() + SECONDS
    for case in random.Random(0).sample(all_of_them, len(all_of_them)):
        if time.monotonic() >= end:
            return
        yield case


@LANE
def test_nothing_vanishes_inside_what_a_request_has_one_row_for(source: str, target: str) -> None:
    lost = {
        ".".join(case.path): case.value
        for case in timed(shortest(source), inner_cases(source))
        if not sheet(source, "request").is_default(case.key, case.value)
        and outcome("request", source, target, case) == "vanished"
    }
    assert lost == {}


# -- random combinations -----------------------------------------------------------------------------------------------


@cache
def alone(source: str, target: str) -> tuple[Case, ...]:
    """Cases that this lane carries or announces when nothing else is there."""
    fine: tuple[Outcome, ...] = ("out", "announced")
    return tuple(
        case
        for case in all_cases(source, "request")
        if not refusals("request", source, target, case.types)
        and not says_nothing(source, case)
        and request_outcome(source, target, case) in fine
    )


def says_nothing(source: str, case: Case) -> bool:
    here = sheet(source, "request")
    return here.field(case.key) == "structure" or here.is_default(case.key, case.value)


def completed(source: str, body: Any, about: Any) -> Json:
    made: Json = json.loads(sendable.request(source, body, about))
    return made


TWICE = (
    {"tool_choice", "function_call"},
    {"max_tokens", "max_completion_tokens"},
    {"user", "safety_identifier"},
)
"""Older and newer members for one thing: without the one the other says it."""


def merged(bodies: list[Json]) -> Json | None:
    """One body of several: conversations one after the other, tools once. None where two say different things in one place."""
    out: Json = {}
    for body in bodies:
        if not _merge(out, body):
            return None
    return None if any(names <= out.keys() for names in TWICE) else out


def _merge(out: Json, body: Json) -> bool:
    for name, value in body.items():
        here = out.get(name)
        if name not in out:
            out[name] = json.loads(json.dumps(value))
        elif isinstance(here, dict) and isinstance(value, dict):
            if not _merge(here, value):
                return False
        elif isinstance(here, list) and isinstance(value, list):
            talk = name in ("messages", "contents", "input")
            known = {} if talk else {_label(item): item for item in here}
            if any(_label(item) in known and known[_label(item)] != item for item in value):
                return False
            here += [item for item in value if _label(item) not in known]
        elif here != value:
            return False
    return True


def _label(item: Any) -> Any:
    """Two tools of one name are a 400 everywhere."""
    inside = item
    for kind in ("function", "custom", "toolSpec"):
        if isinstance(item, dict) and isinstance(item.get(kind), dict):
            inside = item[kind]
    return inside["name"] if isinstance(inside, dict) and "name" in inside else json.dumps(item, sort_keys=True)


def combinations(source: str, target: str) -> Iterator[list[Case]]:
    chance = random.Random(f"{source} {target}")
    choice = alone(source, target)
    end = time.monotonic() + SECONDS
    count = 0
    while count < COMBINATIONS or time.monotonic() < end:
        count += 1
        chosen = {case.key: case for case in chance.sample(choice, SIZE)}
        yield list(chosen.values())


OVERLAPS = (
    ("ttl", "ttl"),  # of two cache marks the earlier one lives as long as the later
    ("tools", "tool_choice"),  # a tool that is not allowed is not sent
    ("functions", "tool_choice"),
    ("tools", "function_call"),
    ("functions", "function_call"),
    ("tools", "functionCallingConfig"),
    ("tool_choice", "parallel_tool_calls"),  # a choice of what holds anyway is said with it
    ("namespace", "tools"),  # a name that is in one namespace only is found without it
    ("responseLogprobs", "generationConfig.logprobs"),  # a number of them asks for them
    ("thinking", "effort"),  # an effort asks to think
    ("output_config.effort", "thinking"),  # and there is none to set where the model is not to
    ("thinkingLevel", "thinkingConfig"),
    ("reasoning.effort", "input"),  # a later configuration counts
)
"""(in the path of a member, in that of another): what the one says follows from the other where both are said."""


def overlaps(case: Case, together: list[Case]) -> bool:
    said, others = ".".join(case.path), [".".join(other.path) for other in together if other is not case]
    return any(one in said and other in each for one, other in OVERLAPS for each in others)


def vanished(source: str, target: str, together: list[Case]) -> Iterator[tuple[str, Any]]:
    """Members that are neither out nor announced where they are together."""
    whole = [completed(source, case.body, case.body) for case in together]
    body = merged(whole)
    if body is None:
        return
    losses = Losses()
    try:
        out = request_bytes(source, target, json.dumps(body).encode(), losses)
    except InvalidRequest as error:
        assert error.where, f"refused without a path: {error}"
        return
    for place, case in enumerate(together):
        if any(touches(path, case.path) for path, _ in losses) or overlaps(case, together):
            continue
        without = merged([*whole[:place], completed(source, case.without, case.body), *whole[place + 1 :]])
        if without is None or without == body:
            continue
        try:
            if request_bytes(source, target, json.dumps(without).encode(), Losses()) != out:
                continue
        except InvalidRequest:
            continue
        yield ".".join(case.path), case.value


@LANE
def test_nothing_vanishes_where_members_of_a_request_are_combined(source: str, target: str) -> None:
    found = {}
    for together in combinations(source, target):
        for path, value in vanished(source, target, together):
            found[path] = (value, [".".join(case.path) for case in together])
    assert found == {}


@pytest.mark.parametrize("source", DIALECTS)
def test_combinations_of_a_request_are_mostly_bodies_that_a_target_takes(source: str) -> None:
    """So that the test above is one."""
    target = "openai_chat" if source != "openai_chat" else "anthropic"
    taken = 0
    for together in combinations(source, target):
        body = merged([completed(source, case.body, case.body) for case in together])
        if body is not None:
            try:
                request_bytes(source, target, json.dumps(body).encode(), Losses())
            except InvalidRequest:
                continue
            taken += 1
    assert taken > COMBINATIONS // 3
