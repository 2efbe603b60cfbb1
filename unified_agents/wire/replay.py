"""Answers of the model from a run's journal, in the place of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents.errors import DivergenceError
from unified_agents.journal.fingerprint import first_difference
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
        messages: The conversation that is asked.
    """

    def __init__(self, run: Run, record: RunRecord, messages: Sequence[Mapping[str, Any]]) -> None:
        self._run = run
        self._record = record
        self._messages = messages
        self._step = run.budget.steps_started
        self._fingerprint = record.fingerprints.of(messages)

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
            )
        )

    def _divergence(self) -> DivergenceError:
        instructions = self._record.run.instructions
        then = [] if instructions is None else [{"role": "system", "content": instructions}]
        place = first_difference([*then, *self._run.conversation()], self._messages)
        return DivergenceError(
            f"the resumed run asks something else than its journal holds, in step {self._step}, at {place}; "
            'on_divergence="continue" goes on all the same'
        )


def count_answer(run: Run, row: AnswerRow) -> None:
    """Count a step of the journal against the run's limits, and put it into the run's result."""
    run.budget.steps_started += 1
    run.budget.count(requests=row.requests, usage=row.usage, cost=row.cost)
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
    return Answer(row.text, calls, row.finish_reason, row.usage, body, b"", original=row.original)
