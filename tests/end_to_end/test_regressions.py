"""Mistakes that were once found, each tested on every backend so that it does not come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from support import run_code, scripted_model
from unified_agents import (
    BackendError,
    ConfigError,
    Limits,
    ModelConfig,
    ModelParameters,
    ModelPolicy,
    RateLimitError,
    Script,
    ScriptedModel,
    create_agent,
    tool,
)
from unified_agents.errors import BadResponseError
from unified_agents.scripted.rendering.chat_completions import JSON_TYPE
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply


@tool
def double(x: int) -> int:
    """Double a number."""
    return 2 * x


async def test_a_given_turn_is_not_taken_for_one_of_this_run(backend: str) -> None:
    answers = {"tool_calls": [{"name": "double", "arguments": {"x": 1}, "id": ""}]}, {"text": "done"}
    agent = create_agent(backend=backend, model=scripted_model(*answers), tools=[double])
    first = await agent.run("first")
    second = await agent.run([*first.messages, {"role": "user", "content": "second"}], record_exchanges=True)
    given = {call.id for message in first.messages for call in message.tool_calls}
    assert given.isdisjoint(call.id for call in second.tool_calls)
    await agent.aclose()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_tool_that_exits_is_told_and_the_run_goes_on(backend: str, kind: str) -> None:
    @tool(name="leave")
    def leave_sync(code: int) -> int:
        """Leave."""
        raise SystemExit(code)

    @tool(name="leave")
    async def leave_async(code: int) -> int:
        """Leave."""
        raise SystemExit(code)

    leave = leave_sync if kind == "sync" else leave_async
    model = scripted_model({"tool_calls": [{"name": "leave", "arguments": {"code": 3}}]}, {"text": "still here"})
    agent = create_agent(backend=backend, model=model, tools=[leave], limits=Limits(timeout=10))
    result = await agent.run("q")
    assert (result.status, result.output) == ("completed", "still here")
    assert "SystemExit" in str(result.tool_calls[0].content)
    await agent.aclose()


async def test_a_listener_that_raises_ends_the_run_by_name(backend: str) -> None:
    def listen(event: object) -> None:
        if type(event).__name__ == "ModelCallStarted":
            raise ValueError("no")

    agent = create_agent(backend=backend, model=scripted_model({"text": "hello"}))
    with pytest.raises(BackendError, match="an event listener raised ValueError: no"):
        await agent.run("q", on_event=listen)
    assert (await agent.run("q")).output == "hello"
    await agent.aclose()


async def test_an_endless_retry_after_is_refused_and_not_waited_for(backend: str) -> None:
    model = scripted_model({"fault": {"status": 429, "retry_after": 3600}}, {"text": "hello"})
    agent = create_agent(backend=backend, model=model)
    started = time.monotonic()
    with pytest.raises(RateLimitError, match="429"):
        await agent.run("q")
    with pytest.raises(RateLimitError, match="not asked"):
        await agent.run("q")
    assert time.monotonic() - started < 30
    await agent.aclose()


async def test_runs_within_a_run_share_its_limits(backend: str) -> None:
    asked = 0

    class Counting:
        def __init__(self, model: ScriptedModel) -> None:
            self._model = model

        def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
            nonlocal asked
            asked += 1
            return self._model.reply(request, key)

        def forget(self, key: str) -> None:
            self._model.forget(key)

    child = create_agent(backend=backend, model=Counting(scripted_model({"text": "child"})))

    @tool
    async def ask(number: int) -> str:
        """Ask another agent."""
        return str((await child.run(str(number))).output)

    calls = [{"name": "ask", "arguments": {"number": number}} for number in range(10)]
    outer = Counting(scripted_model({"tool_calls": calls}, {"text": "done"}))
    agent = create_agent(backend=backend, model=outer, tools=[ask], limits=Limits(max_model_calls=4))
    result = await agent.run("q")
    assert result.status == "limit"
    assert asked == 4
    await asyncio.gather(agent.aclose(), child.aclose())


def test_a_bound_of_cost_for_one_run_needs_a_price_too() -> None:
    agent = create_agent(model=scripted_model({"text": "hello"}))
    with pytest.raises(ConfigError, match="price"):
        agent.run_sync("q", limits=Limits(max_cost=1))


@pytest.mark.parametrize("handling", ["Native", "", 3])
def test_a_handling_that_is_none_is_refused(handling: Any) -> None:
    with pytest.raises(ConfigError, match="handling"):
        create_agent(model=scripted_model({"text": "hello"}), handling=handling)


class Echoing:
    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        return Reply(200, JSON_TYPE, chunks=(b"the key is s3cret-s3cret",))


async def test_a_key_that_a_server_echoes_is_in_no_error(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHOED_KEY", "s3cret-s3cret")
    async with ScriptServer() as server:
        config = ModelConfig(
            name="m",
            base_url=server.add(Echoing()),
            api_key_env="ECHOED_KEY",
            policy=ModelPolicy(attempts={}),
        )
        agent = create_agent(backend=backend, model=config)
        with pytest.raises(BadResponseError, match="the key is") as caught:
            await agent.run("q", record_exchanges=True)
        assert "s3cret" not in str(caught.value)
        assert caught.value.result is not None
        assert "s3cret" not in str(caught.value.result.to_dict())
        await agent.aclose()


@pytest.mark.parametrize("handling", ["unified", "native"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_in_an_answer_is_in_no_result(
    backend: str, handling: Any, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHOED_KEY", "sk-s3cret-s3cret-s3cret")
    async with ScriptServer() as server:
        url = server.add(Script.model_validate({"answers": [{"text": "it is sk-s3cret-s3cret-s3cret, and no more"}]}))
        config = ModelConfig(
            name="m", base_url=url, api_key_env="ECHOED_KEY", parameters=ModelParameters(stream=stream or None)
        )
        agent = create_agent(backend=backend, model=config, handling=handling)
        events: list[str] = []
        result = await agent.run("q", record_exchanges=True, on_event=lambda event: events.append(repr(event)))
        assert "it is" in (result.output or "")
        assert "and no more" in (result.output or "")
        if handling == "unified":  # natively the answer goes to the framework as it is
            assert result.output == "it is ***, and no more"
            assert "s3cret" not in str(result.to_dict()) + "".join(events)
        assert "s3cret" not in str(result.to_dict()["exchanges"])
        await agent.aclose()


def test_a_program_without_logging_is_not_talked_to() -> None:
    code = (
        "from unified_agents import Script, ScriptedModel, create_agent\n"
        "script = Script.model_validate({'answers': [{'fault': {'status': 400}}]})\n"
        "try:\n    create_agent(model=ScriptedModel(script)).run_sync('q')\n"
        "except ValueError as error:\n    print('caught', error.kind)\n"
    )
    done = run_code(code, check=True)
    assert (done.stdout, done.stderr) == ("caught bad_request\n", "")
