"""Checks a JSON value against a vendor SDK's TypedDict, so that the strictness stays as current as the installed SDK.

Knows types, not vendors: the result names a path and a kind of fault, the dialect's own file words it.
"""

from __future__ import annotations

import collections.abc
import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any

import typing_extensions

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Fault:
    path: Path
    kind: typing.Literal["unknown", "missing", "type", "value"]
    detail: str


def fault_of(value: Any, hint: Any, path: Path = ()) -> Fault | None:
    """The first fault of `value` against `hint`, or None. Classes that no JSON can be (SDK objects) match nothing."""
    hint = _bare(hint)
    origin = typing.get_origin(hint)
    if hint in (Any, object):
        return None
    if hint is None or hint is types.NoneType:
        return None if value is None else Fault(path, "type", "null")
    if origin in (typing.Union, types.UnionType):
        return _union_fault(value, typing.get_args(hint), path)
    if origin is typing.Literal:
        return None if value in typing.get_args(hint) else Fault(path, "value", _listed(typing.get_args(hint)))
    if _is_typed_dict(hint):
        return _dict_fault(value, hint, path)
    if hint in _PLAIN:
        return None if _PLAIN[hint](value) else Fault(path, "type", _NAMES[hint])
    if origin is not None and _is_mapping(origin):
        return _mapping_fault(value, typing.get_args(hint), path)
    if _is_sequence(hint, origin):
        return _list_fault(value, typing.get_args(hint) or (Any,), path)
    return Fault(path, "type", getattr(hint, "__name__", str(hint)))


def field_names(hint: Any) -> frozenset[str]:
    return frozenset(_hints(hint))


_PLAIN: dict[Any, collections.abc.Callable[[Any], bool]] = {
    str: lambda v: isinstance(v, str),
    bool: lambda v: isinstance(v, bool),
    int: lambda v: isinstance(v, int) and not isinstance(v, bool),
    float: lambda v: isinstance(v, int | float) and not isinstance(v, bool),
}
_NAMES = {str: "a string", bool: "a boolean", int: "an integer", float: "a number"}


def _bare(hint: Any) -> Any:
    while typing.get_origin(hint) in _WRAPPERS:
        hint = typing.get_args(hint)[0]
    return hint


_REQUIRED = (typing.Required, typing_extensions.Required)
_WRAPPERS = (*_REQUIRED, typing.Annotated, typing.NotRequired, typing_extensions.NotRequired)


def _is_typed_dict(hint: Any) -> bool:
    return typing_extensions.is_typeddict(hint)


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)


def _is_sequence(hint: Any, origin: Any) -> bool:
    base = origin or hint
    if isinstance(base, type) and issubclass(base, list | tuple):
        return True
    return base in (collections.abc.Iterable, collections.abc.Sequence) or getattr(base, "__name__", "") == ("SequenceNotStr")


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return typing_extensions.get_type_hints(hint, include_extras=True)


@cache
def _required(hint: Any) -> frozenset[str]:
    """The keys that must be there. Annotations kept as strings hide their Required from the class itself."""
    marked = {k for k, v in _hints(hint).items() if typing.get_origin(v) in _REQUIRED}
    return frozenset(marked | set(hint.__required_keys__))


@cache
def _open(hint: Any) -> bool:
    """The SDK marks schemas that take further keys (a tool's input_schema) in their pydantic config."""
    return bool(getattr(hint, "__pydantic_config__", {}).get("extra") == "allow")


def _dict_fault(value: Any, hint: Any, path: Path) -> Fault | None:
    if not isinstance(value, dict):
        return Fault(path, "type", "an object")
    hints = _hints(hint)
    for key, item in value.items():
        if key not in hints:
            if _open(hint):
                continue
            return Fault((*path, key), "unknown", "")
        if fault := fault_of(item, hints[key], (*path, key)):
            return fault
    for key in sorted(_required(hint)):
        if key not in value:
            return Fault((*path, key), "missing", "")
    return None


def _mapping_fault(value: Any, args: tuple[Any, ...], path: Path) -> Fault | None:
    if not isinstance(value, dict):
        return Fault(path, "type", "an object")
    inner = args[1] if len(args) == 2 else Any
    return next((f for k, v in value.items() if (f := fault_of(v, inner, (*path, k)))), None)


def _list_fault(value: Any, args: tuple[Any, ...], path: Path) -> Fault | None:
    if not isinstance(value, list):
        return Fault(path, "type", "an array")
    return next((f for i, v in enumerate(value) if (f := fault_of(v, args[0], (*path, i)))), None)


def _union_fault(value: Any, options: tuple[Any, ...], path: Path) -> Fault | None:
    faults: list[Fault] = []
    for option in _flat(options):
        if isinstance(value, dict) and _is_typed_dict(_bare(option)) and not _tagged(value, _bare(option)):
            continue
        fault = fault_of(value, option, path)
        if fault is None:
            return None
        faults.append(fault)
    if not faults:
        return Fault(path, "value", "no such kind: " + str(value.get("type") or value.get("role")))
    return max(faults, key=lambda f: (len(f.path), f.kind != "type"))


def _flat(options: tuple[Any, ...]) -> list[Any]:
    flat: list[Any] = []
    for option in options:
        bare = _bare(option)
        if typing.get_origin(bare) in (typing.Union, types.UnionType):
            flat += _flat(typing.get_args(bare))
        else:
            flat.append(bare)
    return flat


def _tagged(value: dict[str, Any], hint: Any) -> bool:
    """Whether `type` and `role`, where the TypedDict pins them, are those of `value`."""
    for tag in ("type", "role"):
        inner = _bare(_hints(hint).get(tag, Any))
        pinned = typing.get_args(inner) if typing.get_origin(inner) is typing.Literal else None
        if pinned and value.get(tag) not in pinned and (tag in value or tag in _required(hint)):
            return False
    return True


def _listed(choices: tuple[Any, ...]) -> str:
    return ", ".join(repr(c) for c in choices)
