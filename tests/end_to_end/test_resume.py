"""Runs that go on: answered from their journal, in the same framework or another, and stopped where they differ."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support import BACKENDS, PAIRS, asks_for, make_script, run_once, scripted_model
from unified_agents import (
    NEVER_RAN,
    Agent,
    ConfigError,
    DivergenceError,
    ImagePart,
    JournalError,
    Limits,
    MemoryJournal,
    Message,
    RunBusyError,
    RunError,
    RunNotFoundError,
    RunResult,
    ScriptedModel,
    SqliteJournal,
    Tool,
    ToolContext,
    UnsupportedCapabilityError,
    approve,
    create_agent,
    deny,
    edit,
    finished,
    tool,
)
from unified_agents.journal.lease import Lease
from unified_agents.journal.protocol import Addition
from unified_agents.journal.rows import AnswerRow, Row, ToolEndRow, ToolStartRow


class Witness:
    """Tools that note each call, and a model that counts its requests."""

    def __init__(self, *answers: Any) -> None:
        self.sent: list[int] = []
        self.keys: list[str] = []
        self.model = ScriptedModel(make_script(*answers))
        self.requests = 0
        self.fails_at: int | None = None
        self.send = Tool(
            name="send",
            description="Send a number.",
            parameters={"properties": {"n": {"type": "integer"}}, "required": ["n"]},
            handler=self._send,
        )

    async def _send(self, n: int, context: ToolContext) -> dict[str, int]:
        self.sent.append(n)
        self.keys.append(context.idempotency_key)
        context.state["last"] = n
        return {"sent": n}

    def reply(self, request: Any, key: str = "") -> Any:
        self.requests += 1
        return self.model.reply({} if self.requests == self.fails_at else request, key)  # an empty one is refused

    def forget(self, key: str) -> None:
        self.model.forget(key)


STEPS = (
    {"tool_calls": [{"name": "send", "arguments": {"n": n}} for n in (1, 2)]},
    {"text": "I go on.", "tool_calls": [{"name": "send", "arguments": {"n": 3}}]},
    {"tool_calls": [{"name": "send", "arguments": {"n": 4}}, {"name": "nobody", "arguments": {}}]},
    {"text": "Done."},
)


def agent_over(witness: Witness, journal: Any, backend: str = "custom", **options: Any) -> Agent:
    settings = {"instructions": "Be brief.", "tools": [witness.send]} | options
    return create_agent(backend=backend, model=witness, journal=journal, **settings)


def told(result: RunResult) -> list[Any]:
    return [(message.role, message.content, message.tool_calls) for message in result.messages]


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_a_failed_run_goes_on_in_another_framework(first: str, second: str) -> None:
    undisturbed = await run_once(agent_over(Witness(*STEPS), None, first))
    journal, witness = MemoryJournal(), Witness(*STEPS)
    witness.fails_at = 3
    with pytest.raises(RunError):
        await run_once(agent_over(witness, journal, first, limits=Limits(timeout=30)), run_id="r")
    assert witness.sent == [1, 2, 3]
    witness.fails_at = None
    before = witness.requests
    agent = agent_over(witness, journal, second)
    result = await agent.resume("r")
    await agent.aclose()
    assert witness.requests == before + 2
    assert witness.sent == [1, 2, 3, 4]
    assert len(set(witness.keys)) == 4
    assert (result.status, result.backend, result.output) == ("completed", second, "Done.")
    assert told(result) == told(undisturbed)
    assert [(call.ok, call.content, call.reached) for call in result.tool_calls] == [
        (call.ok, call.content, call.reached) for call in undisturbed.tool_calls
    ]
    assert result.usage == undisturbed.usage
    assert [error.kind for error in result.errors] == ["tool_not_found"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_completed_run_is_returned_without_a_request(backend: str) -> None:
    journal, witness = MemoryJournal(), Witness(*STEPS)
    whole = await run_once(agent_over(witness, journal), run_id="r")
    agent = agent_over(witness, journal, backend)
    again = await agent.resume("r")
    await agent.aclose()
    assert witness.requests == 4
    assert told(again) == told(whole)
    assert (again.status, again.output, again.usage) == (whole.status, whole.output, whole.usage)
    assert again.finish_reason == whole.finish_reason == "stop"


async def test_rows_are_committed_before_and_after_each_call() -> None:
    journal, seen = MemoryJournal(), []

    @tool
    async def look(n: int, context: ToolContext) -> int:
        seen.append([type(row) for row in await journal.read("r")])
        return n

    model = scripted_model(asks_for("look", n=1), {"text": "x"})
    await run_once(create_agent(model=model, tools=[look], journal=journal), run_id="r")
    assert [kind.__name__ for kind in seen[0]] == ["RunRow", "AnswerRow", "ToolStartRow"]
    kinds = [type(row).__name__ for row in await journal.read("r")]
    assert kinds == ["RunRow", "AnswerRow", "ToolStartRow", "ToolEndRow", "AnswerRow", "EndRow"]


class Dying(MemoryJournal):
    """A journal that stops taking rows, as the process of its run would at that moment."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def append(self, lease: Lease, rows: Any, *, release: bool = False, also: Addition | None = None) -> Any:
        if not release and self.left <= 0:
            raise JournalError("the machine is gone")
        self.left -= not release
        return super().append(lease, [row for row in rows if not release], release=release, also=also)


