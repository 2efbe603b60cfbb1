"""Messages about tools that are unknown or failed, and descriptions of tools that have none."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.text import closest, text_of
from unified_agents.wording.common import in_seconds, shortened

_MAX_LISTED = 1_000
"""More names are not put together, as the message is cut to fewer characters."""


def unknown_tool(name: str, offered: Sequence[str], *, searches: bool = True) -> str:
    """Tell the model that there is no such tool, and which are close to it.

    Args:
        name: What the model wrote.
        offered: The names of the tools that there are.
        searches: Whether the closest names are sought.
    """
    if not offered:
        return shortened(f"Error: there is no tool {name!r}; no tools are available. Answer without one.")
    close = closest(name, offered, most=3, cutoff=0.5) if searches else []
    hint = (
        f"The closest names: {', '.join(close)}." if close else f"Available tools: {', '.join(offered[:_MAX_LISTED])}."
    )
    return shortened(f"Error: there is no tool {name!r}. {hint}")


def tool_failed(tool: str, error: BaseException) -> str:
    """Tell the model that a tool raised an error."""
    text = text_of(error).strip()
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    if isinstance(cause, StopIteration | SystemExit | KeyboardInterrupt | GeneratorExit) and text_of(cause) not in text:
        text = f"{text}: {text_of(cause)}"  # what cannot be handed on as it is, has its text in its cause
    return shortened(f"Error in tool {tool!r}: {type(error).__name__}" + (f": {text}" if text else "."))


def tool_raised(kind: str) -> str:
    """Say that a tool raised an exception that cannot be passed on."""
    return f"the tool raised {kind}"


def tool_timed_out(tool: str, seconds: float, *, runs_on: bool = False) -> str:
    """Tell the model that a tool did not end in time, and whether it runs on: then its effects may still come."""
    end = ", cannot be stopped, and may still take effect" if runs_on else " and was stopped"
    return f"Error in tool {tool!r}: it did not finish within {in_seconds(seconds)}{end}."


def turn_not_given(tool: str, resource: str, seconds: float) -> str:
    """Tell the model that a tool could not start, because an earlier call still holds its resource."""
    return (
        f"Error: tool {tool!r} could not start: it waited {in_seconds(seconds)} for {resource!r}, which an earlier call"
        " uses that was stopped and does not end."
    )


def tool_gave_up(tool: str, error: BaseException, attempts: int) -> str:
    """Tell the model that a tool failed at each attempt."""
    return shortened(
        f"{tool_failed(tool, error).rstrip('.')}. It was tried {attempts} times; do not repeat it at once."
    )


def tool_timed_out_again(last: str, attempts: int) -> str:
    """Tell the model that a tool did not end in time at any attempt, after what it is told of the last."""
    return f"{last} It was tried {attempts} times."


def tool_process_failed(tool: str, kind: str, text: str) -> str:
    """Tell the model that a tool raised an error in its own process."""
    return shortened(f"Error in tool {tool!r}: {kind}" + (f": {text.strip()}" if text.strip() else "."))


def tool_not_importable(tool: str, where: str) -> str:
    """Tell the model that the function of an isolated tool cannot be imported by its name."""
    return shortened(
        f"Error in tool {tool!r}: it cannot run in a process of its own, because {where} does not lead to its function;"
        " it must stand at the top of a module that can be imported."
    )


def tool_process_ended(tool: str, code: int) -> str:
    """Tell the model that the process of a tool ended before it gave a result."""
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"Error in tool {tool!r}: its process {how} before it gave a result."


QUERY = "What to look for, in words."
"""The description of a retriever's and a query engine's one argument."""


RETRIEVES = "Finds the documents that fit a query best."
"""The description of a retriever that has none."""


ANSWERS = "Answers a question from the documents of an index, and gives the documents that the answer rests on."
"""The description of a query engine."""


def foreign_tool_error(tool: str, text: str) -> str:
    """Tell the model that a framework's own tool returned an error."""
    return shortened(f"Error in tool {tool!r}: {text}")


def foreign_command(tool: str, what: str, framework: str) -> str:
    """Say that a framework's own tool returned a command for its framework in place of a result."""
    return f"tool {tool!r} gave a {what}, which only {framework} can carry out"


def call_without_result() -> str:
    """Tell the model of a call in an earlier turn whose result the conversation does not have."""
    return "This call has no result: the run ended before it. Whether it took effect is not known."


def alternatives(choices: Sequence[Sequence[str]]) -> str:
    """Tell the model which arguments go together, where a schema has alternatives."""
    return "Give one of these sets of arguments: " + "; or ".join(", ".join(names) for names in choices) + "."


def return_direct(tool: str) -> str:
    """Warn that a tool's `return_direct` has no effect."""
    return f"tool {tool!r}: return_direct has no effect here: its result goes to the model, which answers with it"


def call_denied(tool: str, reason: str) -> str:
    """Tell the model that somebody did not allow a call."""
    because = f": {reason.strip()}" if reason.strip() else ""
    return shortened(f"Error: the call of tool {tool!r} was not allowed, and was not carried out{because}")
