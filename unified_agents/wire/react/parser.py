"""The parser of a turn in the ReAct protocol: thought, action and input, or a final answer, as plain text.

    Thought: I need the population.
    Action: population
    Action Input: {"city": "Tokyo"}

What stands first decides: an action, or a final answer. JSON is tried before the text form, bare or fenced, at the
beginning of a line or after `Action:`; `{"action": …, "action_input": …}` and its common relatives count. A text
without any mark is the final answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from unified_agents import wording
from unified_agents.wire.react.lenient_json import NoValueError, Value, read_text, read_value

_LINE_START = r"^[ \t]*+(?:[>#*_`-][ \t]*+)*+"
_MARK = re.compile(
    _LINE_START + r"(?P<mark>thought|action[ _-]?(?:inputs?|arguments|parameters)|action|observation"
    r"|final[ _-]?answer|answer)(?:[ \t]*+[0-9]{1,3}+)?+[*_`]*+[ \t]*+[:：][*_`]*+",
    re.IGNORECASE | re.MULTILINE,
)
_NEXT = re.compile(rf"{_MARK.pattern}|^[ \t]*+(?:```[a-zA-Z]*+[ \t]*+)?+(?P<json>[{{\[])", re.IGNORECASE | re.MULTILINE)
_UNFINISHED_MARK = re.compile(_LINE_START + r"[a-z _-]{0,25}+[ \t]*+[0-9]{0,3}+[ \t]*+[*_`]*+[ \t]*+\Z", re.IGNORECASE)
_INLINE_FINAL = re.compile(r"\bfinal[ _-]?answer[*_`]*+[ \t]*+[:：][*_`]*+", re.IGNORECASE)
_OPENING = re.compile(r"\s*+(?:```[a-zA-Z]*+[ \t]*+(?:\r?\n\s*+|(?=[{\[])))?")
_FENCE = re.compile(r"```[a-zA-Z]*\s*\Z")
_CLOSING = re.compile(r"(?<!\s)\s*+```\s*\Z")
_NAME = re.compile(r"[\s`*\"'<(]*+([^\s`*\"'(){}\[\]<>,;:]++)")
_BROKEN_CALL = re.compile(r"""\{\s*+["'](?:action|tool|tool_name)["']\s*+:\s*+["']\s*+([^"'\s][^"'\n]{0,63})["']""")

_NO_ACTION = frozenset({"none", "n/a", "na", "null", "nothing", "-", "no action"})
_NO_INPUT = frozenset({"", "none", "n/a", "na", "-", "no input", "nothing"})
_FINAL_NAMES = frozenset({"final answer", "final_answer", "final-answer", "finalanswer"})

_CALL_KEYS = ("action", "tool", "tool_name", "function_name")
_INPUT_KEYS = ("action_input", "tool_input", "arguments", "args", "parameters", "input", "tool_args", "kwargs")
_NAMED_INPUT_KEYS = ("arguments", "args", "parameters")


class ReactParseError(ValueError):
    """The error of a turn that is neither an action nor a final answer. Internal: the model is told."""


@dataclass(slots=True, frozen=True)
class Action:
    """The tool call that a turn asks for.

    Attributes:
        name: The tool, as the model wrote it.
        arguments: JSON text where the input can be read as JSON, however leniently; else the input as it stands.
    """

    name: str
    arguments: str


@dataclass(slots=True, frozen=True)
class Reading:
    """One turn as it was read.

    Attributes:
        thought: The text before the action or the answer.
        action: The action; None when there is a final answer.
        answer: The final answer's text, which is not empty; None when there is an action.
        kept: The turn without the observation that the model made up, and without what follows that.
        ignored: The names of further actions, which are not carried out.
    """

    thought: str
    action: Action | None
    answer: str | None
    kept: str
    ignored: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class _Found:
    """The next place in a text that decides what a turn is; one of `actions` and `answer` is there."""

    start: int
    end: int
    actions: tuple[Action, ...] = ()
    answer: str | None = None


@lru_cache(maxsize=256)
def read_turn(text: str) -> Reading:
    """Read one turn of a model.

    Raises:
        ReactParseError: there is a thought or a mark, and neither an action nor an answer follows; or nothing is there.
    """
    found = _next_found(text, 0)
    if found is None:
        return _without_mark(text)
    thought = _thought(text[: found.start])
    if found.answer is not None:
        return Reading(thought, None, _not_empty(found.answer), text)
    ignored, end = [action.name for action in found.actions[1:]], found.end
    made_up = _observation(text, end)  # a model that goes on makes up what its tool answers
    while (more := _next_found(text, end, made_up)) is not None and more.actions:
        ignored.extend(action.name for action in more.actions)
        end = more.end
        made_up = made_up if made_up >= end else _observation(text, end)
    return Reading(thought, found.actions[0], None, _closed(text[:end]), tuple(ignored))


def has_mark(text: str) -> bool:
    """Tell whether a text holds any mark of the protocol."""
    return _MARK.search(text) is not None


def _closed(text: str) -> str:
    # A turn is cut after its action, which may stand within a code fence.
    text = text.rstrip()
    return f"{text}\n```" if text.count("```") % 2 else text


def _observation(text: str, start: int) -> int:
    marks = (match.start() for match in _MARK.finditer(text, start) if _kind(match) == "observation")
    return next(marks, len(text))


def _without_mark(text: str) -> Reading:
    if inline := _INLINE_FINAL.search(text):
        return Reading(_thought(text[: inline.start()]), None, _not_empty(text[inline.end() :]), text)
    if has_mark(text):  # a thought alone, say: the model meant to follow the form
        raise ReactParseError(wording.react_neither())
    return Reading("", None, _not_empty(text), text)


def _not_empty(answer: str) -> str:
    answer = answer.strip()
    if not answer:
        raise ReactParseError(wording.react_empty())
    return answer


def _thought(text: str) -> str:
    lines = _FENCE.sub("", text).strip().removeprefix("```").strip()
    mark = _MARK.match(lines)
    return lines[mark.end() :].strip() if mark and _kind(mark) == "thought" else lines


def _kind(match: re.Match[str]) -> str:
    mark = re.sub(r"[ _-]", "", match.group("mark").lower())
    if mark.startswith("action") and mark != "action":
        return "input"
    return "answer" if mark == "finalanswer" else mark


def _next_found(text: str, start: int, stop: int | None = None) -> _Found | None:
    """Return the first action or final answer that begins from `start` on and before `stop`."""
    stop = len(text) if stop is None else stop
    pos = start
    while (match := _NEXT.search(text, pos)) is not None and match.start() < stop:
        if match.group("json"):
            found, pos = _in_json(text, match.start("json"), match.start())
        elif _kind(match) == "answer":
            return _Found(match.start(), len(text), answer=_unfenced(text, match))
        elif _kind(match) == "action":
            found, pos = _after_action(text, match)
        else:
            found, pos = None, match.end()
        if found is not None:
            return found
    return None


def _unfenced(text: str, match: re.Match[str]) -> str:
    answer = text[match.end() :]
    if text.count("```", 0, match.end()) % 2 == 0:
        return answer
    return _CLOSING.sub("", answer)


def _in_json(text: str, start: int, line: int) -> tuple[_Found | None, int]:
    """Return the call or the answer that a bracket at `start` begins, if any, and where the search goes on."""
    try:
        value = read_value(text, start)
    except NoValueError as error:
        return _broken(text, start, line), max(start + 1, error.pos)  # what is open there has no end either
    return _of_value(value, line), value.end


def _of_value(value: Value, line: int) -> _Found | None:
    calls = tuple(_calls(value))
    for name, arguments in calls[:1]:
        if name.strip().lower() in _FINAL_NAMES:
            return _Found(line, value.end, answer=_as_answer(arguments))
    actions = tuple(Action(name, _as_arguments(arguments)) for name, arguments in calls)
    if actions:
        return _Found(line, value.end, actions)
    final = value.member("final_answer")
    if final is not None and {key for key, _ in value.members} <= {"thought", "final_answer"}:
        return _Found(line, value.end, answer=_as_answer(final))
    return None


def _broken(text: str, start: int, line: int) -> _Found | None:
    """Return a call in JSON that cannot be read, so that the model is told what is wrong with its arguments."""
    match = _BROKEN_CALL.match(text, start)
    if match is None:
        return None
    end = _region_end(text, start)
    return _Found(line, end, (Action(match.group(1).strip(), _clean(text[start:end])),))


def _calls(value: Value, depth: int = 0) -> Iterator[tuple[str, str | None]]:
    """Yield the names and the inputs, as JSON text, of the calls that a value stands for."""
    if depth > 3:  # calls are wrapped once or twice at most
        return
    for item in value.items:
        if item.startswith("{"):
            yield from _calls(read_value(item), depth + 1)
    name = value.member(*_CALL_KEYS)
    inner = name if name is not None and name.startswith("{") else value.member("function", "function_call")
    if inner is not None and inner.startswith("{"):
        yield from _calls(read_value(inner), depth + 1)
    elif (tool := read_text(name)) is not None and tool.strip():
        yield tool.strip(), value.member(*_INPUT_KEYS)
    elif (tool := read_text(value.member("name"))) and (named := value.member(*_NAMED_INPUT_KEYS)) is not None:
        yield tool.strip(), named
    elif (several := value.member("tool_calls", "actions")) is not None and several.startswith("["):
        yield from _calls(read_value(several), depth + 1)


def _as_arguments(json_text: str | None) -> str:
    if json_text is None:
        return "{}"
    written = read_text(json_text)
    return json_text if written is None else _input_text(written)


def _as_answer(json_text: str | None) -> str:
    written = read_text(json_text)
    return (json_text or "") if written is None else written


def _after_action(text: str, mark: re.Match[str]) -> tuple[_Found | None, int]:
    """Return the action that follows its mark, if any, and where the search goes on; `Action: none` is no action."""
    end = _region_end(text, mark.end())
    begin = _after_opening(text, mark.end())
    if text[begin : begin + 1] in ("{", "["):
        found, _ = _in_json(text, begin, mark.start())
        if found is None or _is_complete(text, found):
            return found, max(end, found.end if found else end)
        name = found.actions[0].name
    else:
        # Models write "none" or a final answer's name where they want no action.
        line = text[begin:end].strip().partition("\n")[0]
        plain = line.strip(" \t`*\"'.[]").lower()
        if plain in _FINAL_NAMES:
            return _Found(mark.start(), len(text), answer=text[_after_input_mark(text, end) :]), len(text)
        match = None if plain in _NO_ACTION else _NAME.match(line)
        name = match.group(1).rstrip(".") if match is not None else ""
        if not name:
            return None, _after_input_mark(text, end)
    arguments, end = _input(text, begin, end)
    return _Found(mark.start(), end, (Action(name, arguments),)), end


def _is_complete(text: str, found: _Found) -> bool:
    """Tell whether a call in JSON has its input with it; else the input may follow under a mark of its own."""
    follows = _MARK.search(text, found.end)
    bare = len(found.actions) == 1 and found.actions[0].arguments == "{}"
    return not (bare and follows is not None and _kind(follows) == "input")


def _after_input_mark(text: str, start: int) -> int:
    """Return where the text goes on after an input's mark at `start`; without one there, `start`."""
    mark = _MARK.match(text, start)
    return mark.end() if mark is not None and _kind(mark) == "input" else start


def _after_opening(text: str, start: int) -> int:
    """Return where the text goes on after space and the opening of a code fence."""
    opening = _OPENING.match(text, start)
    return opening.end() if opening else start


def _region_end(text: str, start: int) -> int:
    mark = _MARK.search(text, start)
    return mark.start() if mark is not None else len(text)


def _input(text: str, begin: int, end: int) -> tuple[str, int]:
    """Return the input of an action whose name stands from `begin` to `end`, and where the input ends."""
    if (start := _after_input_mark(text, end)) > end:
        return _input_at(text, start)
    bracket = text.find("{", begin, end)  # a call as in code, or on one line: add({"a": 1})
    if bracket < 0:
        return "{}", end
    arguments, read = _object_at(text, bracket, end)
    return arguments, max(read, end)


def _input_at(text: str, start: int) -> tuple[str, int]:
    begin = _after_opening(text, start)
    end = _region_end(text, start)
    if text.startswith("{", begin):
        return _object_at(text, begin, end)
    return _input_text(text[begin : max(begin, end)]), max(begin, end)


def _object_at(text: str, begin: int, end: int) -> tuple[str, int]:
    """Return the JSON object at `begin`, and where it ends; what cannot be read as one stands as it is up to `end`."""
    try:
        value = read_value(text, begin)
    except NoValueError:
        return _clean(text[begin:end]), end
    return value.json, value.end


def _input_text(written: str) -> str:
    """Return the arguments in an input that does not begin with an object."""
    text = _clean(written)
    if text.lower() in _NO_INPUT:
        return "{}"
    bracket = text.find("{")
    if bracket < 0 or text[0] in "[(":
        return text
    try:
        value = read_value(text, 0 if text[0] == '"' else bracket)
    except NoValueError:
        return text
    quoted = read_text(value.json)
    return value.json if quoted is None else quoted


def _clean(text: str) -> str:
    return _CLOSING.sub("", text).strip().strip("`").strip()


def begins_answer(line: str, *, ended: bool) -> tuple[bool | None, int]:
    """Tell whether a line begins the final answer, while the turn is still being written.

    All lines before it must have left that open.

    Args:
        line: A line, or its beginning.
        ended: Whether the whole line is there.

    Returns:
        True and where the answer begins, when the line has the final answer's mark; False, when the turn is an action
        or can be told only from its end; None, when nothing is said yet.
    """
    start = line.lstrip(" \t")
    if "```" in line or start.startswith(("{", "[")):
        return False, 0
    match = _MARK.match(line)
    if match is None or _kind(match) == "thought":
        return None, 0
    if _kind(match) != "answer":
        return False, 0
    return (True if ended or match.end() < len(line) else None), match.end()


def may_become_mark(line: str) -> bool:
    """Tell whether what is there of a line may be the beginning of a mark."""
    return _UNFINISHED_MARK.match(line) is not None
