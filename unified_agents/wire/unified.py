"""The wire under `handling: unified`: each model call of an agent becomes a step of its run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from unified_agents.errors import BackendError, ModelError
from unified_agents.run.calls import Step, dropped_calls
from unified_agents.run.context import Run
from unified_agents.tool_runner.unified import start_calls
from unified_agents.wire.endpoint import ModelEndpoint
from unified_agents.wire.model_call import ModelCall, ModelCallSettings
from unified_agents.wire.output_format import OutputFormat
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.react.protocol import TextProtocol
from unified_agents.wire.replay import JournaledStep
from unified_agents.wire.steps import record_step


class Wire:
    """Seam 1 for one agent: everything that its backends ask of a model goes through here.

    Args:
        endpoints: The model, and those that stand in for it, in their order.
        output: The form that the final answer must have; None for free text.
        references: Whether calls of one answer may refer to each other.
        protocol: The text protocol of variant `react`; None where the model calls tools.
    """

    def __init__(
        self,
        endpoints: Sequence[ModelEndpoint],
        output: OutputFormat | None = None,
        *,
        references: bool = False,
        protocol: TextProtocol | None = None,
    ) -> None:
        self.endpoint = endpoints[0]
        self.model = self.endpoint.model
        self.parse = None if output is None else output.parse
        self.protocol = protocol
        self._settings = ModelCallSettings(tuple(endpoints), output, references, protocol)

    async def ask(self, run: Run, received: bytes = b"") -> tuple[Answer, Step]:
        """Make one model call of the agent: a new step of the run.

        Args:
            run: The run. The model gets what it has recorded.
            received: What the framework sent, for the record; empty when our own loop asks.

        Raises:
            asyncio.CancelledError: the run is shut, or ends with this call's error, or the framework broke the rules.
        """
        if not run.admits(run.budget.step_limit):
            await run.stay_out()
        if run.steps and (fault := _broken_rule(run.steps[-1])) is not None:
            run.lifecycle.fail(fault)
            raise asyncio.CancelledError(f"run {run.id} has ended")
        number = run.budget.steps_started
        journaled = None if run.journal is None else JournaledStep(run, run.journal)
        answer = replayed = None if journaled is None else journaled.answer()
        if answer is None:
            call = ModelCall(self._settings, run, received=received)
            try:
                answer = await run.lifecycle.carry_out(_answer_or_fail(run, call))
            except BaseException:
                call.observation.abandoned()  # a task that is cancelled before it begins cannot do so itself
                raise
        step = record_step(run, answer, number)
        if journaled is not None and replayed is None:
            journaled.note(answer, step)
        if self._settings.references and step.calls:
            start_calls(run, step, [raw.id for raw in answer.calls])
        return answer, step

    def without_output(self) -> Wire:
        """Return the same wire for answers of any form."""
        return Wire(self._settings.endpoints, protocol=self.protocol)

    async def last_answer(self, run: Run, note: str) -> Answer:
        """Make one more model call of a run that has met a limit: without tools, and past the limits.

        Args:
            run: The run.
            note: What the model is told.

        Raises:
            ModelError: no usable answer came.
        """
        call = ModelCall(self._settings, run, ({"role": "user", "content": note},), without_tools=True)
        answer = await call.answer()
        record_step(run, answer, call.observation.step)
        return answer


async def _answer_or_fail(run: Run, call: ModelCall) -> Answer:
    try:
        return await call.answer()
    except ModelError as error:
        run.lifecycle.fail(error)
        raise asyncio.CancelledError(f"run {run.id} has ended") from error


def _broken_rule(step: Step) -> BackendError | None:
    """Return why a framework may not ask the model again after a step; None where it may.

    Args:
        step: The run's last.
    """
    if not step.calls:
        return BackendError("the framework asked the model again after its final answer")
    for call in step.calls:
        if call.outcome is None or not call.reached:
            dropped = [call for call in step.calls if call.outcome is None or not call.reached]
            return dropped_calls("went on", dropped)
    return None
