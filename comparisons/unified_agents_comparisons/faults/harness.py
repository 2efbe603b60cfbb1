"""Runs a task with a fault in it: over a real socket, with a scripted model behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unified_agents.agent import Agent, create_agent
from unified_agents.config import Handling, Limits, ModelConfig, ModelParameters, Variant
from unified_agents.errors import ErrorRecord, RunError, UnifiedAgentsError, native_name
from unified_agents.result import RunResult
from unified_agents.scripted.model import Script, ScriptedModel
from unified_agents.scripted.server import ScriptServer
from unified_agents.tools.definition import Tool
from unified_agents.wire.local_upstream import Reply
from unified_agents_comparisons.faults.misbehaving_tools import Misbehaving
from unified_agents_comparisons.suite.fault_kinds import KINDS, Injection
from unified_agents_comparisons.suite.fault_settings import FaultCase, FaultSettings, place_of
from unified_agents_comparisons.suite.model import Task

SHOWN = 300
TOOL_TIMEOUT = 0.3
_GRACE = 8.0
_AMPLE = 10.0
"""Seconds for a request whose answer comes: a machine may be busy."""


@dataclass(slots=True, frozen=True)
class Subject:
    """What is put to the test.

    Attributes:
        backend: The backend.
        handling: The handling.
        variant: The loop within the backend.
    """

    backend: str
    handling: Handling
    variant: Variant = "tool_calling"


@dataclass(slots=True, frozen=True)
class Observed:
    """What was seen of a run.

    Attributes:
        result: The run; None when it was cancelled, or left nothing.
        error: What ended it; None when it completed.
        requests: What came to the model's server.
        read: What the model was told after the question, in its order; each text once.
        seconds: From start to end.
        hung: Whether it was ended from outside, when its patience was over.
    """

    result: RunResult | None
    error: ErrorRecord | None
    requests: int
    read: tuple[str, ...]
    seconds: float
    hung: bool = False


@dataclass(slots=True)
class _Watching:
    """A scripted model that keeps what it is told, and calls back when it is asked what it shall never answer."""

    model: ScriptedModel
    on_stall: Callable[[], object] | None
    requests: int = 0
    read: dict[str, None] = field(default_factory=dict)

    def reply(self, request: Mapping[str, Any], key: str = "") -> Reply:
        """The model's answer."""
        self.requests += 1
        told = [message for message in request.get("messages", ()) if message.get("role") in ("user", "tool")]
        for message in told[1:]:
            self.read[str(message.get("content"))[:SHOWN]] = None
        reply = self.model.reply(request, key)
        if reply.ending == "stall" and self.on_stall is not None:
            self.on_stall()
        return reply


@dataclass(slots=True)
class Harness:
    """Runs cases, and compares what the model read with what it reads in a run without a fault.

    Attributes:
        server: Where the scripted models stand.
        settings: Timeouts and policy.
        instructions: The system text.
    """

    server: ScriptServer
    settings: FaultSettings
    instructions: str | None
    _clean: dict[tuple[str, Subject, bool], Observed] = field(default_factory=dict)

    async def run(self, subject: Subject, task: Task, tools: Sequence[Tool], case: FaultCase) -> Observed:
        """Run a task with a fault.

        Raises:
            UnifiedAgentsError: it cannot be run at all.
        """
        oracle = task.oracle or {}
        at = place_of(case.at, len(oracle["answers"])) or 0
        kind = KINDS[case.kind]
        patience = self.settings.patience(kind, subject.handling)
        return await self._run(subject, task, tools, kind.inject(oracle, at), streamed=case.streamed, patience=patience)

    async def clean(self, subject: Subject, task: Task, tools: Sequence[Tool], *, streamed: bool) -> Observed:
        """The same task without a fault, run once."""
        key = (task.id, subject, streamed)
        if key not in self._clean:
            whole = Injection(task.oracle or {})
            patience = self.settings.timeout
            await self._run(subject, task, tools, whole, streamed=streamed, patience=patience)  # it pays for imports
            self._clean[key] = await self._run(subject, task, tools, whole, streamed=streamed, patience=patience)
        return self._clean[key]

    async def _run(
        self,
        subject: Subject,
        task: Task,
        tools: Sequence[Tool],
        injection: Injection,
        *,
        streamed: bool,
        patience: float,
    ) -> Observed:
        script = Script.model_validate(injection.script)
        running: list[asyncio.Task[RunResult]] = []

        def cancel() -> None:
            running[0].cancel()

        model = _Watching(
            ScriptedModel(script.in_text() if subject.variant == "react" else script),
            cancel if injection.cancel else None,
        )
        misbehaving = Misbehaving(injection, TOOL_TIMEOUT)
        wrapped = [misbehaving.wrapped(one) for one in tools]
        url = self.server.add(model, record=False)
        wait = self.settings.model_timeout if injection.silent else _AMPLE
        agent = self._agent(subject, url, wrapped, streamed=streamed, patience=patience, wait=wait)
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            running.append(asyncio.create_task(agent.run(task.question)))
            result, error, hung = await _ended(running[0], patience)
        finally:
            misbehaving.release()
            await agent.aclose()
        seconds = loop.time() - start
        return Observed(result, error, model.requests, tuple(model.read), seconds, hung or _met(result, patience))

    def _agent(
        self, subject: Subject, url: str, tools: Sequence[Tool], *, streamed: bool, patience: float, wait: float
    ) -> Agent:
        return create_agent(
            backend=subject.backend,
            model=ModelConfig(
                name="scripted",
                base_url=url,
                timeout=wait,
                first_token_timeout=wait,
                token_timeout=wait,
                parameters=ModelParameters(stream=True if streamed else None),
                policy=self.settings.policy,
            ),
            instructions=self.instructions,
            tools=tools,
            limits=Limits(timeout=patience, max_steps=self.settings.max_steps),
            handling=subject.handling,
            variant=subject.variant,
        )


def told(observed: Observed, clean: Observed) -> tuple[str, ...]:
    """What the model read only because of the fault."""
    return tuple(text for text in observed.read if text not in clean.read)


async def _ended(task: asyncio.Task[RunResult], patience: float) -> tuple[RunResult | None, ErrorRecord | None, bool]:
    done, _ = await asyncio.wait([task], timeout=patience + _GRACE)
    if not done:
        task.cancel()
        return None, ErrorRecord(kind="timeout", type="TimeoutError", message="the run does not end"), True
    try:
        result = task.result()
    except asyncio.CancelledError:
        return None, ErrorRecord(kind="cancelled", type="CancelledError", message="the caller cancelled"), False
    except RunError as error:
        return error.result, error.record(), False
    except UnifiedAgentsError:
        raise
    except Exception as error:  # what is not of our tree is a fault of the library or the framework
        message = f"{native_name(error)}: {error}".splitlines()[0]
        return None, ErrorRecord(kind="backend", type="BackendError", message=message), False
    return result, result.errors[-1] if result.errors and result.status != "completed" else None, False


def _met(result: RunResult | None, patience: float) -> bool:
    return result is not None and result.status == "limit" and result.seconds.total >= 0.98 * patience
