"""Scoring: does a run do what its task expects?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from unified_agents.errors import InvalidInputError
from unified_agents.result import RunResult, ToolCallRecord
from unified_agents.tools.definition import Tool
from unified_agents.wire.output_format import OutputFormat
from unified_agents_comparisons.bfcl.matching import mismatch
from unified_agents_comparisons.suite.answer_expectations import Contains, FitsSchema, Matches, OutputExpectation
from unified_agents_comparisons.suite.bfcl_truth import Asked, Truth
from unified_agents_comparisons.suite.model import Expectation, ExpectedCall

MAX_SHOWN = 120


class Score(NamedTuple):
    """How well a run did what its task expects.

    Attributes:
        passed: Whether the run completed, lost no call, and everything expected holds.
        score: The share of what is expected that holds; 0 when the run did not complete.
        reasons: Why it did not pass, one line each; empty when it did.
    """

    passed: bool
    score: float
    reasons: tuple[str, ...]


def score(
    result: RunResult,
    expect: Expectation,
    *,
    tools: Mapping[str, Tool],
    files: Mapping[str, str | None],
    scripted: bool = True,
    checked: Iterable[str | None] = (),
) -> Score:
    """Compare a run with its task's expectation.

    Args:
        result: The run. Unless its status is `completed` it does not pass, whatever it answered.
        expect: What must hold.
        tools: The tools that were offered, by name; a well-formed call of one that never reached it, and a call that
            reached it with arguments outside its schema, fail the run under any handling.
        files: The text of each expected file after the run; None for one that is missing.
        scripted: False for a real model: it need not make the mistakes of the script, so calls that were refused or
            failed are left out of the comparison, on both sides.
        checked: What `AnswerChecks` found of the answer: for each check why it fails, None where it holds.
    """
    lost = [f"{_place(call)} never reached the tool" for call in result.tool_calls if was_lost(call, tools)]
    problems = [*lost, *_wrong_arguments(result.tool_calls, tools)]
    checks = [
        *_calls(result.tool_calls, expect, scripted),
        *_output(result.output, expect.output),
        *checked,
        *_files(files, expect.files),
        *_bfcl(result.tool_calls, expect.bfcl),
    ]
    wrong = [check for check in checks if check is not None]
    if result.status != "completed":
        return Score(False, 0.0, (f"the run's status is {result.status}", *problems, *wrong))
    return Score(not problems and not wrong, 1 - len(wrong) / len(checks), (*problems, *wrong))


def was_lost(call: ToolCallRecord, tools: Mapping[str, Tool]) -> bool:
    """Tell whether a well-formed call of a tool that was offered never reached it."""
    return not call.reached and call.name in tools and validation_fault(tools[call.name], call.arguments) is None


def received_fault(call: ToolCallRecord, tools: Mapping[str, Tool]) -> str | None:
    """Say what is wrong with the arguments that a tool's function was called with; None when they fit its schema."""
    tool = tools.get(call.name)
    if tool is None or call.received is None:
        return None
    return validation_fault(tool, to_json(call.received).decode())


def equal(left: object, right: object) -> bool:
    """Tell whether two values are the same JSON: 1 is 1.0, and neither is true."""
    return bool(_comparable(left) == _comparable(right))


def _comparable(value: Any) -> Any:
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: _comparable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(part) for part in value]
    return value


def validation_fault(tool: Tool, arguments: str) -> str | None:
    """Say what is wrong with arguments, as JSON text, by a tool's schema; None when they fit."""
    try:
        tool.validate(arguments)
    except InvalidInputError as error:
        return "; ".join(error.problems) or str(error)
    return None


def _wrong_arguments(calls: Sequence[ToolCallRecord], tools: Mapping[str, Tool]) -> list[str]:
    found = [(call, received_fault(call, tools)) for call in calls]
    return [f"{_place(call)} reached the tool with wrong arguments: {fault}" for call, fault in found if fault]


def output_fault(output: str | None, expected: OutputExpectation | None) -> str | None:
    """Say why an answer is not the expected one; None when it is, or when none is expected."""
    return next(iter(_output(output, expected)), None)


