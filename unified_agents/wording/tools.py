"""A tool that is unknown or failed."""

from __future__ import annotations

from collections.abc import Sequence

from unified_agents.text import closest
from unified_agents.wording.common import in_seconds, shortened


def unknown_tool(name: str, offered: Sequence[str]) -> str:
    """There is no such tool."""
    if not offered:
        return shortened(f"Error: there is no tool {name!r}; no tools are available. Answer without one.")
    close = closest(name, offered, most=3, cutoff=0.5)
    hint = f"The closest names: {', '.join(close)}." if close else f"Available tools: {', '.join(offered)}."
    return shortened(f"Error: there is no tool {name!r}. {hint}")


def tool_failed(tool: str, error: BaseException) -> str:
    """The tool raised."""
    text = str(error).strip()
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    if isinstance(cause, StopIteration | SystemExit | KeyboardInterrupt | GeneratorExit) and str(cause) not in text:
        text = f"{text}: {cause}"  # what cannot be handed on as it is, has its text in its cause
    return shortened(f"Error in tool {tool!r}: {type(error).__name__}" + (f": {text}" if text else "."))


def tool_raised(kind: str) -> str:
    """The tool raised what cannot be handed on."""
    return f"the tool raised {kind}"


def tool_timed_out(tool: str, seconds: float) -> str:
    """The tool did not end in time."""
    return f"Error in tool {tool!r}: it did not finish within {in_seconds(seconds)} and was stopped."


def turn_not_given(tool: str, resource: str, seconds: float) -> str:
    """The tool needs a resource that a call holds which was given up and does not end."""
    return (
        f"Error: tool {tool!r} could not start: it waited {in_seconds(seconds)} for {resource!r}, which an earlier call"
        " uses that was stopped and does not end."
    )


def tool_gave_up(tool: str, error: BaseException, attempts: int) -> str:
    """The tool failed for now, at each attempt."""
    return shortened(
        f"{tool_failed(tool, error).rstrip('.')}. It was tried {attempts} times; do not repeat it at once."
    )


def tool_timed_out_again(tool: str, seconds: float, attempts: int) -> str:
    """The tool did not end in time, at each attempt."""
    return f"{tool_timed_out(tool, seconds)} It was tried {attempts} times."


def tool_process_failed(tool: str, kind: str, text: str) -> str:
    """The tool raised, in a process of its own."""
    return shortened(f"Error in tool {tool!r}: {kind}" + (f": {text.strip()}" if text.strip() else "."))


def tool_not_importable(tool: str, where: str) -> str:
    """The function of an isolated tool cannot be found by its name."""
    return shortened(
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
    return shortened(f"Error in tool {tool!r}: {text}")


def foreign_command(tool: str, what: str, framework: str) -> str:
    """A framework's own tool gave an order to its framework, in the place of a result."""
    return f"tool {tool!r} gave a {what}, which only {framework} can carry out"
