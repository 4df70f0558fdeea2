"""The official SDKs as judges: every way in, every way out, every feature. The cells are in the `cells_*` modules."""

from __future__ import annotations

import pytest

from .cells import Cell, load
from .conftest import SessionStage
from .lanes import Lane, Way

MATRIX = [(cell, way) for cell in load() for way in cell.ways()]


@pytest.mark.e2e
@pytest.mark.parametrize(("cell", "way"), MATRIX, ids=[f"{cell.name}-{way}" for cell, way in MATRIX])
def test_the_sdk_rebuilds_what_the_upstream_meant(cell: Cell, way: Way, stage: SessionStage) -> None:
    cell.ask(Lane(stage, way), *cell.values)
