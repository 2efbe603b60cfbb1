"""Every text that we write to a model, in one place, so that people can read and change them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_LONGEST = 2_000


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
    close = difflib.get_close_matches(name, offered, n=3, cutoff=0.5)
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


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 14] + " … (shortened)"
