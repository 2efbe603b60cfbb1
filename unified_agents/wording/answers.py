"""What is wrong with an answer of the model, and what it shall do at a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unified_agents.wording.common import ATTACHED, UNREADABLE, shortened

_FORM = "Your answer does not have the form that was asked for."
_CUT = "Your answer was cut off at the token limit. Answer again, more briefly."
_NOW = "No more tool calls are possible: "


def is_note(content: object) -> bool:
    """Whether a user message is one that we add ourselves: to have an answer mended or given, or to show results."""
    if isinstance(content, list):
        text = content[0].get("text") if content and isinstance(content[0], Mapping) else None
        return isinstance(text, str) and text.startswith(ATTACHED)
    return isinstance(content, str) and content.startswith((_FORM, _CUT, _NOW, UNREADABLE))


def answer_in_form(schema: str) -> str:
    """For a server that does not know `response_format`."""
    return f"Give your final answer as one JSON value, without any other text, that fits this JSON Schema:\n{schema}"


def answer_does_not_fit(problems: Sequence[str]) -> str:
    """The final answer does not fit the output type."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return shortened(f"{_FORM}\n{lines}\nAnswer again, with the JSON value alone.")


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
    if told.startswith(UNREADABLE):
        return first.removeprefix(UNREADABLE).rpartition(". Write")[0]
    return "it was cut off at the token limit"


def limit_met(limit: str, bound: str) -> str:
    """A limit was met; also for people, in the result's errors."""
    return f"the run met its limit {limit}: {bound}"


def answer_now(limit: str) -> str:
    """A limit was met, and the model may answer once more, without tools."""
    return f"{_NOW}{limit}. Answer now, with what you have; say what is missing."


# Arguments: the message, its lines on one argument each, and what they are made of.


# Calls that refer to each other.


# Tools.


# Results.


# MCP servers.


# OpenAPI servers, and where calls may go.


# The text protocol.
