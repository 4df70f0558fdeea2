"""What several test files share by fixture: the stage of the fault tests, which is set once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from anyllm_fast._impl import IMPL
from tests.raw_upstream import raw_upstream
from tests.stage import FiledUpstream, Stage

E2E = Path(__file__).parent / "e2e"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Who wants no real clients does not import them either: their matrix has more cells than all other tests together."""
    return True if collection_path == E2E and config.option.markexpr == "not e2e" else None


def pytest_report_header() -> str:
    return f"anyllm_fast: {IMPL} implementation"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage() -> AsyncIterator[Stage]:
    async with raw_upstream(upstream=FiledUpstream()) as upstream:
        assert isinstance(upstream, FiledUpstream)
        stage = Stage(upstream)
        try:
            yield stage
        finally:
            stage.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows what the gateways wrote on stderr."""
    report = yield
    stage = getattr(item, "funcargs", {}).get("stage")
    if call.when == "call" and report.failed and isinstance(stage, Stage):
        report.sections.append(("gateways", stage.tail()))
    return report