def _output(output: str | None, expected: OutputExpectation | None) -> list[str | None]:
    if expected is None:
        return []
    text = (output or "").strip()
    if isinstance(expected, Contains):
        missing = [part for part in expected.contains if part not in text]
        return [f"the answer {_shown(text)} lacks {_shown(missing[0])}" if missing else None]
    if isinstance(expected, Matches):
        fits = re.fullmatch(expected.regex, text, re.DOTALL)
        return [None if fits else f"the answer {_shown(text)} does not match {expected.regex!r}"]
    if isinstance(expected, FitsSchema):
        return [_form_fault(text, expected)]
    if not isinstance(expected, str):
        return []  # `AnswerChecks` looks at it
    fits_exactly = text == expected.strip()
    return [None if fits_exactly else f"the answer is {_shown(text)}, expected {_shown(expected.strip())}"]


def _form_fault(text: str, expected: FitsSchema) -> str | None:
    try:
        OutputFormat(expected.json_schema).parse(text)
    except ValueError as error:
        return f"the answer {_shown(text)} does not fit the JSON Schema: {'; '.join(map(str, error.args))}"
    return None


def _calls(calls: Sequence[ToolCallRecord], expect: Expectation, scripted: bool) -> list[str | None]:
    if expect.tool_calls is None:
        return []
    expected = [call for call in expect.tool_calls if scripted or call.ok]
    made = [call for call in calls if scripted or call.ok]
    checks = _unordered(made, expected) if expect.unordered else _ordered(made, expected)
    surplus = len(made) - len(expected)
    return [*checks, f"{surplus} tool calls more than expected"] if surplus > 0 else checks or [None]


def _ordered(made: Sequence[ToolCallRecord], expected: Sequence[ExpectedCall]) -> list[str | None]:
    absent = [f"the call of {call.name} was not made" for call in expected[len(made) :]]
    return [*(_difference(*pair) for pair in zip(made, expected, strict=False)), *absent]


def _unordered(made: Sequence[ToolCallRecord], expected: Sequence[ExpectedCall]) -> list[str | None]:
    unmatched = list(made)
    checks: list[str | None] = []
    for wanted in sorted(expected, key=lambda call: call.arguments is None):
        found = next((call for call in unmatched if _difference(call, wanted) is None), None)
        if found is not None:
            unmatched.remove(found)
        checks.append(None if found else f"no call of {wanted.name} as expected: {_shown(wanted.arguments)}")
    return checks


def _difference(made: ToolCallRecord, wanted: ExpectedCall) -> str | None:
    if made.name != wanted.name:
        return f"{_place(made)} was made, expected {wanted.name}"
    if wanted.arguments is not None and not _same_arguments(made.arguments, wanted.arguments):
        return f"{_place(made)} has the arguments {_shown(made.arguments)}, expected {_shown(wanted.arguments)}"
    if made.ok != wanted.ok:
        state = "succeeded, expected to fail" if made.ok else "failed"
        reason = f": {made.error.message}" if made.error else ""
        return f"{_place(made)} {state}{reason}"
    return None


def _same_arguments(made: str, wanted: Any) -> bool:
    return made == wanted if isinstance(wanted, str) else equal(parsed_arguments(made), wanted)


def _files(files: Mapping[str, str | None], expected: Mapping[str, str]) -> list[str | None]:
    return [_file(name, files.get(name), text) for name, text in expected.items()]


def _file(name: str, text: str | None, wanted: str) -> str | None:
    if text is None:
        return f"the file {name} is missing"
    return None if text == wanted else f"the file {name} holds {_shown(text)}, expected {_shown(wanted)}"


def _bfcl(calls: Sequence[ToolCallRecord], truth: Truth | None) -> list[str | None]:
    if truth is None:
        return []
    return [mismatch(truth, [Asked(call.name, parsed_arguments(call.arguments)) for call in calls])]


def parsed_arguments(arguments: str) -> Any:
    """Return the JSON value of a call's arguments; the text itself when it is no JSON."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _place(call: ToolCallRecord) -> str:
    return f"call {call.index + 1} of step {call.step + 1} ({call.name})"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")
