"""What a model was told and said, on the user's span; only where the user opts in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unified_agents.run.context import Run
from unified_agents.tracing import conventions as names
from unified_agents.tracing.content import instructions_json, messages_json
from unified_agents.tracing.live import OpenSpan


def give_messages(
    span: OpenSpan, run: Run, before: Iterable[Mapping[str, Any]], answer: Mapping[str, Any] | None
) -> None:
    """Put messages on a span, without the secrets of the run's models.

    Args:
        span: A span that takes content.
        run: Its run.
        before: The messages before the answer, as in Chat Completions.
        answer: The answer; None where none came.
    """
    redact = run.redactor.redact
    if run.instructions is not None:
        span.content(names.SYSTEM_INSTRUCTIONS, redact(instructions_json(run.instructions)))
    span.content(names.INPUT_MESSAGES, redact(messages_json(before)))
    if answer is not None:
        span.content(names.OUTPUT_MESSAGES, redact(messages_json([answer])))
