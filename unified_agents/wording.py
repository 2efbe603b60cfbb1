"""Every text that we write to a model, in one place, so that people can read and change them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents.spelling import closest

_LONGEST = 2_000
_FORM = "Your answer does not have the form that was asked for."
_CUT = "Your answer was cut off at the token limit. Answer again, more briefly."
_NOW = "No more tool calls are possible: "
_ONE_ACTION = "(Only your first action was carried out."
_UNREADABLE = "Your turn could not be read: "
_ATTACHED = "Images and files in the result of tool "
OBSERVATION = "Observation:"
"""What a tool's result begins with, as a user message of the text protocol."""


def is_note(content: object) -> bool:
    """Whether a user message is one that we add ourselves: to have an answer mended or given, or to show results."""
    if isinstance(content, list):
        text = content[0].get("text") if content and isinstance(content[0], Mapping) else None
        return isinstance(text, str) and text.startswith(_ATTACHED)
    return isinstance(content, str) and content.startswith((_FORM, _CUT, _NOW, _UNREADABLE))


def invalid_arguments(tool: str, problems: Sequence[str]) -> str:
    """The arguments do not fit the tool's schema."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return _cut(
        f"Error: the arguments of tool {tool!r} are not valid, and it was not run.\n{lines}\n"
        "Correct them and call it again."
    )


def unknown_tool(name: str, offered: Sequence[str]) -> str:
    """There is no such tool."""
    if not offered:
        return _cut(f"Error: there is no tool {name!r}; no tools are available. Answer without one.")
    close = closest(name, offered, most=3, cutoff=0.5)
    hint = f"The closest names: {', '.join(close)}." if close else f"Available tools: {', '.join(offered)}."
    return _cut(f"Error: there is no tool {name!r}. {hint}")


def tool_failed(tool: str, error: BaseException) -> str:
    """The tool raised."""
    text = str(error).strip()
    return _cut(f"Error in tool {tool!r}: {type(error).__name__}" + (f": {text}" if text else "."))


def unusable_result(tool: str, reason: str) -> str:
    """The tool returned what cannot be told to a model."""
    return _cut(f"Error in tool {tool!r}: its result cannot be shown: {reason}")


def tool_timed_out(tool: str, seconds: float) -> str:
    """The tool did not end in time."""
    return f"Error in tool {tool!r}: it did not finish within {seconds:g} seconds and was stopped."


def turn_not_given(tool: str, resource: str, seconds: float) -> str:
    """The tool needs a resource that a call holds which was given up and does not end."""
    return (
        f"Error: tool {tool!r} could not start: it waited {seconds:g} seconds for {resource!r}, which an earlier call"
        " uses that was stopped and does not end."
    )


def tool_gave_up(tool: str, error: BaseException, attempts: int) -> str:
    """The tool failed for now, at each attempt."""
    return _cut(f"{tool_failed(tool, error).rstrip('.')}. It was tried {attempts} times; do not repeat it at once.")


def tool_timed_out_again(tool: str, seconds: float, attempts: int) -> str:
    """The tool did not end in time, at each attempt."""
    return f"{tool_timed_out(tool, seconds)} It was tried {attempts} times."


def tool_process_failed(tool: str, kind: str, text: str) -> str:
    """The tool raised, in a process of its own."""
    return _cut(f"Error in tool {tool!r}: {kind}" + (f": {text.strip()}" if text.strip() else "."))


def tool_not_importable(tool: str, where: str) -> str:
    """The function of an isolated tool cannot be found by its name."""
    return _cut(
        f"Error in tool {tool!r}: it cannot run in a process of its own, because {where} does not lead to its function;"
        " it must stand at the top of a module that can be imported."
    )


def tool_process_ended(tool: str, code: int) -> str:
    """The process of a tool ended before it gave a result."""
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"Error in tool {tool!r}: its process {how} before it gave a result."


REFERENCES = (
    "Calls of one turn may use each other's results: where an argument shall be the result of another call of the same"
    ' turn, write the object {"$call": N} in its place, with N the position of that call in the turn, counted from 0;'
    ' {"$call": N, "path": "/rows/0/name"} takes one value of a JSON result, named by a JSON Pointer. The object stands'
    " for the whole value of an argument or of an element within it, never for a part of a text. Such a call waits for"
    " the other; calls that do not refer to each other run at once."
)
"""How calls of one turn refer to each other; for the system text, where `tool_references` is on."""


def malformed_reference() -> str:
    """A problem of an argument: an object with `$call` is no reference."""
    return 'a reference is {"$call": N} or {"$call": N, "path": "/…"}, with N the position of a call, and no other keys'


def malformed_pointer(given: str) -> str:
    """A problem of an argument: the path of a reference is none."""
    return f'the path {given} is no JSON Pointer, such as "/rows/0/name"'


def no_such_call(given: str, calls: int) -> str:
    """A problem of an argument: a reference to a call that is not there."""
    return f"there is no call {given} in this turn: its calls are 0 to {calls - 1}"


def no_such_value(place: str, call: int, reason: str) -> str:
    """A problem of an argument: a reference to a value that the other call's result does not have."""
    return f"{place}: the result of call {call} {reason}"


def calls_in_a_circle(tool: str, circle: Sequence[int]) -> str:
    """Calls of one turn wait for each other."""
    chain = " → ".join(f"call {place}" for place in circle)
    return _cut(
        f"Error: tool {tool!r} was not run: its arguments refer to results in a circle ({chain})."
        " Break the circle, and make the calls again."
    )


