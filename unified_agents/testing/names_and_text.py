"""The contract: what is said wrongly, and what is meant by it."""

from __future__ import annotations

import pytest

from unified_agents.backend import Capability
from unified_agents.errors import InvalidInputError
from unified_agents.messages import Message, Task
from unified_agents.testing.contract import Contract, either_way, needs
from unified_agents.testing.harness import Bench, call, calls, say
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool

_HALF = "\ud83d"
_WHOLE = "\U0001f600"


class _Mapped:
    """Tools whose names no provider takes, or nearly so, and which of them ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def tool(self, name: str) -> Tool:
        async def run(n: int) -> int:
            self.ran.append(name)
            return n

        return tool(run, name=name)


class OwnNameContract(Contract, needs=(Capability.TOOLS,)):
    """Tools that go out under another name than their own."""

    @either_way
    async def test_a_tool_is_found_by_its_own_name(self, bench: Bench, stream: bool) -> None:
        """A call by the tool's own name runs it where it goes out under a mapped one; twice, and beside others."""
        mapped = _Mapped()
        stage = bench.stage(
            calls(call("db.query", {"n": 1}), call("db_query", {"n": 2}), call("größe", {"n": 3})),
            say("It is {0}, {1} and {2}.", (0, 0), (0, 1), (0, 2)),
            tools=[mapped.tool("db.query"), mapped.tool("größe")],
            stream=stream,
        )
        result = await stage.completes()
        assert result.output == "It is 1, 2 and 3."
        assert sorted(mapped.ran) == ["db.query", "db.query", "größe"]
        assert [record.name for record in result.tool_calls] == ["db.query", "db.query", "größe"]
        assert not result.errors

    async def test_the_name_that_is_offered_comes_first(self, bench: Bench) -> None:
        """A name that is offered means the tool which is offered under it, whatever another's own name is."""
        mapped = _Mapped()
        stage = bench.stage(
            calls(call("db_query", {"n": 1})),
            calls(call("db.query", {"n": 2})),
            say("Done."),
            tools=[mapped.tool("db.query"), mapped.tool("db_query")],
        )
        await stage.completes()
        assert mapped.ran == ["db_query", "db.query"]

    async def test_arguments_of_a_call_by_own_name(self, bench: Bench) -> None:
        """What does not fit is told as ever, and a name that is nobody's stays unknown."""
        mapped = _Mapped()
        stage = bench.stage(
            calls(call("db.query", {"n": "one"}), call("db.query", "{broken"), call("db.querry", {"n": 1})),
            say("Done."),
            tools=[mapped.tool("db.query")],
        )
        result = await stage.completes()
        assert mapped.ran == []
        assert [error.kind for error in result.errors].count("invalid_input") == 2
        told = stage.told()
        assert "the arguments of tool 'db.query' are not valid" in told[0]
        assert told[2] == "Error: there is no tool 'db.querry'. The closest names: db_query."


class UnsendableContract(Contract):
    """Text that no encoding has a place for."""

    @pytest.mark.parametrize("form", ["text", "message", "part"])
    async def test_half_a_pair_in_the_task(self, bench: Bench, form: str) -> None:
        """Half a surrogate pair in the task is refused in one line, and nothing goes out."""
        tasks: dict[str, Task] = {
            "text": f"Look: {_HALF}",
            "message": [Message(role="user", content=_HALF)],
            "part": [{"role": "user", "content": [{"type": "text", "text": _HALF}]}],
        }
        stage = bench.stage(say("Done."))
        with pytest.raises(InvalidInputError, match="cannot be sent") as caught:
            await stage.agent.run(tasks[form])
        assert str(caught.value).isascii()
        assert len(str(caught.value).splitlines()) == 1
        assert not stage.sent

    async def test_half_a_pair_in_the_instructions(self, bench: Bench) -> None:
        """Likewise in the instructions."""
        stage = bench.stage(say("Done."), instructions=f"Be {_HALF}")
        with pytest.raises(InvalidInputError, match="the instructions cannot be sent"):
            await stage.agent.run("Do it.")
        assert not stage.sent

    async def test_a_whole_pair_is_sent(self, bench: Bench) -> None:
        """A character beyond the first 65,536 is none of that: it reaches the model, and comes back."""
        stage = bench.stage(say(_WHOLE), instructions=_WHOLE)
        result = await stage.completes(_WHOLE)
        assert result.output == _WHOLE
        assert [message["content"] for message in stage.sent[0]["messages"]] == [_WHOLE, _WHOLE]

    @needs(Capability.TOOLS)
    async def test_half_a_pair_in_a_result(self, bench: Bench) -> None:
        """In what a tool returns or raises it becomes U+FFFD, and the run goes on."""

        @tool
        async def text() -> str:
            return f"a{_HALF}b"

        @tool
        async def values() -> dict[str, list[str]]:
            return {_HALF: [_HALF, _WHOLE]}

        @tool
        async def fails() -> None:
            raise ValueError(f"no {_HALF}")

        stage = bench.stage(
            calls(call("text"), call("values"), call("fails")), say("Done."), tools=[text, values, fails]
        )
        result = await stage.completes()
        assert stage.told() == [
            "a\ufffdb",
            f'{{"\ufffd":["\ufffd","{_WHOLE}"]}}',
            "Error in tool 'fails': ValueError: no \ufffd",
        ]
        assert result.model_dump_json()
