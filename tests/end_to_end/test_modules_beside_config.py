"""Modules named in an agent's file are found beside that file, wherever the command is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support import run_program
from unified_agents import ConfigError, create_agent

TOOLS = "from tools_helper import NUMBER\ndef one() -> int:\n    return NUMBER\n"
ANSWERS = """\
answers:
- tool_calls: [{name: one, arguments: {}}]
- text: {$template: "It is {0}", values: [{$result: {step: 0, index: 0}}]}
"""


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "tools_beside_it.py").write_text(TOOLS, encoding="utf-8")
    (folder / "tools_helper.py").write_text("NUMBER = 7\n", encoding="utf-8")
    (folder / "answers.yaml").write_text(ANSWERS, encoding="utf-8")
    path = folder / "agent.yaml"
    path.write_text("model: script:answers.yaml\ntools: [tools_beside_it:one]\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "conf/agent.yaml", "x"), "It is 7"),
        (("tools", "check", "conf/agent.yaml", "--backends", "custom"), "custom"),
    ],
)
def test_the_command_line_looks_beside_the_file(arguments: tuple[str, ...], told: str, agent: Path) -> None:
    done = run_program(*arguments, cwd=agent.parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout


def test_in_python_the_path_decides(agent: Path) -> None:
    before = list(sys.path)
    with pytest.raises(
        ConfigError, match=r"importing tools_beside_it failed: .*; install it, or put the folder"
    ) as caught:
        create_agent(agent)
    assert len(str(caught.value).splitlines()) == 1
    assert sys.path == before


def test_what_a_module_itself_lacks_is_told_without_that(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(agent.parent)
    (agent.parent / "tools_helper.py").write_text("import no_such_package\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"No module named 'no_such_package'$"):
        create_agent(agent)
