"""A trace and a comparison show themselves in a notebook, which nbclient executes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import run_program

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

TRACE = """
from unified_agents import Script, ScriptedModel, create_agent
async with create_agent(model=ScriptedModel(Script(answers=[{"text": "done"}])), name="<b>bold</b>") as agent:
    result = await agent.run("Go.")
result.trace
"""
COMPARISON = """
from pathlib import Path
from unified_agents_comparisons.report.summary import read_summary
summary = read_summary(Path("out"))
summary
"""
HOSTILE = """
summary.model_copy(update={"suite": "<script>alert(1)</script>", "model": "</table><img src=x onerror=alert(1)>"})
"""


def executed(folder: Path, *cells: str) -> list[str]:
    """Execute a notebook, and return the HTML that each cell shows."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}}).execute()
    return ["".join(output["data"]["text/html"] for output in cell.outputs) for cell in notebook.cells]


@pytest.mark.timeout(240)
def test_a_trace_and_a_comparison_show_themselves(tmp_path: Path) -> None:
    chosen = ("--backends", "custom", "--handling", "unified", "--tasks", "add-two-*", "--out", tmp_path / "out")
    assert run_program("compare", "quickstart", *chosen).returncode == 0
    trace, comparison, hostile = executed(tmp_path, TRACE, COMPARISON, HOSTILE)
    assert "invoke_agent &lt;b&gt;bold&lt;/b&gt;" in trace
    assert "<td>custom</td><td>unified</td><td>1/1</td>" in comparison
    assert "Every cell under unified handling passed." in comparison
    assert not re.search("<script|<img", hostile)
    assert "&lt;script&gt;alert(1)" in hostile


@pytest.mark.timeout(240)
def test_a_notebook_that_fails_is_seen(tmp_path: Path) -> None:
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="holds no summary"):
        executed(tmp_path, COMPARISON)
