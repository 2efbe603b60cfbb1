"""Expectations of an answer that code or a judge model decides about."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, Field

from unified_agents import wording
from unified_agents.agent import create_agent
from unified_agents.config import ModelConfig
from unified_agents.errors import UnifiedAgentsError
from unified_agents.result import RunResult
from unified_agents.text import closest
from unified_agents_comparisons.suite.answer_expectations import OutputExpectation, PassesFunction, PassesJudge
from unified_agents_comparisons.suite.model import LoadedSuite, SuiteError, Task

CheckFunction = Callable[..., Any]


class Verdict(BaseModel):
    """What a judge answers."""

    reason: str = Field(description="One sentence: why.")
    holds: bool


class AnswerChecks:
    """The functions and the judge that a suite's expectations name.

    Args:
        suite: The suite, whose folders are on the Python path.

    Raises:
        SuiteError: a function is missing.
    """

    def __init__(self, suite: LoadedSuite) -> None:
        self._judge = suite.suite.judge
        expected = (task.expect.output for task in suite.suite.tasks)
        references = sorted({one.python for one in expected if isinstance(one, PassesFunction)})
        self._functions = {reference: _function(reference) for reference in references}

    async def faults(self, task: Task, result: RunResult) -> list[str | None]:
        """Return why the answer of a run is not the expected one, None when it is; nothing where nobody is asked."""
        expected: OutputExpectation | None = task.expect.output
        if isinstance(expected, PassesFunction):
            return [await function_fault(self._functions[expected.python], expected.python, result)]
        if isinstance(expected, PassesJudge) and self._judge is not None:
            return [await judge_fault(self._judge, task, expected.judge, result.output)]
        return []


async def function_fault(function: CheckFunction, name: str, result: RunResult) -> str | None:
    """Say why a function does not take a run's answer; None when it does.

    The function is given the answer's text and, where it has a second parameter, the `RunResult`. It passes the answer
    by `True` or `None`; `False`, a text that says why, or an exception fail it.
    """
    arguments = [result.output or "", result][: _positional(function)]
    try:
        found = await asyncio.to_thread(function, *arguments)
        if inspect.isawaitable(found):
            found = await found
    except AssertionError as error:
        return f"{name} does not take the answer: {error}" if str(error) else f"{name} does not take the answer"
    except Exception as error:
        return f"{name} failed: {type(error).__name__}: {error}"
    if found is None or found is True:
        return None
    if found is False:
        return f"{name} does not take the answer {result.output!r:.120}"
    return f"{name}: {found}"


async def judge_fault(judge: ModelConfig, task: Task, criterion: str, output: str | None) -> str | None:
    """Say why a judge model does not take an answer; None when it does."""
    agent = create_agent(
        model=judge, name="judge", instructions=wording.JUDGE_INSTRUCTIONS, output_type=Verdict, limits={"max_steps": 2}
    )
    question = task.question if isinstance(task.question, str) else "\n".join(map(_as_text, task.question))
    try:
        result = await agent.run(wording.to_judge(question, output or "", criterion))
        verdict = result.value
    except UnifiedAgentsError as error:
        return f"the judge did not answer: {error}"
    finally:
        await agent.aclose()
    if verdict is None:
        return "the judge did not answer"
    return None if verdict.holds else f"the judge: {verdict.reason}"


def _as_text(message: Any) -> str:
    return f"{message.role}: {message.text}"


def _positional(function: CheckFunction) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(2, sum(one.kind in kinds for one in inspect.signature(function).parameters.values()))


def _function(reference: str) -> CheckFunction:
    module, _, name = reference.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ImportError as error:
        raise SuiteError(f"its module {module!r} cannot be imported: {error}") from error
    found: CheckFunction | None = getattr(loaded, name, None)
    if not callable(found):
        names: Iterable[str] = [key for key, value in vars(loaded).items() if callable(value)]
        close = closest(name, list(names))
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise SuiteError(f"its module {module!r} has no function {name!r}{hint}")
    return found
