"""What some providers refuse in a tool is told before one does."""

from __future__ import annotations

from typing import Any

import pytest

from support import run_program
from unified_agents import ConfigError, Tool, check_tools
from unified_agents.fidelity.provider_bounds import provider_cautions


def made(name: str = "t", description: str = "d", **properties: Any) -> Tool:
    return Tool(
        name=name, description=description, parameters={"properties": properties}, handler=lambda **given: given
    )


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (made(description="d" * 1_024), ()),
        (made(description="d" * 1_025), ("may be refused: its description has 1,025 characters; OpenAI takes 1,024",)),
        (made(description=" "), ("it has no description: the model is told its name and its arguments alone",)),
        (made(x={"type": "string", "pattern": "^[a-z]+$"}), ()),
        (
            made(x={"type": "array", "items": {"anyOf": [{"type": "string", "pattern": r"^[\p{L}_]+$"}]}}),
            (
                r"may be refused: the pattern at /parameters/properties/x/items/anyOf/0 has \p{…}, which several"
                " providers' engines do not know",
            ),
        ),
        (
            made(x={"type": "object", "patternProperties": {r"\P{Lu}": {}}}),
            (
                r"may be refused: the pattern at /parameters/properties/x/patternProperties has \p{…}, which several"
                " providers' engines do not know",
            ),
        ),
        (made(pattern={"type": "string"}), ()),
        (made(**{"page.size-max_1": {}}), ()),
        (
            made(**{"filter[name]": {}}),
            ("may be refused: Anthropic takes no argument 'filter[name]': up to 64 letters, digits, _, . and -",),
        ),
    ],
)
def test_what_some_providers_refuse(tool: Tool, expected: tuple[str, ...]) -> None:
    assert provider_cautions([tool]).get("t", ()) == expected


async def test_too_many_tools_are_told() -> None:
    report = await check_tools([made(f"t{number}") for number in range(129)], backends=["custom"])
    assert [*report.cautions] == ["*"]
    assert "129 tools; OpenAI takes 128" in report.cautions["*"][0]


def test_the_command_prints_it_and_passes(tmp_path: Any) -> None:
    text = f"from unified_agents import tool\n\n@tool\ndef long() -> str:\n    '''{'d' * 2_000}.'''\n    return ''\n"
    (tmp_path / "mine.py").write_text(text)
    done = run_program("tools", "check", "mine", "--backends", "custom", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "long: may be refused: its description has 2,001 characters" in " ".join(done.stdout.split())


async def test_whatever_an_agent_takes_can_be_checked() -> None:
    def plain(a: int) -> int:
        """Plain."""
        return a

    entries = ["examples.tools:population", plain, {"python": "examples.tools:percentage"}, made()]
    report = await check_tools(entries, backends=["custom"], handlings=["unified"])
    assert [row.tool for row in report.tools] == ["population", "plain", "percentage", "t"]
    with pytest.raises(ConfigError, match="two tools have the name 't'"):
        await check_tools([made(), made()], backends=["custom"])
