"""The fault harness: runs a task with a fault in it, over a real socket, with a scripted model behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unified_agents.agent import create_agent
from unified_agents.config import Handling, Limits, ModelConfig, ModelParameters
from unified_agents.errors import ErrorRecord
from unified_agents.result import RunResult
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.provider_forms import ProviderModel, form_at
from unified_agents.scripted.server import ScriptServer
from unified_agents.wire.local_upstream import Reply
from unified_agents_comparisons.execution.cell import CellRunner, run_outcome
from unified_agents_comparisons.faults.misbehaving_tools import MisbehavingTool
from unified_agents_comparisons.suite.fault_kinds import KINDS, Injection
from unified_agents_comparisons.suite.fault_settings import FaultCase, FaultSettings, place_of
from unified_agents_comparisons.suite.model import Task

MAX_MESSAGE_LENGTH = 300
TOOL_TIMEOUT_SECONDS = 0.3
_GRACE_SECONDS = 8.0
"""How long a run may outlive its own limit before it is ended from outside."""
_AMPLE_SECONDS = 10.0
"""For a request whose answer comes: a machine may be busy."""


@dataclass(slots=True, frozen=True)
class Observation:
    """A run as it looks from outside.

    Attributes:
        result: The run; None when it was cancelled, or left nothing.
        error: What ended it; None when it completed.
        requests: How many requests came to the model's server.
        messages: What the model was told after the question, in its order; each text once.
        seconds: From start to end.
        hung: Whether it was ended from outside, when its time was over.
    """

    result: RunResult | None
    error: ErrorRecord | None
    requests: int
    messages: tuple[str, ...]
    seconds: float
    hung: bool = False


class _ObservedModel(ProviderModel):
    """A scripted model that keeps what it is told, and calls back when it is asked what it shall never answer."""

    def __init__(self, model: ScriptedModel, *, strict: bool) -> None:
        super().__init__(model, strict=strict)
        self.on_stall: Callable[[], object] | None = None
        self.requests = 0
        self.messages: dict[str, None] = {}

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """Keep what the request tells the model, and return the model's answer."""
        return self._observed(request, super().reply(_as_a_model_reads(request), key))

    def reply_at(self, path: str, body: Mapping[str, Any], key: str = "") -> Reply:
        """Keep what the request tells the model, and return the model's answer in the protocol of the path."""
        form = form_at(path)
        return self._observed(form.chat_request(path, body) if form else body, super().reply_at(path, body, key))

    def _observed(self, request: Mapping[str, Any], reply: Reply) -> Reply:
        self.requests += 1
        messages = [message for message in request.get("messages", ()) if message.get("role") in ("user", "tool")]
        for message in messages[1:]:
            self.messages[str(message.get("content"))[:MAX_MESSAGE_LENGTH]] = None
        if reply.ending == "stall" and self.on_stall is not None:
            self.on_stall()
        return reply


def _as_a_model_reads(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a request with the results of tools without the `{"result": …}` that some frameworks put around each.

    A model reads through it; a script, which quotes what a message says, does not.
    """
    messages = request.get("messages")
    if not isinstance(messages, list):
        return request
    return {**request, "messages": [_without_wrapping(message) for message in messages]}


def _without_wrapping(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) and message.get("role") == "tool" else None
    if not isinstance(content, str) or not content.startswith('{"result"'):
        return message
    try:
        found = json.loads(content)
    except ValueError:
        return message
    if not isinstance(found, dict) or found.keys() != {"result"}:
        return message
    result = found["result"]
    return {**message, "content": result if isinstance(result, str) else json.dumps(result)}


@dataclass(slots=True)
class FaultHarness:
    """The runner of a worker's tasks with and without faults.

    Attributes:
        server: Where the scripted models stand.
        runner: What runs the worker's ordinary cells.
        settings: Timeouts and policy.
    """

    server: ScriptServer
    runner: CellRunner
    settings: FaultSettings
    _clean: dict[tuple[str, Handling, bool], Observation] = field(default_factory=dict)

    async def run(self, task: Task, handling: Handling, case: FaultCase) -> Observation:
        """Run a task with a fault.

        Raises:
            UnifiedAgentsError: it cannot be run at all.
        """
        oracle, kind = task.needed_oracle(), KINDS[case.kind]
        injection = kind.inject(oracle, place_of(case.at, len(oracle["answers"])) or 0)
        return await self._run(task, handling, injection, case.streamed, self.settings.run_seconds(kind, handling))

    async def run_clean(self, task: Task, handling: Handling, *, streamed: bool) -> Observation:
        """Run a task without a fault; later calls return what the first one observed."""
        key = (task.id, handling, streamed)
        if key not in self._clean:
            for _ in range(2):  # the first run pays for imports
                observed = await self._run(
                    task, handling, Injection(task.needed_oracle()), streamed, self.settings.timeout
                )
            self._clean[key] = observed
        return self._clean[key]

    async def _run(
        self, task: Task, handling: Handling, injection: Injection, streamed: bool, seconds: float
    ) -> Observation:
        script = Script.model_validate(injection.script)
        model = _ObservedModel(
            ScriptedModel(script.in_text() if self.runner.start.variant == "react" else script),
            strict=handling == "unified",
        )
        misbehaving = MisbehavingTool(injection, TOOL_TIMEOUT_SECONDS)
        wait = self.settings.model_timeout if injection.silent else _AMPLE_SECONDS
        url = self.server.add(model, record=False)
        agent = create_agent(
            backend=self.runner.start.label.name,
            model=self._model(url, streamed, wait),
            instructions=self.runner.suite.suite.instructions,
            tools=[misbehaving.wrap(tool) for tool in self.runner.tools_of(task)],
            limits=Limits(timeout=seconds, max_steps=self.settings.max_steps),
            handling=handling,
            variant=self.runner.start.variant,
        )
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            run = asyncio.create_task(agent.run(task.question))
            model.on_stall = run.cancel if injection.cancel else None
            result, error, hung = await _ended(run, seconds)
        finally:
            misbehaving.release()
            await agent.aclose()
            self.server.remove(url)
        took = loop.time() - start
        hung = hung or _used_all_its_time(result, seconds)
        return Observation(result, error, model.requests, tuple(model.messages), took, hung)

    def _model(self, url: str, streamed: bool, wait: float) -> ModelConfig:
        return ModelConfig(
            name="scripted",
            base_url=url,
            protocol=self.runner.start.model.spoken_protocol,
            timeout=wait,
            first_token_timeout=wait,
            token_timeout=wait,
            parameters=ModelParameters(stream=True if streamed else None),
            policy=self.settings.policy,
        )


def fault_messages(observed: Observation, clean: Observation) -> tuple[str, ...]:
    """Return what the model was told only because of the fault."""
    return tuple(text for text in observed.messages if text not in clean.messages)


async def _ended(task: asyncio.Task[RunResult], seconds: float) -> tuple[RunResult | None, ErrorRecord | None, bool]:
    done, _ = await asyncio.wait([task], timeout=seconds + _GRACE_SECONDS)
    if not done:
        task.cancel()
        return None, ErrorRecord(kind="timeout", type="TimeoutError", message="the run does not end"), True
    if task.cancelled():
        return None, ErrorRecord(kind="cancelled", type="CancelledError", message="the caller cancelled"), False
    return *await run_outcome(task), False


def _used_all_its_time(result: RunResult | None, seconds: float) -> bool:
    return result is not None and result.status == "limit" and result.seconds.total >= 0.98 * seconds
