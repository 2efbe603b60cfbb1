"""Answers of the model from a run's journal, in the place of requests."""

from __future__ import annotations

import asyncio

from unified_agents.errors import DivergenceError
from unified_agents.journal.fingerprint import Fingerprint, first_difference
from unified_agents.journal.record import RunRecord
from unified_agents.journal.rows import AnsweredCall, AnswerRow
from unified_agents.messages import JsonObject
from unified_agents.run.calls import Step
from unified_agents.run.context import Run
from unified_agents.run.measurements import ExchangeRecord
from unified_agents.wire.protocols.answer import Answer
from unified_agents.wire.protocols.chat_completions_fields import RawCall


class JournaledStep:
    """One step of a run that keeps a journal.

    Args:
        run: The run, whose next step it is.
        record: What its journal holds of it.
    """

    def __init__(self, run: Run, record: RunRecord) -> None:
        self._run = run
        self._record = record
        self._step = run.budget.steps_started
        self._fingerprint = _fingerprint(run, record.fingerprint)

    def answer(self) -> Answer | None:
        """Return the answer that the journal holds, and count it as it was counted then; None where it holds none.

        Raises:
            asyncio.CancelledError: something else is asked than was asked then, and the run ends.
        """
        row = self._record.answers.get(self._step)
        if row is None:
            return None
        if row.fingerprint != self._fingerprint and not self._record.goes_on:
            self._run.lifecycle.fail(self._divergence())
            raise asyncio.CancelledError(f"run {self._run.id} has ended")
        count_answer(self._run, row)
        return answer_of(row)

    def note(self, answer: Answer, step: Step) -> None:
        """Add an answer of the model, which has become a step, to the journal. It is stored with the next row."""
        exchange = answer.exchange
        self._record.note(
            AnswerRow(
                step=self._step,
                fingerprint=self._fingerprint,
                model=self._run.backend if exchange is None else exchange.model,
                requests=1 if exchange is None else exchange.attempt,
                text=answer.text,
                calls=tuple(
                    [
                        AnsweredCall(id=raw.id, call_id=call.id, name=raw.name, arguments=raw.arguments)
                        for raw, call in zip(answer.calls, step.calls, strict=True)
                    ]
                ),
                finish_reason=answer.finish_reason,
                usage=answer.usage,
                cost=None if exchange is None else exchange.cost,
                original=answer.original,
                reasoning=answer.reasoning,
            )
        )

    def _divergence(self) -> DivergenceError:
        then = _with_instructions(self._record.run.instructions, self._run)
        place = first_difference(then, _with_instructions(self._run.instructions, self._run))
        return DivergenceError(
            f"the resumed run asks something else than its journal holds, in step {self._step}, at {place}; "
            'on_divergence="continue" goes on all the same'
        )


def _with_instructions(instructions: str | None, run: Run) -> list[JsonObject]:
    system = [] if instructions is None else [{"role": "system", "content": instructions}]
    return [*system, *(message.to_chat() for message in run.messages), *run.turns()]


def _fingerprint(run: Run, growing: Fingerprint) -> str:
    """Return the fingerprint of what the run asks now."""
    if growing.steps is None:
        growing.steps = 0
        if run.instructions is not None:
            growing.add({"role": "system", "content": run.instructions})
        for message in run.messages:
            growing.add(message.to_chat())
    for step in run.steps[growing.steps :]:
        growing.add(step.message)
        for call in step.calls:
            growing.add({"role": "tool", "content": call.outcome.content if call.outcome is not None else None})
        growing.steps += 1
    return growing.text()


def count_answer(run: Run, row: AnswerRow) -> None:
    """Count a step of the journal against the run's limits, and put it into the run's result."""
    run.budget.steps_started += 1
    run.budget.count_answer(row.usage, row.cost, requests=row.requests)
    run.measurements.model_calls.append(
        ExchangeRecord(
            row.step,
            row.requests,
            row.model,
            keeps_bodies=False,
            finish_reason=row.finish_reason,
            usage=row.usage,
            cost=row.cost,
        )
    )


def answer_of(row: AnswerRow) -> Answer:
    """Return the answer that a row stands for."""
    message = {"role": "assistant", "content": row.text}
    body: JsonObject = {
        "id": f"journal-{row.step}",
        "object": "chat.completion",
        "created": 0,
        "model": row.model,
        "choices": [{"index": 0, "message": message, "finish_reason": row.finish_reason}],
    }
    taken, given = row.usage.input_tokens, row.usage.output_tokens
    if taken is not None and given is not None:
        body["usage"] = {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given}
    calls = [RawCall(call.id, call.name, call.arguments) for call in row.calls]
    return Answer(row.text, calls, row.finish_reason, row.usage, body, original=row.original, reasoning=row.reasoning)
