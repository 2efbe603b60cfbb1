"""Every text that we write to a model, in one place, so that people can read and change them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents.text import closest

_LONGEST = 2_000
CUT_MARK = "…"
"""Stands in the place of what was left out at the end of a value, a line or an error's own words."""
_FORM = "Your answer does not have the form that was asked for."
_CUT = "Your answer was cut off at the token limit. Answer again, more briefly."
_NOW = "No more tool calls are possible: "
_ONE_ACTION = "(Only your first action was carried out."
_UNREADABLE = "Your turn could not be read: "
_ATTACHED = "Images and files in the result of tool "
OBSERVATION = "Observation:"
"""What a tool's result begins with, as a user message of the text protocol."""


# Answers of the model.


def is_note(content: object) -> bool:
    """Whether a user message is one that we add ourselves: to have an answer mended or given, or to show results."""
    if isinstance(content, list):
        text = content[0].get("text") if content and isinstance(content[0], Mapping) else None
        return isinstance(text, str) and text.startswith(_ATTACHED)
    return isinstance(content, str) and content.startswith((_FORM, _CUT, _NOW, _UNREADABLE))


def answer_in_form(schema: str) -> str:
    """For a server that does not know `response_format`."""
    return f"Give your final answer as one JSON value, without any other text, that fits this JSON Schema:\n{schema}"


def answer_does_not_fit(problems: Sequence[str]) -> str:
    """The final answer does not fit the output type."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return _cut(f"{_FORM}\n{lines}\nAnswer again, with the JSON value alone.")


def not_json(reason: str) -> str:
    """A problem of a final answer: it is no JSON."""
    return f"not valid JSON: {reason}"


def answer_was_cut() -> str:
    """The answer met the token limit."""
    return _CUT


def in_short(told: str) -> str:
    """What is wrong with an answer, as one line for people, from what the model was told."""
    first, *lines = told.splitlines()
    if told.startswith(_FORM):
        return "it does not have the form that was asked for: " + "; ".join(
            line.removeprefix("- ") for line in lines if line.startswith("- ")
        )
    if told.startswith(_UNREADABLE):
        return first.removeprefix(_UNREADABLE).rpartition(". Write")[0]
    return "it was cut off at the token limit"


def limit_met(limit: str, bound: str) -> str:
    """A limit was met; also for people, in the result's errors."""
    return f"the run met its limit {limit}: {bound}"


def answer_now(limit: str) -> str:
    """A limit was met, and the model may answer once more, without tools."""
    return f"{_NOW}{limit}. Answer now, with what you have; say what is missing."


# Arguments: the message, its lines on one argument each, and what they are made of.


