"""A comparison whose model is a server, not the suite's oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unified_agents.config import ModelConfig
from unified_agents.scripted.model import Script
from unified_agents.scripted.server import ScriptServer
from unified_agents_comparisons.execution.comparison import compare
from unified_agents_comparisons.execution.plan import ComparisonPlan
from unified_agents_comparisons.loading import load_suite
from unified_agents_comparisons.report.summary import summarise


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