def awaited_call_failed(tool: str, place: int, other: str) -> str:
    """A call that another one refers to gave no result."""
    return _cut(
        f"Error: tool {tool!r} was not run: it needs the result of call {place} ({other!r}), which failed."
        " Mend that call first."
    )


def answer_in_form(schema: str) -> str:
    """For a server that does not know `response_format`."""
    return f"Give your final answer as one JSON value, without any other text, that fits this JSON Schema:\n{schema}"


def answer_does_not_fit(problems: Sequence[str]) -> str:
    """The final answer does not fit the output type."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return _cut(f"{_FORM}\n{lines}\nAnswer again, with the JSON value alone.")


def answer_was_cut() -> str:
    """The answer met the token limit."""
    return _CUT


def answer_now(limit: str) -> str:
    """A limit was met, and the model may answer once more, without tools."""
    return f"{_NOW}{limit}. Answer now, with what you have; say what is missing."


def react_instructions(tools: Sequence[tuple[str, str, Mapping[str, Any]]]) -> str:
    """The text protocol: the tools, each with name, description and JSON Schema, and the form of a turn."""
    described = "\n\n".join(
        f"{name}: {description}\nArguments (JSON Schema): {json.dumps(schema, ensure_ascii=False)}"
        for name, description, schema in tools
    )
    return (
        f"You can use these tools:\n\n{described}\n\n"
        "To use one, write these three lines, and nothing after them:\n\n"
        "Thought: what you think\nAction: the name of one tool\nAction Input: its arguments, as one JSON object\n\n"
        f'Use one tool in a turn. Its result comes in the next message, after "{OBSERVATION}"; never write that '
        "yourself.\n"
        "When you know the answer, write:\n\n"
        "Thought: what you think\nFinal Answer: your answer"
    )


def is_observation(message: Mapping[str, Any]) -> bool:
    """Whether a message is a tool's result, as the text protocol writes it."""
    content = message.get("content")
    return message.get("role") == "user" and isinstance(content, str) and content.startswith(OBSERVATION)


def observation(content: str) -> str:
    """A tool's result, as the text protocol writes it."""
    return f"{OBSERVATION} {content}"


def react_turn(thought: str, actions: Sequence[tuple[str, str]]) -> str:
    """A turn of an earlier conversation, as the text protocol writes it."""
    lines = [f"Action: {name}\nAction Input: {arguments}" for name, arguments in actions]
    return "\n".join([f"Thought: {thought.strip() or 'I use a tool.'}", *lines])


def react_answer(thought: str, answer: str) -> str:
    """A final answer, as the text protocol writes it."""
    return f"Thought: {thought.strip() or 'I know the answer.'}\nFinal Answer: {answer}"


def react_unreadable(reason: str) -> str:
    """A turn is neither an action nor a final answer."""
    return (
        f"{_UNREADABLE}{reason}. Write either\nThought: …\nAction: the name of one tool\n"
        "Action Input: one JSON object\nor\nThought: …\nFinal Answer: …"
    )


def react_no_action() -> str:
    """A turn is an action where none is possible any more."""
    return f"{_UNREADABLE}no more actions are possible. Write\nThought: …\nFinal Answer: …"


def react_one_action(ignored: Sequence[str]) -> str:
    """A turn held several actions; stands after the result of the first."""
    return _cut(f"{_ONE_ACTION} Write one in a turn. Not carried out: {', '.join(ignored)}.)")


def observed(text: str) -> str:
    """The tool's result in an observation."""
    return text.removeprefix(OBSERVATION).partition(f"\n\n{_ONE_ACTION}")[0].strip()


def cut_result(length: int, kept: int) -> str:
    """The tool's result was too long; stands after what was kept of it."""
    return f"\n[cut: the result has {length:,} characters, and these were the first {kept:,}]"


def attached_result(tool: str, call_id: str) -> str:
    """What a tool returned stands in a user message; before the parts of each call."""
    return f"{_ATTACHED}{tool!r} (call {call_id}), in their order:"


def foreign_tool_error(tool: str, text: str) -> str:
    """A framework's own tool told an error instead of raising one."""
    return _cut(f"Error in tool {tool!r}: {text}")


def mcp_tool_error(tool: str, text: str) -> str:
    """An MCP server's tool says that it failed."""
    if text.lower().startswith("error"):
        return _cut(text)
    return _cut(f"Error in tool {tool!r}: {text}")


def mcp_protocol_error(tool: str, server: str, reason: str) -> str:
    """An MCP server answered with a protocol error, or with what is no answer."""
    return _cut(f"Error in tool {tool!r}: protocol error of MCP server {server!r}: {reason}")


def mcp_server_lost(tool: str, server: str, cause: str) -> str:
    """An MCP server ended while a call was under way."""
    because = f" ({cause})" if cause else ""
    return _cut(
        f"Error in tool {tool!r}: MCP server {server!r} ended during the call{because}."
        " Whether the call took effect is not known. The server is started again for the next call."
    )


def mcp_server_unavailable(tool: str, server: str, reason: str) -> str:
    """An MCP server had ended, and starting it again failed."""
    return _cut(f"Error in tool {tool!r}: MCP server {server!r} is gone and cannot be started again: {reason}")


def http_failed(status: int, phrase: str, message: str) -> str:
    """A server refused a call, or failed."""
    return f"HTTP {status} {phrase}".rstrip() + (f": {message}" if message else "")


def http_empty(status: int, phrase: str) -> str:
    """A server carried a call out and said nothing."""
    return f"HTTP {status} {phrase}".rstrip() + ", without content"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 14] + " … (shortened)"
