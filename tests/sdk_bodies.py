"""Bodies that contain each path of a vendor's schema once, and the same bodies without it. Made from the SDK's types.

A case is a pair: `body` has the member, `without` has not (or, where it is required, another value). Values are the shortest that
the types allow, so that nothing else in the body can hide what becomes of the member.
"""

from __future__ import annotations

import datetime
import itertools
import typing
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from tests.sdk_schema import Member, bare, is_object, item_of, object_of, options, tag_of


class Case(NamedTuple):
    key: str  # `TextBlock.citations`, or a type's name alone where it is taken as a whole
    path: tuple[str, ...]  # without indices
    types: tuple[str, ...]  # names of the objects on the path, and of the value if it is one
    value: Any  # of the member
    body: Any
    without: Any


class Schema(NamedTuple):
    """What a body generator has to be told beside the types."""

    whole: Callable[[str], bool]  # types that are taken as one thing: nothing inside them is looked at
    values: dict[str, Any]  # key -> a value that makes sense where the types do not say
    skip: Callable[[str], bool]  # keys that are not of the body


PLAIN: dict[Any, tuple[Any, Any]] = {
    str: ("text", "other"),
    int: (7, 8),
    float: (0.25, 0.5),
    bool: (True, False),
    object: ({"a": 1}, {"a": 2}),
    Any: ({"a": 1}, {"a": 2}),
    datetime.datetime: ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
}


def minimal(hint: Any, schema: Schema) -> Any:
    """The shortest value of a type: required members only."""
    hint = options(hint)[0]
    if is_object(hint):
        found = object_of(hint)
        return {name: value_of(member, schema) for name, member in found.members.items() if member.required}
    if (item := item_of(hint)) is not None:
        return [minimal(item, schema)]
    return values(hint)[0]


def value_of(member: Member, schema: Schema) -> Any:
    return schema.values[member.key] if member.key in schema.values else minimal(member.hint, schema)


def values(hint: Any) -> tuple[Any, ...]:
    """Values of a plain type, at least two where there are two."""
    hint = bare(hint)
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) is dict:
        inner = options(typing.get_args(hint)[1])[0]
        value = {} if is_object(inner) else values(inner)[0]
        return ({"a": value}, {"b": value})
    if (item := item_of(hint)) is not None:
        return ([values(options(item)[0])[0]], [values(options(item)[0])[-1]])
    return PLAIN[hint]


def cases(hint: Any, schema: Schema, above: tuple[Any, ...] = ()) -> Iterator[Case]:
    """Every path in an object of this type. Types do not recur on a path."""
    hint = bare(hint)
    found = object_of(hint)
    base = minimal(hint, schema)
    tag = tag_of(hint)
    for name, member in found.members.items():
        if schema.skip(member.key) or (tag is not None and name == tag[0]):
            continue
        for inner in _member_cases(member, schema, (*above, hint)):
            body = {**base, name: inner.body}
            without = {key: value for key, value in base.items() if key != name}
            if inner.without is not _ABSENT:
                without[name] = inner.without
            yield Case(inner.key, (name, *inner.path), (found.name, *inner.types), inner.value, body, without)


_ABSENT: Any = object()


def _member_cases(member: Member, schema: Schema, above: tuple[Any, ...]) -> Iterator[Case]:
    if schema.whole(member.key) or (member.key in schema.values and _is_plain_array(member.hint)):
        value = schema.values.get(member.key) or full(options(member.hint)[0], schema)
        yield Case(member.key, (), (), value, value, _ABSENT)
        return
    for option in options(member.hint):
        item = item_of(option)
        if item is None:
            yield from _value_cases(member, option, schema, above)
            continue
        for each in options(item):
            for case in _value_cases(member, each, schema, above):
                yield _listed(case, member.required)


def _is_plain_array(hint: Any) -> bool:
    item = item_of(options(hint)[0])
    return item is not None and not any(is_object(option) for option in options(item))


def _listed(case: Case, required: bool) -> Case:
    """A case of an item as one of the array; without it, the array is empty or not there."""
    without = [case.without] if case.without is not _ABSENT else [] if required else _ABSENT
    return case._replace(value=case.value if case.path else [case.value], body=[case.body], without=without)


def _value_cases(member: Member, option: Any, schema: Schema, above: tuple[Any, ...]) -> Iterator[Case]:
    if is_object(option):
        if bare(option) in above:
            return
        name = object_of(option).name
        if schema.whole(name):
            yield Case(name, (), (name,), None, full(option, schema), _ABSENT)
            return
        yield Case(member.key, (), (name,), minimal(option, schema), minimal(option, schema), _ABSENT)
        yield from cases(option, schema, above)
        return
    for value in (schema.values[member.key],) if member.key in schema.values else values(option):
        without = _ABSENT
        if member.required:
            without = next((other for other in values(option) if other != value), _ABSENT)
        yield Case(member.key, (), (), value, value, without)


def full(hint: Any, schema: Schema, above: tuple[Any, ...] = ()) -> Any:
    """A value with every member, the first alternative of each."""
    hint = options(hint)[0]
    if is_object(hint):
        return {
            name: schema.values[member.key] if member.key in schema.values else full(member.hint, schema, (*above, hint))
            for name, member in object_of(hint).members.items()
            if not any(bare(inner) in above or bare(inner) is hint for inner in options(member.hint))
        }
    if (item := item_of(hint)) is not None:
        return [full(item, schema, above)]
    return values(hint)[0]


def distinct(found: Iterator[Case]) -> list[Case]:
    """Without the cases that the stable and the beta types have in common."""
    seen: dict[str, Case] = {}
    for case in found:
        seen.setdefault(repr(case), case)
    return list(itertools.chain(seen.values()))