def invalid_arguments(tool: str, problems: Sequence[str]) -> str:
    """The arguments do not fit the tool's schema."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return _cut(
        f"Error: the arguments of tool {tool!r} are not valid, and it was not run.\n{lines}\n"
        "Correct them and call it again."
    )


def problems_in_one_line(tool: str, problems: Sequence[str]) -> str:
    """The same as `invalid_arguments`, for who calls `Tool.validate` in Python."""
    return f"invalid arguments for tool {tool!r}: {'; '.join(problems)}"


ALL_ARGUMENTS = "arguments"
"""Stands in the place of a path, where all arguments are meant."""


def problem(place: str, given: str, allowed: str) -> str:
    """A line on one argument: where it is, what was given, what is allowed."""
    return f"{place}: {given}, {allowed}"


def more_problems(count: int) -> str:
    """Stands after the first lines, where there are too many."""
    return f"and {count} more"


def given(value: str) -> str:
    """What was given, as JSON."""
    return f"{value} given"


def given_name(name: str) -> str:
    """What was given as the name of a value."""
    return f"the name {name} given"


def missing() -> str:
    """Nothing was given."""
    return "missing"


def required() -> str:
    """What is allowed: anything but nothing."""
    return "required"


def no_such_argument(known: Sequence[str]) -> str:
    """There is no argument of that name."""
    return f"no such argument; there are {', '.join(known)}" if known else "no such argument; there are none"


def not_allowed() -> str:
    """Nothing may stand there."""
    return "not allowed here"


_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def of_type(names: Sequence[str]) -> str:
    """What the keyword `type` asks for."""
    return "must be " + " or ".join(_TYPES[name] for name in names)


def one_of(values: Sequence[str]) -> str:
    """What the keywords `enum` and `const` ask for; the values are JSON."""
    return "must be " + " or ".join(values)


RULES = {
    "minimum": "must be at least {}",
    "exclusiveMinimum": "must be greater than {}",
    "maximum": "must be at most {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "additionalItems": "must have at most {} items",
    "uniqueItems": "must not have an item twice",
    "minProperties": "must have at least {} properties",
    "maxProperties": "must have at most {} properties",
    "pattern": "must match {}",
    "format": "must be a valid {}",
    "contentEncoding": "must be encoded in {}",
    "contentMediaType": "must be text of the type {}",
}
"""What each of these keywords of JSON Schema asks for."""


def rule(keyword: str, limit: object) -> str:
    """What one of the keywords in `RULES` asks for."""
    return RULES[keyword].format(limit)


def either(rules: Sequence[str]) -> str:
    """One of these rules must be kept."""
    first, *others = rules
    if all(rule.startswith("must be ") for rule in rules):
        others = [rule.removeprefix("must be ") for rule in others]
    return " or ".join([first, *others])


def must_not(rule: str) -> str:
    """The opposite of a rule."""
    return f"must not {rule.removeprefix('must ')}"


def fits(schema: str) -> str:
    """A JSON Schema that has no shorter words must be kept."""
    return f"must fit the schema {schema}"


def fits_one(schemas: Sequence[str]) -> str:
    """The keyword `oneOf`: these fit, and only one may."""
    return f"must fit only one of the schemas {' and '.join(schemas)}"


def holds_at_least(count: int, schema: str) -> str:
    """The keywords `contains` and `minContains`."""
    return f"must have at least {count} items that fit the schema {schema}"


def holds_at_most(count: int, schema: str) -> str:
    """The keywords `contains` and `maxContains`."""
    return f"must have at most {count} items that fit the schema {schema}"


def without_items(items: Sequence[str]) -> str:
    """The keyword `unevaluatedItems`, where nothing is allowed."""
    return f"must not have the items {', '.join(items)}"


def items_fit(items: Sequence[str], schema: str) -> str:
    """The keyword `unevaluatedItems`, where a schema is to be kept."""
    return f"must have in the place of {', '.join(items)} items that fit the schema {schema}"


def validators_words(message: str) -> str:
    """What pydantic says that has no words here, or a validator of the user's own."""
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should ", "must ", 1)


def broken_json(value: str, reason: str) -> str:
    """A problem: the arguments are no JSON."""
    return problem(ALL_ARGUMENTS, given(value), f"must be a JSON object: {reason}")


def half_a_pair() -> str:
    """Why a text is no JSON: it cannot be encoded."""
    return "half a surrogate pair"


def key_given_twice(key: str) -> str:
    """Why a text is not taken as JSON: one value would hide another."""
    return f"the key {key} is given twice"


def number_out_of_range(number: str) -> str:
    """Why a text is not taken as JSON: a number would become infinite."""
    return f"the number {number:.40} is out of range"


def no_json_values(reason: str) -> str:
    """A problem: arguments that were given in Python have no JSON form."""
    return f"{ALL_ARGUMENTS}: must be JSON values: {reason}"


def validator_broke(tool: str, error: BaseException) -> str:
    """A validator of the tool's own types raised what no validator should."""
    return _cut(f"tool {tool!r}: a validator of its argument types raised {type(error).__name__}: {error}")


# Calls that refer to each other.


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


def nothing_at(pointer: str) -> str:
    """Why a result has no such value."""
    return f"has no value at {pointer}"


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


# Tools.


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
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    if isinstance(cause, StopIteration | SystemExit | KeyboardInterrupt | GeneratorExit) and str(cause) not in text:
        text = f"{text}: {cause}"  # what cannot be handed on as it is, has its text in its cause
    return _cut(f"Error in tool {tool!r}: {type(error).__name__}" + (f": {text}" if text else "."))


