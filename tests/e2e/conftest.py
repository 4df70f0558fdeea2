"""The stage of the end-to-end tests: upstreams, gateways and judges, each started once, on first use."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from scripted.host import Scripted

from .gateway import Gateway
from .judges import Judge, Sdk
from .table import Table


class SessionStage:
    """Starts what a test asks for and ends all of it after the last test. A gateway that does not start fails once."""

    def __init__(self, scripted: Scripted) -> None:
        self.scripted = scripted
        self._judges: dict[Sdk, Judge] = {}
        self._gateways: dict[tuple[str, str], Gateway] = {}
        self._refused: dict[tuple[str, str], str] = {}

    def judge(self, sdk: Sdk) -> Judge:
        judge = self._judges.get(sdk)
        if judge is None or not judge.alive:
            judge = self._judges[sdk] = Judge(sdk)
        return judge

    def gateway(self, backend: str, impl: str = "") -> Gateway:
        impl = impl or os.environ.get("ANYLLM_FAST_IMPL", "")
        key = (backend, impl)
        if key in self._refused:
            pytest.fail(self._refused[key], pytrace=False)
        gateway = self._gateways.get(key)
        if gateway is None or not gateway.alive:
            died = f"the gateway died; its last words:\n{gateway.output()[-3000:]}" if gateway else ""
            try:
                self._gateways[key] = Gateway(backend, self.scripted.root(backend), impl)
            except RuntimeError as error:
                self._refused[key] = str(error)
                pytest.fail(str(error), pytrace=False)
            if died:
                pytest.fail(died, pytrace=False)
        return self._gateways[key]

    def root(self, via: str) -> str:
        """`openai` and `anthropic` name a backend, `openai/python` an implementation of the hot path too."""
        backend, _, impl = via.partition("/")
        return self.gateway(backend, impl).root

    def tail(self) -> str:
        return "\n".join(f"-- gateway to {b} {i}\n{g.output()[-1500:]}" for (b, i), g in self._gateways.items())

    def close(self) -> None:
        for judge in self._judges.values():
            judge.close()
        for gateway in self._gateways.values():
            gateway.close()


@pytest.fixture(scope="session")
def stage() -> Iterator[SessionStage]:
    with Scripted() as scripted:
        stage = SessionStage(scripted)
        yield stage
        stage.close()


TABLE = Table()


def pytest_sessionfinish() -> None:
    if path := os.environ.get("E2E_TABLE"):
        TABLE.write(Path(path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows what the gateways wrote."""
    report = yield
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if call.when == "call" and "way" in parameters and not report.skipped:
        TABLE.add(parameters["cell"].name, parameters["way"], report.passed)
    stage = getattr(item, "funcargs", {}).get("stage")
    if call.when == "call" and report.failed and isinstance(stage, SessionStage):
        report.sections.append(("gateways", stage.tail()))
    return report