async def in_flight(witness: Witness) -> MemoryJournal:
    """Return the journal of a run whose process died between the start row and the end row of its first call."""
    journal = Dying(1)
    with pytest.raises(JournalError, match="the machine is gone"):
        await run_once(agent_over(witness, journal), run_id="r")
    journal.left = 1000
    assert witness.sent == [1]
    assert [type(row) for row in await journal.read("r")][-1] is ToolStartRow
    return journal


ONE_CALL = (asks_for("send", n=1), {"text": "Done."})


def remade(witness: Witness, **options: Any) -> Tool:
    made = witness.send
    return Tool(name=made.name, parameters=made.parameters, handler=witness._send, **options)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_call_in_flight_runs_again_under_its_key_where_its_tool_is_idempotent(backend: str) -> None:
    witness = Witness(*ONE_CALL)
    journal = await in_flight(witness)
    agent = agent_over(witness, journal, backend, tools=[remade(witness, idempotent=True)])
    result = await agent.resume("r")
    await agent.aclose()
    assert result.output == "Done."
    assert witness.sent == [1, 1]
    assert len(set(witness.keys)) == 1


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_call_in_flight_suspends_the_run_where_its_tool_is_not(backend: str) -> None:
    witness = Witness(*ONE_CALL)
    journal = await in_flight(witness)
    agent = agent_over(witness, journal, backend)
    for _ in range(2):
        waits = await agent.resume("r")
        assert (waits.status, waits.output) == ("suspended", None)
        assert [(call.name, call.reason, call.arguments) for call in waits.pending] == [
            ("send", "in_flight", '{"n":1}')
        ]
        assert waits.errors[-1].kind == "suspended"
    assert witness.sent == [1]
    done = await agent.resume("r", decisions={waits.pending[0].id: finished({"sent": 1})})
    assert (done.status, done.output, done.pending) == ("completed", "Done.", ())
    assert done.tool_calls[0].content == '{"sent":1}'
    assert witness.sent == [1]
    await agent.aclose()


