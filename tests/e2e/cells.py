"""The registry of the matrix: a cell is a function of a Lane and the ways on which it is asked. Knows no feature."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

from .judges import SDKS
from .lanes import Lane, Way
from .wide import OLD, WIDE

Where = Callable[[Way], bool]
BACKENDS = ("openai", "anthropic")
WIDE_BACKENDS = ("openai", "anthropic", "responses", "gemini", "bedrock")
TWINS = ("openai/python", "anthropic/python")


@dataclass(frozen=True)
class Cell:
    name: str
    ask: Callable[..., None]
    modes: tuple[str, ...]
    where: Where
    values: tuple[Any, ...]
    wide: bool = False  # asked on every lane of every dialect; else only between Messages and Chat
    old: bool = False  # there also of the older SDKs
    also: tuple[Way, ...] = ()  # ways that no other rule gives

    def ways(self) -> Iterator[Way]:
        yield from self._old_ways()
        yield from (way for way in self.also if way.mode in self.modes and self.where(way))
        if self.wide:
            for sdk in SDKS:
                for via, mode in product(("direct", *WIDE_BACKENDS), self.modes):
                    way = Way(sdk, via, mode)
                    if self.where(way) and way.widens and (self.old or not sdk.release):
                        yield way

    def _old_ways(self) -> Iterator[Way]:
        for sdk in SDKS:
            if sdk.vendor not in BACKENDS:
                continue
            for via, mode in product(("direct", *BACKENDS, *TWINS), self.modes):
                way = Way(sdk, via, mode)
                if self.where(way) and (via not in TWINS or _worth_a_twin(way)):
                    yield way


CELLS: list[Cell] = []


def load() -> list[Cell]:
    """All cells of the `cells_*` modules beside this file: a new module needs no other line."""
    for path in sorted(Path(__file__).parent.glob("cells_*.py")):
        import_module(f"{__package__}.{path.stem}")
    return CELLS


def _worth_a_twin(way: Way) -> bool:
    """The twins are byte-equal by their own tests: here they show only that they run, translated and streamed."""
    return way.crosses and way.mode == "stream" and not way.sdk.release


def anywhere(way: Way) -> bool:
    return True


def cell(
    *, modes: tuple[str, ...] = ("whole", "stream"), where: Where = anywhere, wide: bool = False
) -> Callable[[Callable[[Lane], None]], Callable[[Lane], None]]:
    """Registers a cell for every way that `where` lets through. A cell's name is its function's. `wide`: on all dialects."""

    def register(function: Callable[[Lane], None]) -> Callable[[Lane], None]:
        name = function.__name__
        CELLS.append(Cell(name, function, modes, where, (), wide or name in WIDE, name in OLD))
        return function

    return register


def cells_for(
    table: dict[str, Any], *, modes: tuple[str, ...] = ("whole", "stream"), where: Where = anywhere, wide: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One cell for each row of `table`, given to the function after the lane."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        for key, value in table.items():
            plain = function.__name__
            name = f"{plain}[{re.sub(r'[^a-zA-Z0-9]+', '-', key).strip('-')}]"
            CELLS.append(Cell(name, function, modes, where, (value,), wide or plain in WIDE, plain in OLD))
        return function

    return register


# -- the usual restrictions -------------------------------------------------------------------------------------------


def gateway_only(way: Way) -> bool:
    return not way.direct


def same_dialect(way: Way) -> bool:
    return not way.crosses


def crossing(way: Way) -> bool:
    return way.crosses


def newest(way: Way) -> bool:
    return not way.sdk.release


def both(*tests: Where) -> Where:
    return lambda way: all(test(way) for test in tests)


def ingress(name: str) -> Where:
    return lambda way: way.ingress == name


def egress(name: str) -> Where:
    return lambda way: way.egress == name
