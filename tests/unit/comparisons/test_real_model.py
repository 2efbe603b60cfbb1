"""A comparison whose model is a server, not the suite's oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from unified_agents.config import ModelConfig
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply
from unified_agents_comparisons.execution.cell import STREAM_IGNORED, CellRunner, load_cell_runner
from unified_agents_comparisons.execution.comparison import compare
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.execution.protocol import Start
from unified_agents_comparisons.execution.warm_up import MAX_RUNS, warm_up
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.report.summary import summarise

ORACLE = ModelConfig(provider="oracle", name="oracle")


async def test_a_server_answers_instead_of_the_oracle(
    write_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_KEY", "secret-of-the-lab")
    tasks = [
        {"id": "right", "question": "?", "expect": {"output": "served"}},
        {"id": "wrong", "question": "?", "expect": {"output": "ok"}, "oracle": {"answers": [{"text": "ok"}]}},
    ]
    script = Script.model_validate({"answers": [{"text": "served"}]})
    async with ScriptServer() as server:
        url = server.add(script, api_key="secret-of-the-lab")
        model = ModelConfig(name="served-model", base_url=url, api_key_env="LAB_KEY")
        suite = load_suite(write_suite(tasks=tasks))
        plan = ComparisonPlan(suite=suite, backends=("custom",), model=model, out=tmp_path / "out")
        comparison = await compare(plan, on_cell=lambda *_: None)
        assert len(server.requests(url)) == 4, "the warm-up asks nothing of a real model"
    assert {(cell.task, cell.passed) for cell in comparison.cells} == {("right", True), ("wrong", False)}
    assert {cell.model for cell in comparison.cells} == {"openai:served-model"}
    assert "a real model answered" in summarise(comparison).note
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"secret-of-the-lab" not in path.read_bytes(), f"{path} holds the key"


class WithoutStreams:
    """A server that answers whole, whatever it is asked for."""

    def __init__(self) -> None:
        self._model = ScriptedModel(Script.model_validate({"answers": [{"text": "other"}]}))

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        return self._model.reply({**request, "stream": False}, key)


async def test_a_server_that_ignores_stream_is_named(write_suite: Callable[..., Path], tmp_path: Path) -> None:
    tasks = [
        {"id": name, "question": "?", "expect": {"output": "ok"}, "stream": streamed}
        for name, streamed in (("streamed", True), ("whole", False))
    ]
    async with ScriptServer() as server:
        model = ModelConfig(name="m", base_url=server.add(WithoutStreams()))
        plan = ComparisonPlan(
            suite=load_suite(write_suite(tasks=tasks)),
            backends=("custom",),
            handlings=("unified",),
            model=model,
            out=tmp_path / "out",
        )
        comparison = await compare(plan, on_cell=lambda *_: None)
    told = {cell.task: STREAM_IGNORED in cell.reasons for cell in comparison.cells}
    assert told == {"streamed": True, "whole": False}


@pytest.mark.parametrize("of_server", [True, False])
@pytest.mark.parametrize("with_oracle", [True, False])
async def test_every_handling_is_warm_before_the_first_cell(
    of_server: bool,
    with_oracle: bool,
    write_suite: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task: dict[str, Any] = {"id": "one", "question": "?", "expect": {"output": "ok"}}
    if with_oracle:
        task["oracle"] = {"answers": [{"text": "ok"}]}
    suite = load_suite(write_suite(tasks=[task]))
    start = Start(
        backend="custom",
        suite=suite.source,
        digest=suite.digest,
        model=ModelConfig(name="m", base_url="http://127.0.0.1:9/v1") if of_server else ORACLE,
        handlings=("unified", "native"),
        scratch=tmp_path,
        details=tmp_path,
        timeout=10.0,
    )
    ran: list[tuple[Any, type]] = []
    attempt = CellRunner.attempt

    async def noting(self: CellRunner, task: Any, handling: Any, model: Any, run_id: str) -> Any:
        outcome = await attempt(self, task, handling, model, run_id)
        ran.append((handling, type(model)))
        assert outcome.result is not None
        assert outcome.result.output == "ok"
        return outcome

    monkeypatch.setattr(CellRunner, "attempt", noting)
    await warm_up(load_cell_runner(start, suite, {}), ["unified"])
    assert set(ran) == {("unified", ModelConfig if of_server else ScriptedModel)}
    assert 1 < len(ran) <= 1 + MAX_RUNS
