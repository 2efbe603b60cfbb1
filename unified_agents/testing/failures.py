"""The contract: a model's server that fails, for a while or for good."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import Any

import pytest

from unified_agents.backend import Capability
from unified_agents.config import ModelConfig
from unified_agents.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ConfigError,
    ErrorKind,
    ModelTimeoutError,
    NetworkError,
    RunError,
    ServerError,
)
from unified_agents.messages import JsonObject
from unified_agents.registry import load_backend
from unified_agents.testing.contract import Contract, needs, whole_and_streamed
from unified_agents.testing.harness import MODEL_NAME, ContractBench, Scenario, add, answer, call, calls, fault

SECRET = "sk-contract-0123456789"  # noqa: S105  # of a test server
UNUSABLE = ["empty_choices", "html", "not_json", "empty_answer"]


class FailureContract(Contract):
    """One layer of retries, on the wire: the framework's and the client's own must be off."""

    @whole_and_streamed
    async def test_a_refused_key(
        self, bench: ContractBench, stream: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """401 ends the run with one request; the error names the key's variable, and the key stands nowhere."""
        monkeypatch.setenv("CONTRACT_KEY", SECRET)
        caplog.set_level(logging.DEBUG)
        refused = fault(status=401, message=f"Incorrect API key provided: {SECRET}.", times=9)
        scenario = bench.scenario(refused, answer("Yes."), api_key_env="CONTRACT_KEY", stream=stream)
        error = await scenario.fails(AuthenticationError, record_exchanges=True)
        assert (error.kind, len(scenario.sent)) == ("auth", 1)
        assert "CONTRACT_KEY" in str(error)
        assert error.result is not None
        for text in (str(error), repr(error), json.dumps(error.result.to_dict()), caplog.text):
            assert SECRET not in text

    async def test_no_key(self, bench: ContractBench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key that is not set is an error before anything is sent."""
        monkeypatch.delenv("CONTRACT_KEY", raising=False)
        with pytest.raises(ConfigError, match="CONTRACT_KEY"):
            bench.scenario(answer("Yes."), api_key_env="CONTRACT_KEY")

    @whole_and_streamed
    async def test_a_refused_request(self, bench: ContractBench, stream: bool) -> None:
        """400 ends the run with one request, and the server's own message."""
        scenario = bench.scenario(
            fault(status=400, message="the frobnicator is bent", times=9), answer("Yes."), stream=stream
        )
        error = await scenario.fails(BadRequestError)
        assert (error.kind, len(scenario.sent)) == ("bad_request", 1)
        assert "the frobnicator is bent" in str(error)

    @whole_and_streamed
    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_refused_twice(self, bench: ContractBench, status: int, stream: bool) -> None:
        """A rate limit, or a failing server, is tried again after the time that the server asks for."""
        scenario, result = await bench.complete(
            fault(status=status, retry_after=0.01, times=2), answer("Yes."), stream=stream
        )
        assert result.output == "Yes."
        assert (len(scenario.sent), result.requests, result.retries) == (3, 3, 2)
        assert not result.errors

    async def test_broken_connections(self, bench: ContractBench) -> None:
        """A request whose connection breaks before any byte is sent again on a new one."""
        await _complete(_in_both_ways(bench, fault(disconnect=True, times=2), answer("Yes.")), output="Yes.", retries=2)

    @whole_and_streamed
    async def test_a_server_that_always_fails(self, bench: ContractBench, stream: bool) -> None:
        """Four requests in all, then the error: more would mean that the framework retries too."""
        scenario = bench.scenario(
            fault(status=500, retry_after=0.01, message="on fire", times=99), answer("Yes."), stream=stream
        )
        error = await scenario.fails(ServerError)
        assert (error.kind, len(scenario.sent)) == ("server", 4)
        assert "on fire" in str(error)
        assert error.result is not None
        assert (error.result.requests, error.result.retries) == (4, 3)

    @pytest.mark.parametrize("what", UNUSABLE)
    async def test_an_unusable_answer_once(self, bench: ContractBench, what: str) -> None:
        """A request whose answer cannot be used is sent once more."""
        await _complete(_in_both_ways(bench, fault(**{what: True}), answer("Yes.")), output="Yes.", retries=1)

    @pytest.mark.parametrize("what", UNUSABLE)
    async def test_unusable_answers_for_ever(self, bench: ContractBench, what: str) -> None:
        """Two requests, then the error: no framework may take such an answer for an empty one."""
        scenarios = _in_both_ways(bench, fault(**{what: True}, times=99), answer("Yes."))
        await _fail_at_second(scenarios, BadResponseError, "bad_response")

    async def test_cut_answers(self, bench: ContractBench) -> None:
        """An answer that breaks off in its middle is thrown away, and the request is sent once more."""
        words = " ".join(str(number) for number in range(200))
        await _complete(_in_both_ways(bench, fault(truncate=True), answer(words)), output=words, retries=1)

    @needs(Capability.STREAMING)
    async def test_connection_cut_after_the_end(self, bench: ContractBench) -> None:
        """A stream is complete when its last event has come, whatever happens to the connection then."""
        scenario, result = await bench.complete(answer("Yes, of course."), stream=True, cut_after_the_end=True)
        assert (result.output, len(scenario.sent), result.retries) == ("Yes, of course.", 1, 0)

    async def test_a_server_that_stalls(self, bench: ContractBench) -> None:
        """The model's own timeout holds; one more attempt gets more time."""
        scenarios = _in_both_ways(bench, fault(stall=True, times=99), answer("Yes."), timeout=0.1)
        await _fail_at_second(scenarios, ModelTimeoutError, "timeout")

    async def test_a_server_that_is_not_there(self, bench: ContractBench) -> None:
        """A server that cannot be reached is a network error, which names the server."""
        url = f"http://127.0.0.1:{_closed_port()}/v1"
        scenario = Scenario(bench.agent(ModelConfig(name=MODEL_NAME, base_url=url)), url, bench.server)
        error = await scenario.fails(NetworkError)
        assert error.kind == "network"
        assert "127.0.0.1" in str(error)


class LateFailureContract(Contract, needs=(Capability.TOOLS,)):
    """Failures after the run has come some way."""

    @whole_and_streamed
    async def test_what_was_done_is_kept(self, bench: ContractBench, stream: bool) -> None:
        """The result of an error holds the steps so far, their messages and their trace."""
        scenario = bench.scenario(
            calls(call("add", {"a": 1, "b": 2})),
            fault(status=400, message="no", times=9),
            answer("3"),
            tools=[add],
            stream=stream,
        )
        error = await scenario.fails(BadRequestError)
        assert error.result is not None
        assert error.result.trace.shape() == "invoke_agent(chat, execute_tool add, chat)"
        assert [record.content for record in error.result.tool_calls] == ["3"]
        assert [message.role for message in error.result.messages] == ["user", "assistant", "tool"]
        assert error.result.output is None
        assert error.result.usage.input_tokens

    @pytest.mark.parametrize(
        "what", [{"status": 429, "retry_after": 0.01}, {"empty_choices": True}, {"truncate": True}], ids=str
    )
    async def test_a_retry_repeats_no_tool(self, bench: ContractBench, what: JsonObject) -> None:
        """A later request that is tried again runs no tool twice, and is the same request."""
        seen = []

        async def note(x: int) -> int:
            seen.append(x)
            return x

        scenario, result = await bench.complete(
            calls(call("note", {"x": 1})), fault(**what), answer("Done."), tools=[note]
        )
        assert seen == [1]
        assert (len(scenario.sent), result.retries) == (3, 1)
        assert scenario.sent[1] == scenario.sent[2]


def _in_both_ways(bench: ContractBench, *answers: JsonObject, **options: Any) -> list[Scenario]:
    """Make the same scenario with whole answers, and with streamed ones where the backend can stream."""
    ways = (False, True) if Capability.STREAMING in load_backend(bench.backend).capabilities else (False,)
    return [bench.scenario(*answers, stream=stream, **options) for stream in ways]


async def _complete(scenarios: list[Scenario], *, output: str, retries: int) -> None:
    """Complete a run of each scenario at the same time, after so many retries."""
    results = await asyncio.gather(*(scenario.completes() for scenario in scenarios))
    for scenario, result in zip(scenarios, results, strict=True):
        assert (result.output, len(scenario.sent), result.retries) == (output, retries + 1, retries)


async def _fail_at_second(scenarios: list[Scenario], error_class: type[RunError], kind: ErrorKind) -> None:
    """Fail a run of each scenario at the same time, after the second request."""
    errors = await asyncio.gather(*(scenario.fails(error_class) for scenario in scenarios))
    assert [(error.kind, len(scenario.sent)) for error, scenario in zip(errors, scenarios, strict=True)] == [
        (kind, 2)
    ] * len(scenarios)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
