"""The contract: names that providers do not take, and text that cannot be encoded."""

from __future__ import annotations

import pytest

from unified_agents.backend import Capability
from unified_agents.errors import InvalidInputError
from unified_agents.messages import Message, Task
from unified_agents.testing.contract import Contract, needs, whole_and_streamed
from unified_agents.testing.harness import ContractBench, answer, call, calls
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool

HALF_PAIR = "\ud83d"
WHOLE_PAIR = "\U0001f600"


class _NamedTools:
    """Makes tools of any name, and keeps the names of those that ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def tool(self, name: str) -> Tool:
        async def run(n: int) -> int:
            self.ran.append(name)
            return n

        return tool(run, name=name)


class OwnNameContract(Contract, needs=(Capability.TOOLS,)):
    """Tools that go out under another name than their own."""

    @whole_and_streamed
    async def test_a_tool_is_found_by_its_own_name(self, bench: ContractBench, stream: bool) -> None:
        """A call by the tool's own name runs it where it goes out under a mapped one; twice, and beside others."""
        named = _NamedTools()
        _, result = await bench.complete(
            calls(call("db.query", {"n": 1}), call("db_query", {"n": 2}), call("größe", {"n": 3})),
            answer("It is {0}, {1} and {2}.", (0, 0), (0, 1), (0, 2)),
            tools=[named.tool("db.query"), named.tool("größe")],
            stream=stream,
        )
        assert result.output == "It is 1, 2 and 3."
        assert sorted(named.ran) == ["db.query", "db.query", "größe"]
        assert [record.name for record in result.tool_calls] == ["db.query", "db.query", "größe"]
        assert not result.errors

    async def test_the_name_that_is_offered_comes_first(self, bench: ContractBench) -> None:
        """A name that is offered means the tool which is offered under it, whatever another's own name is."""
        named = _NamedTools()
        await bench.complete(
            calls(call("db_query", {"n": 1})),
            calls(call("db.query", {"n": 2})),
            answer("Done."),
            tools=[named.tool("db.query"), named.tool("db_query")],
        )
        assert named.ran == ["db_query", "db.query"]

    async def test_arguments_of_a_call_by_own_name(self, bench: ContractBench) -> None:
        """Arguments that do not fit are refused as ever, and a name that no tool has stays unknown."""
        named = _NamedTools()
        scenario, result = await bench.complete(
            calls(call("db.query", {"n": "one"}), call("db.query", "{broken"), call("db.querry", {"n": 1})),
            answer("Done."),
            tools=[named.tool("db.query")],
        )
        assert named.ran == []
        assert [error.kind for error in result.errors].count("invalid_input") == 2
        invalid, _, unknown = scenario.tool_results()
        assert "the arguments of tool 'db.query' are not valid" in invalid
        assert unknown == "Error: there is no tool 'db.querry'. The closest names: db_query."


class UnsendableContract(Contract):
    """Text that cannot be encoded."""

    @pytest.mark.parametrize("form", ["text", "message", "part"])
    async def test_half_a_pair_in_the_task(self, bench: ContractBench, form: str) -> None:
        """Half a surrogate pair in the task is refused in one line, and nothing goes out."""
        tasks: dict[str, Task] = {
            "text": f"Look: {HALF_PAIR}",
            "message": [Message(role="user", content=HALF_PAIR)],
            "part": [{"role": "user", "content": [{"type": "text", "text": HALF_PAIR}]}],
        }
        scenario = bench.scenario(answer("Done."))
        with pytest.raises(InvalidInputError, match="cannot be sent") as caught:
            await scenario.agent.run(tasks[form])
        assert str(caught.value).isascii()
        assert len(str(caught.value).splitlines()) == 1
        assert not scenario.sent

    async def test_half_a_pair_in_the_instructions(self, bench: ContractBench) -> None:
        """Half a surrogate pair in the instructions is refused too, and nothing goes out."""
        scenario = bench.scenario(answer("Done."), instructions=f"Be {HALF_PAIR}")
        with pytest.raises(InvalidInputError, match="the instructions cannot be sent"):
            await scenario.agent.run("Do it.")
        assert not scenario.sent

    async def test_a_whole_pair_is_sent(self, bench: ContractBench) -> None:
        """A whole pair, a character beyond the first 65,536, reaches the model and comes back."""
        scenario, result = await bench.complete(answer(WHOLE_PAIR), instructions=WHOLE_PAIR, task=WHOLE_PAIR)
        assert result.output == WHOLE_PAIR
        assert [message["content"] for message in scenario.sent[0]["messages"]] == [WHOLE_PAIR, WHOLE_PAIR]

    @needs(Capability.TOOLS)
    async def test_half_a_pair_in_a_result(self, bench: ContractBench) -> None:
        """Half a pair in what a tool returns or raises becomes U+FFFD, and the run goes on."""

        @tool
        async def text() -> str:
            return f"a{HALF_PAIR}b"

        @tool
        async def values() -> dict[str, list[str]]:
            return {HALF_PAIR: [HALF_PAIR, WHOLE_PAIR]}

        @tool
        async def fails() -> None:
            raise ValueError(f"no {HALF_PAIR}")

        scenario, result = await bench.complete(
            calls(call("text"), call("values"), call("fails")), answer("Done."), tools=[text, values, fails]
        )
        assert scenario.tool_results() == [
            "a\ufffdb",
            f'{{"\ufffd":["\ufffd","{WHOLE_PAIR}"]}}',
            "Error in tool 'fails': ValueError: no \ufffd",
        ]
        assert result.model_dump_json()