@pytest.mark.parametrize(
    ("found", "sent", "content"), [({"sent": 1}, [1], '{"sent":1}'), (NEVER_RAN, [1, 1], '{"sent":1}')]
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_tool_may_find_out_what_became_of_a_call(
    found: object, sent: list[int], content: str, is_async: bool
) -> None:
    asked = []

    def recover(key: str) -> object:
        asked.append(key)
        return found

    async def recover_later(key: str) -> object:
        return recover(key)

    witness = Witness(*ONE_CALL)
    journal = await in_flight(witness)
    agent = agent_over(witness, journal, tools=[remade(witness, recover=recover_later if is_async else recover)])
    result = await agent.resume("r")
    await agent.aclose()
    assert asked == witness.keys[:1]
    assert (result.status, witness.sent, result.tool_calls[0].content) == ("completed", sent, content)


async def test_a_tool_that_cannot_find_out_leaves_it_to_somebody() -> None:
    def recover(key: str) -> object:
        raise OSError("no connection")

    witness = Witness(*ONE_CALL)
    journal = await in_flight(witness)
    agent = agent_over(witness, journal, tools=[remade(witness, recover=recover)])
    assert [call.reason for call in (await agent.resume("r")).pending] == ["in_flight"]
    await agent.aclose()
    assert witness.sent == [1]


async def test_a_changed_tool_is_named_before_anything_runs() -> None:
    witness = Witness(*ONE_CALL)
    journal = await in_flight(witness)
    other = Tool(name="send", parameters={"properties": {"m": {"type": "integer"}}}, handler=witness._send)
    for tools, words in (([other], "schema of tool 'send' has changed"), ([], "tool 'send' is gone")):
        agent = agent_over(witness, journal, tools=tools)
        with pytest.raises(DivergenceError, match=words) as caught:
            await agent.resume("r")
        assert caught.value.kind == "divergence"
        await agent.aclose()
    assert witness.requests == 1
    agent = agent_over(witness, journal, tools=[remade(witness, idempotent=True)])
    assert (await agent.resume("r")).status == "completed"  # the run was given back
    await agent.aclose()


async def test_other_instructions_are_a_divergence_which_names_the_place() -> None:
    witness = Witness(*ONE_CALL)
    journal = await in_flight(witness)
    agent = agent_over(witness, journal, instructions="Be long.", tools=[remade(witness, idempotent=True)])
    with pytest.raises(DivergenceError, match=r"step 0, at message 1 \(system\): it was 'Be brief.', and now is 'Be l"):
        await agent.resume("r")
    assert witness.sent == [1]
    result = await agent.resume("r", on_divergence="continue")
    await agent.aclose()
    assert (result.status, witness.sent) == ("completed", [1, 1])


async def test_an_unknown_run_and_one_that_is_driven_are_refused() -> None:
    started, goes_on = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> str:
        started.set()
        await goes_on.wait()
        return "x"

    model = scripted_model(asks_for("wait"), {"text": "Done."})
    agent = create_agent(model=model, tools=[wait], journal=MemoryJournal())
    with pytest.raises(RunNotFoundError, match="nobody"):
        await agent.resume("nobody")
    running = asyncio.create_task(agent.run("Go.", run_id="r"))
    await started.wait()
    with pytest.raises(RunBusyError):
        await agent.resume("r")
    with pytest.raises(RunBusyError):
        await agent.run("Go.", run_id="r")
    goes_on.set()
    assert (await running).output == "Done."
    await agent.aclose()


async def test_a_cancelled_run_is_given_back_and_goes_on(tmp_path: Path) -> None:
    started = asyncio.Event()
    is_second = False

    @tool(idempotent=True)
    async def wait() -> str:
        started.set()
        if not is_second:
            await asyncio.sleep(60)
        return "x"

    model = scripted_model(asks_for("wait"), {"text": "Done."})
    agent = create_agent(model=model, tools=[wait], journal=tmp_path / "runs.db")
    running = asyncio.create_task(agent.run("Go.", run_id="r"))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    is_second = True
    assert (await agent.resume("r")).output == "Done."
    await agent.aclose()


async def test_a_run_at_a_limit_goes_on_with_a_wider_one() -> None:
    journal, witness = MemoryJournal(), Witness(*STEPS)
    agent = agent_over(witness, journal, limits=Limits(max_steps=2))
    assert (await agent.run("Go.", run_id="r")).status == "limit"
    assert (await agent.resume("r")).status == "limit"
    assert witness.requests == 2
    result = await agent.resume("r", limits=Limits(max_steps=4))
    await agent.aclose()
    assert (result.status, witness.sent, witness.requests) == ("completed", [1, 2, 3, 4], 4)


async def test_the_state_of_tools_goes_on() -> None:
    journal, witness = MemoryJournal(), Witness(*STEPS)
    witness.fails_at = 2
    seen: list[Any] = []

    async def send(n: int, context: ToolContext) -> int:
        seen.append(context.state.get("last"))
        return n

    with pytest.raises(RunError):
        await run_once(agent_over(witness, journal, limits=Limits(timeout=30)), run_id="r")
    later = Tool(name="send", parameters=witness.send.parameters, handler=send)
    agent = agent_over(witness, journal, tools=[later])
    await agent.resume("r")
    await agent.aclose()
    assert seen[0] == 2


async def test_images_and_original_turns_come_back(tmp_path: Path) -> None:
    @tool
    async def draw() -> list[Any]:
        return ["Look:", ImagePart.from_bytes(b"png")]

    given = [
        {"role": "user", "content": "Go."},
        {
            "role": "assistant",
            "content": "Yes.",
            "original": {"protocol": "p", "endpoint": "e", "model": "m", "body": {}},
        },
        {"role": "user", "content": [{"type": "text", "text": "On."}]},
    ]
    model = scripted_model(asks_for("draw"), {"text": "Done."})
    agent = create_agent(model=model, tools=[draw], journal=tmp_path / "runs.db")
    whole = await agent.run(given, run_id="r")
    again = await agent.resume("r")
    await agent.aclose()
    assert again.messages == whole.messages
    assert again.messages[1].original == given[1]["original"]


async def test_a_journal_needs_handling_unified() -> None:
    with pytest.raises(UnsupportedCapabilityError, match="a journal needs"):
        create_agent(model=scripted_model({"text": "x"}), handling="native", journal=MemoryJournal())


async def test_resume_without_a_journal_says_what_to_give() -> None:
    agent = create_agent(model=scripted_model({"text": "x"}))
    with pytest.raises(ConfigError, match="needs a journal"):
        await agent.resume("r")
    await agent.aclose()


APPROVALS = (
    {"tool_calls": [{"name": "send", "arguments": {"n": n}} for n in (1, 2, 3)]},
    {"text": "Done."},
)


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_a_call_waits_for_approval_and_goes_on_in_another_framework(first: str, second: str) -> None:
    journal, witness = MemoryJournal(), Witness(*APPROVALS)
    tools = [remade(witness, approval=lambda arguments: arguments["n"] > 1)]
    waits = await run_once(agent_over(witness, journal, first, tools=tools), run_id="r")
    assert waits.status == "suspended"
    assert [(call.arguments, call.reason) for call in waits.pending] == [
        ('{"n":2}', "approval"),
        ('{"n":3}', "approval"),
    ]
    assert set(witness.sent) <= {1}
    two, three = (call.id for call in waits.pending)
    agent = agent_over(witness, journal, second, tools=tools)
    half = await agent.resume("r", decisions={two: approve()})
    assert [call.id for call in half.pending] == [three]
    assert sorted(witness.sent) == [1, 2]
    with pytest.raises(ConfigError, match="used once"):
        await agent.resume("r", decisions={two: approve()})
    done = await agent.resume("r", decisions={three: deny("Three is too many.")})
    await agent.aclose()
    assert (done.status, done.output) == ("completed", "Done.")
    assert sorted(witness.sent) == [1, 2]
    assert "Three is too many." in (done.tool_calls[2].content or "")
    assert witness.requests == 2


async def test_a_call_may_be_edited() -> None:
    journal, witness = MemoryJournal(), Witness(*ONE_CALL)
    agent = agent_over(witness, journal, tools=[remade(witness, approval="always")])
    (waits,) = (await agent.run("Go.", run_id="r")).pending
    with pytest.raises(ConfigError, match="decisions: tool 'send'"):
        await agent.resume("r", decisions={waits.id: edit({"n": "x"})})
    result = await agent.resume("r", decisions={waits.id: edit({"n": 7})})
    await agent.aclose()
    assert witness.sent == [7]
    assert result.tool_calls[0].content == '{"sent":7}'


async def test_a_decision_outlives_the_process_that_took_it() -> None:
    journal, witness = MemoryJournal(), Witness(*ONE_CALL)
    agent = agent_over(witness, journal, tools=[remade(witness, approval="always")])
    (waits,) = (await agent.run("Go.", run_id="r")).pending
    changed = agent_over(witness, journal, tools=[remade(witness, approval="always")], instructions="Other.")
    with pytest.raises(DivergenceError):
        await changed.resume("r", decisions={waits.id: approve()})
    with pytest.raises(ConfigError, match="decided already"):
        await agent.resume("r", decisions={waits.id: deny()})
    assert (await agent.resume("r")).status == "completed"
    assert witness.sent == [1]
    await agent.aclose()
    await changed.aclose()


async def test_a_call_with_wrong_arguments_needs_no_approval() -> None:
    witness = Witness(asks_for("send", n="x"), {"text": "Done."})
    agent = agent_over(witness, MemoryJournal(), tools=[remade(witness, approval="always")])
    result = await run_once(agent)
    assert (result.status, result.tool_calls[0].ok, witness.sent) == ("completed", False, [])


async def test_an_approval_that_raises_asks() -> None:
    witness = Witness(*ONE_CALL)
    agent = agent_over(witness, MemoryJournal(), tools=[remade(witness, approval=lambda arguments: 1 / 0 > 1)])
    assert (await run_once(agent)).status == "suspended"


async def test_approval_without_a_journal_is_refused() -> None:
    witness = Witness(*ONE_CALL)
    with pytest.raises(ConfigError, match="needs a journal"):
        agent_over(witness, None, tools=[remade(witness, approval="always")])


async def test_what_runs_may_end_before_a_run_is_suspended() -> None:
    ended = []

    @tool
    async def slow() -> str:
        await asyncio.sleep(0.05)
        ended.append(1)
        return "x"

    @tool(approval="always")
    async def ask() -> str:
        return "y"

    calls = {"tool_calls": [{"name": "slow", "arguments": {}}, {"name": "ask", "arguments": {}}]}
    journal = MemoryJournal()
    for backend in BACKENDS:
        agent = create_agent(
            backend=backend, model=scripted_model(calls, {"text": "Done."}), tools=[slow, ask], journal=journal
        )
        waits = await agent.run("Go.", run_id=backend)
        done = await agent.resume(backend, decisions={waits.pending[0].id: approve()})
        await agent.aclose()
        assert [call.name for call in waits.pending] == ["ask"]
        assert done.output == "Done."
        rows = [row for row in await journal.read(backend) if isinstance(row, ToolEndRow)]
        assert len(rows) == 2
    assert len(ended) == len(BACKENDS)


async def test_agents_of_one_process_share_a_file(tmp_path: Path) -> None:
    model = scripted_model({"text": "x"})
    agents = [create_agent(model=model, journal=str(tmp_path / "runs.db")) for _ in range(3)]
    await asyncio.gather(*(agent.run("Go.") for agent in agents for _ in range(5)))
    for agent in agents:
        await agent.aclose()
    journal = SqliteJournal(tmp_path / "runs.db")
    assert [info.status for info in await journal.runs()] == ["completed"] * 15
    await journal.aclose()


async def test_the_journal_of_a_run_tells_what_it_was_given() -> None:
    journal = MemoryJournal()
    agent = create_agent(model=scripted_model({"text": "x"}), journal=journal, name="me")
    await run_once(agent, "Go.", run_id="r")
    first, answer, *_ = await journal.read("r")
    rows: list[Row] = [first, answer]
    assert rows[0] == first
    assert getattr(first, "agent", None) == "me"
    assert getattr(first, "messages", None) == (Message(role="user", content="Go."),)
    assert isinstance(answer, AnswerRow)
    assert answer.text == "x"