def tool_raised(kind: str) -> str:
    """The tool raised what cannot be handed on."""
    return f"the tool raised {kind}"


def tool_timed_out(tool: str, seconds: float) -> str:
    """The tool did not end in time."""
    return f"Error in tool {tool!r}: it did not finish within {_seconds(seconds)} and was stopped."


def turn_not_given(tool: str, resource: str, seconds: float) -> str:
    """The tool needs a resource that a call holds which was given up and does not end."""
    return (
        f"Error: tool {tool!r} could not start: it waited {_seconds(seconds)} for {resource!r}, which an earlier call"
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


QUERY = "What to look for, in words."
"""The description of a retriever's and a query engine's one argument."""
RETRIEVES = "Finds the documents that fit a query best."
"""The description of a retriever that has none."""
ANSWERS = "Answers a question from the documents of an index, and gives the documents that the answer rests on."
"""The description of a query engine."""


def foreign_tool_error(tool: str, text: str) -> str:
    """A framework's own tool told an error instead of raising one."""
    return _cut(f"Error in tool {tool!r}: {text}")


def foreign_command(tool: str, what: str, framework: str) -> str:
    """A framework's own tool gave an order to its framework, in the place of a result."""
    return f"tool {tool!r} gave a {what}, which only {framework} can carry out"


# Results.


def unusable_result(tool: str, reason: str) -> str:
    """The tool returned what cannot be told to a model."""
    return _cut(f"Error in tool {tool!r}: its result cannot be shown: {reason}")


def no_json_form(reason: str) -> str:
    """The tool returned what is no JSON value."""
    return f"the tool's result has no JSON form: {reason}; return text or JSON-like values"


def not_finite(value: float, pointer: str) -> str:
    """Why a value has no JSON form: a number that JSON cannot say, and where it stands."""
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return f"{name} at {pointer}" if pointer else name


def unfit_key(key: str, kind: str, pointer: str) -> str:
    """Why a value has no JSON form: a key that is neither text nor a number, and where it stands."""
    return f"the key {key} is a {kind}" + (f", at {pointer}" if pointer else "")


def is_not_json(kind: str) -> str:
    """Why a value has no JSON form: its type."""
    return f"{kind} is not JSON"


def too_deep() -> str:
    """Why a value has no JSON form: there is no end to it."""
    return "it is nested too deeply, or holds itself"


def cut_result(length: int, kept: int) -> str:
    """The tool's result was too long; stands after what was kept of it."""
    return f"\n[cut: the result has {_counted(length, 'character')}, and these were the first {kept:,}]"


def attached_result(tool: str, call_id: str) -> str:
    """What a tool returned stands in a user message; before the parts of each call."""
    return f"{_ATTACHED}{tool!r} (call {call_id}), in their order:"


def image(mime_type: str, size: int) -> str:
    """An image, where only text is taken; the size is in bytes."""
    return f"[image {mime_type}, {_amount(size)}]"


def file(name: str, mime_type: str, size: int) -> str:
    """A file, where only text is taken; the size is in bytes."""
    return f"[file {name}, {mime_type}, {_amount(size)}]"


# MCP servers.


def mcp_tool_error(tool: str, text: str) -> str:
    """An MCP server's tool says that it failed."""
    if text.lower().startswith("error"):
        return _cut(text)
    return _cut(f"Error in tool {tool!r}: {text}")


def mcp_no_reason() -> str:
    """An MCP server's tool says that it failed, and no more."""
    return "the tool failed and gave no reason"


def mcp_protocol_error(tool: str, server: str, reason: str) -> str:
    """An MCP server answered with a protocol error, or with what is no answer."""
    return _cut(f"Error in tool {tool!r}: protocol error of {mcp_server(server)}: {reason}")


def mcp_said(message: str, code: int) -> str:
    """What an MCP server's protocol error says."""
    return f"{message} (code {code})"


def mcp_unfit_answer(faults: int, kind: str) -> str:
    """What is wrong with an MCP server's answer."""
    return f"its answer is no valid MCP: {_counted(faults, 'fault')} in {kind}"


def mcp_server_lost(tool: str, server: str, cause: str) -> str:
    """An MCP server ended while a call was under way."""
    because = f" ({cause})" if cause else ""
    return _cut(
        f"Error in tool {tool!r}: {mcp_server(server)} ended during the call{because}."
        " Whether the call took effect is not known. The server is started again for the next call."
    )


def mcp_server_unavailable(tool: str, server: str, reason: str) -> str:
    """An MCP server had ended, and starting it again failed."""
    return _cut(f"Error in tool {tool!r}: {mcp_server(server)} is gone and cannot be started again: {reason}")


def mcp_server(server: str) -> str:
    """What an MCP server is called."""
    return f"MCP server {server!r}"


def mcp_not_opened(server: str, reason: str) -> str:
    """An MCP server cannot be used; at first for people, and for the model when the server is started again."""
    return f"{mcp_server(server)}: {reason}"


def mcp_not_ready(seconds: float) -> str:
    """Why an MCP server cannot be used: it takes too long."""
    return f"not ready in {_seconds(seconds)}"


def mcp_not_usable(place: str, reason: str) -> str:
    """Why an MCP server cannot be used: its program, or what is at its URL, is none."""
    return f"{place} cannot be used: {reason}"


def mcp_no_server(place: str, reason: str) -> str:
    """Why an MCP server cannot be used: it refuses what each one must answer."""
    return f"{place} does not look like an MCP server: it refused the first request: {reason}"


def mcp_no_message(line: str) -> str:
    """Stands after why an MCP server cannot be used, where it wrote what is no message; the line is JSON."""
    return f"; it wrote {line} to its standard output, which is no MCP message"


def mcp_last_words(text: str) -> str:
    """What an MCP server wrote last; stands after why it cannot be used."""
    return f"; its last words: {text}"


def mcp_closed() -> str:
    """Why an MCP server cannot be used: we have hung up."""
    return "its connection is closed"


def mcp_ended_early() -> str:
    """Why an MCP server cannot be used: it ended."""
    return "it ended before it was ready"


def mcp_endless_list(pages: int) -> str:
    """Why an MCP server cannot be used: it never stops listing tools."""
    return f"its list of tools does not end after {pages} pages"


def mcp_forgets() -> str:
    """Why an MCP server cannot be used: each call would need a session of its own."""
    return "the server keeps forgetting its sessions"


def mcp_no_program(program: str) -> str:
    """Why an MCP server cannot be used: there is no such program."""
    return f"{program} is not found: install it, or give its full path"


def mcp_resource(uri: str, text: str) -> str:
    """A text resource in an MCP result."""
    return f"[resource {uri}]\n{text}"


def mcp_link(name: str, uri: str, about: str) -> str:
    """A link to a resource in an MCP result."""
    return f"[link to resource {name}: {uri}{f' ({about})' if about else ''}]"


def mcp_broken_data(name: str, mime_type: str) -> str:
    """An image, a sound or a file in an MCP result that cannot be read."""
    return f"[{name} {mime_type:.80}: the server's data is not valid base64, or has no MIME type]"


HIDDEN = "***"
"""Stands in the place of a secret in an answer of an OpenAPI server."""


def hidden(variable: str) -> str:
    """Stands in the place of a secret in what an MCP server says; names the environment variable."""
    return f"[{variable}]"


# OpenAPI servers, and where calls may go.


DEPRECATED = "Deprecated."
"""Stands at the end of an operation's description."""


def operation_without_words(method: str, path: str) -> str:
    """The description of an operation that has none."""
    return f"{method} {path}"


def text_body(media_type: str) -> str:
    """The description of a body that is a text."""
    return f"The text itself, as {media_type}."


def binary_body() -> str:
    """The description of a body that is a file."""
    return "The content as text; if it is no text, as a data URL, such as data:image/png;base64,iVBORw0KGgo="


def form_with_files(names: Sequence[str]) -> str:
    """The description of a form some of whose fields are files."""
    return f"Files ({', '.join(f'`{name}`' for name in names)}): {binary_body()}"


def http_failed(status: int, phrase: str, message: str) -> str:
    """A server refused a call, or failed."""
    return f"HTTP {status} {phrase}".rstrip() + (f": {message}" if message else "")


def http_no_credential(schemes: str) -> str:
    """Stands after a refusal, where that may be the reason."""
    return f" (no credential is configured for {schemes})"


def http_empty(status: int, phrase: str) -> str:
    """A server carried a call out and said nothing."""
    return f"HTTP {status} {phrase}".rstrip() + ", without content"


def http_too_long(status: int, longest: int) -> str:
    """An answer that is not read to its end."""
    most = _counted(longest, "byte")
    return f"HTTP {status}: the answer is longer than {most}: ask for less, or raise max_response_bytes"


def http_redirect(target: str) -> str:
    """A redirect that leads elsewhere."""
    return f"the server answered with a redirect to {target}, which is not followed"


def http_form_redirect() -> str:
    """A redirect of what can be sent once only."""
    return "the server answered a form with a redirect, which is not followed"


def http_redirects(host: str, most: int) -> str:
    """Redirects without an end."""
    return f"{host} redirects more than {most} times"


def http_timed_out(host: str, seconds: float) -> str:
    """No answer came in time."""
    return f"{host} did not answer within {_seconds(seconds)}"


def http_unreachable(host: str, reason: str) -> str:
    """No connection could be made."""
    return f"{host} cannot be reached: {reason}"


def http_broke(host: str, kind: str) -> str:
    """The call broke."""
    return f"the call to {host} failed: {kind}"


def http_only(scheme: str) -> str:
    """A call may not go there: it is no place in the web."""
    return f"calls go to http and https only, not to {scheme or 'a place without a scheme'}"


def http_host_refused(host: str) -> str:
    """A call may not go there: the config does not name the host."""
    return f"calls to {host} are not allowed: add it to allow_hosts"


def http_private(host: str) -> str:
    """A call may not go there: it is this machine or its own network."""
    return f"{host} is not a public address: calls to it need allow_private: true"


def stands_for_private(host: str, address: str) -> str:
    """A name leads to this machine or its own network."""
    return f"{host} stands for {address}, this machine or a private network"


def not_looked_up(host: str, reason: str) -> str:
    """A name leads nowhere."""
    return f"{host} cannot be looked up: {reason}"


def allow_private(refusal: str) -> str:
    """What an MCP server's config must say, for a call that was refused."""
    return f"{refusal}: set allow_private: true to allow it"


def empty_in_path(argument: str) -> str:
    """An argument would name another path."""
    return f"{argument} is part of the path and must not be empty"


def dots_in_path() -> str:
    """The arguments would name another path."""
    return "'.' and '..' cannot stand in the path"


def control_in_header(argument: str) -> str:
    """An argument would end its header."""
    return f"{argument} goes into a header and must be one line of printable text"


def form_is_no_object() -> str:
    """A form has names."""
    return "the body of a form must be an object"


def broken_data_url(reason: str) -> str:
    """A file that the model gave cannot be read."""
    return f"the data URL is not valid base64: {reason}"


# The text protocol.


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


def observed(text: str) -> str:
    """The tool's result in an observation."""
    return text.removeprefix(OBSERVATION).partition(f"\n\n{_ONE_ACTION}")[0].strip()


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


def react_neither() -> str:
    """Why a turn cannot be read: it says that something comes, and nothing does."""
    return "it has neither an action with a tool's name nor a final answer"


def react_empty() -> str:
    """Why a turn cannot be read: nothing stands after the mark."""
    return "the final answer is empty"


def react_no_action() -> str:
    """A turn is an action where none is possible any more."""
    return f"{_UNREADABLE}no more actions are possible. Write\nThought: …\nFinal Answer: …"


def react_one_action(ignored: Sequence[str]) -> str:
    """A turn held several actions; stands after the result of the first."""
    return _cut(f"{_ONE_ACTION} Write one in a turn. Not carried out: {', '.join(ignored)}.)")


def _seconds(seconds: float) -> str:
    return "1 second" if seconds == 1 else f"{seconds:g} seconds"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _amount(size: int) -> str:
    if size < 1_000:
        return _counted(size, "byte")
    return f"{size / 1_000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 14] + " … (shortened)"
