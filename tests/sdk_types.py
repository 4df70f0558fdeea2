"""The request types of the official SDKs as data: which values they allow, and for every member two that differ only there.

The SDKs publish their request bodies as TypedDicts. `problems` judges a body by one; `variants` walks one and gives, for every
member at any depth, two bodies that are equal but for it.
"""

from __future__ import annotations

import collections.abc
import os
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

import typing_extensions
from typing_extensions import is_typeddict

_WRAPPERS = {typing_extensions.Required, typing_extensions.NotRequired, typing.Required, typing.NotRequired}
_REQUIRED = {typing_extensions.Required, typing.Required}
_LISTS = {list, collections.abc.Iterable, collections.abc.Sequence}


@cache
def members_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Name -> (type, whether it is required)."""
    hints = typing_extensions.get_type_hints(kind, include_extras=True)
    return {name: (_bare(hint), typing_extensions.get_origin(hint) in _REQUIRED) for name, hint in hints.items()}


def _bare(hint: Any) -> Any:
    while typing_extensions.get_origin(hint) in _WRAPPERS or typing_extensions.get_origin(hint) is typing.Annotated:
        hint = typing_extensions.get_args(hint)[0]
    return hint


def options_of(hint: Any) -> list[Any]:
    """The alternatives of a type that a JSON body can have: no null, no file handle, no model object of a reply."""
    hint = _bare(hint)
    if typing_extensions.get_origin(hint) not in (typing.Union, types.UnionType):
        return [hint]
    found: list[Any] = []
    for option in typing_extensions.get_args(hint):
        found += options_of(option)
    return [option for option in found if _in_json(option)]


def _in_json(option: Any) -> bool:
    if option is type(None) or option is os.PathLike or typing_extensions.get_origin(option) in (os.PathLike, typing.IO):
        return False
    return not (isinstance(option, type) and hasattr(option, "model_fields"))


def problems(value: Any, hint: Any, where: str = "") -> list[str]:
    """Why `value` is not of the type; members that the type does not know count. Empty if it is."""
    found: list[list[str]] = []
    for option in [*options_of(hint), *([type(None)] if type(None) in typing_extensions.get_args(_bare(hint)) else [])]:
        these = _problems(value, option, where)
        if not these:
            return []
        found.append(these)
    return min(found, key=len)


def _problems(value: Any, kind: Any, where: str) -> list[str]:
    origin = typing_extensions.get_origin(kind)
    if kind is Any or kind is object:
        return []
    if is_typeddict(kind):
        return _object_problems(value, kind, where)
    if origin in (typing.Literal, typing_extensions.Literal):
        return [] if value in typing_extensions.get_args(kind) else [f"{where}: {value!r} is not one of the words"]
    if origin in _LISTS:
        if not isinstance(value, list):
            return [f"{where}: no list"]
        inner = typing_extensions.get_args(kind)[0]
        return [problem for index, item in enumerate(value) for problem in problems(item, inner, f"{where}.{index}")]
    if origin is dict or kind is dict:
        return [] if isinstance(value, dict) else [f"{where}: no object"]
    if kind is float:
        return [] if isinstance(value, int | float) and not isinstance(value, bool) else [f"{where}: no number"]
    if kind is int:
        return [] if isinstance(value, int) and not isinstance(value, bool) else [f"{where}: no integer"]
    return [] if isinstance(value, kind) else [f"{where}: no {kind.__name__}"]


def _object_problems(value: Any, kind: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: no object"]
    known = members_of(kind)
    found = [f"{where}.{name}: missing" for name, (_, needed) in known.items() if needed and name not in value]
    for name, item in value.items():
        if name in known:
            found += problems(item, known[name][0], f"{where}.{name}")
        elif kind.__name__ != "InputSchemaTyped":
            found.append(f"{where}.{name}: unknown")
    return found


def least(hint: Any) -> Any:
    """The smallest value of a type."""
    kind = options_of(hint)[0]
    origin = typing_extensions.get_origin(kind)
    if is_typeddict(kind):
        return {name: least(inner) for name, (inner, needed) in members_of(kind).items() if needed}
    if origin in (typing.Literal, typing_extensions.Literal):
        return typing_extensions.get_args(kind)[0]
    if origin in _LISTS:
        return []
    if origin is dict:
        return {}
    return {str: "first-word", int: 4321, float: 0.25, bool: False, object: "first-word"}[kind]


Variant = tuple[str, Any, Any]
"""Dotted path, and two values of the whole that differ only in what the path names; `?`: only one of them has it at all."""


def variants(hint: Any, path: tuple[Any, ...] = ()) -> Iterator[Variant]:
    """A type that contains itself is not entered twice."""
    options = options_of(hint)
    for option in options:
        origin = typing_extensions.get_origin(option)
        label = f"<{_short(option)}>" if len(options) > 1 and (is_typeddict(option) or origin in _LISTS) else ""
        if is_typeddict(option):
            if option not in path:
                yield from _prefixed(label, _object_variants(option, (*path, option)))
        elif origin in _LISTS:
            yield from _prefixed(label, _list_variants(typing_extensions.get_args(option)[0], path))
        elif origin in (typing.Literal, typing_extensions.Literal):
            words = typing_extensions.get_args(option)
            for word in words[1:] if len(words) <= 12 else words[1:2]:
                yield f"={word}", words[0], word
        elif origin is dict:
            yield "{}", {}, {"some": "content"}
        elif option in (str, object):
            yield "", "first-word", "second-word"
        else:
            yield "", *{int: (4321, 1234), float: (0.25, 0.75), bool: (False, True)}[option]


def _object_variants(kind: Any, path: tuple[Any, ...]) -> Iterator[Variant]:
    base = least(kind)
    for name, (hint, needed) in members_of(kind).items():
        if not needed:
            yield f".{name}?", base, {**base, name: _present(hint)}
        for label, one, other in variants(hint, path):
            yield f".{name}{label}", {**base, name: one}, {**base, name: other}


def _present(hint: Any) -> Any:
    value = least(hint)
    return True if value is False else value


def _list_variants(hint: Any, path: tuple[Any, ...]) -> Iterator[Variant]:
    for option in options_of(hint):
        label = f"[]<{_short(option)}>" if is_typeddict(option) else "[]"
        if is_typeddict(option) and option in path:
            continue
        yield label, [], [least(option)]
        for inner, one, other in variants(option, path):
            yield f"{label}{inner}", [one], [other]


def _prefixed(label: str, found: Iterator[Variant]) -> Iterator[Variant]:
    for inner, one, other in found:
        yield f"{label}{inner}", one, other


def _short(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)).removeprefix("Beta").removeprefix("ChatCompletion").removesuffix("Param")
