"""Messages about the final answer: what is wrong with it, and that a limit is met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unified_agents.wording.common import ATTACHED, UNREADABLE, shortened

_FORM = "Your answer does not have the form that was asked for."
_CUT = "Your answer was cut off at the token limit. Answer again, more briefly."
_NOW = "No more tool calls are possible: "
_SUMMARISE = (
    "Summarise this conversation for yourself: what the user wants and has told you, what was decided, what tools have"
    " found or done, with names, numbers and ids, and what is still open. Later you will be given the summary in place"
    " of the conversation. Answer with the summary alone."
)
_SUMMARY = "This is a summary of the conversation until here:"
_UNREADABLE_CALLS = "Tool calls of your answer could not be read, and none of them was made."


WHOLE_ANSWER = "the answer"
"""The place of a problem that concerns the whole answer."""


def is_note(content: object) -> bool:
    """Tell whether a user message is one that we add: it asks for another answer, or shows images and files."""
    if isinstance(content, list):
        text = content[0].get("text") if content and isinstance(content[0], Mapping) else None
        return isinstance(text, str) and text.startswith(ATTACHED)
    return isinstance(content, str) and content.startswith((_FORM, _CUT, _NOW, _UNREADABLE_CALLS, UNREADABLE))


def answer_in_form(schema: str) -> str:
    """Ask for an answer that fits the schema, for a server without `response_format`."""
    return f"Give your final answer as one JSON value, without any other text, that fits this JSON Schema:\n{schema}"


def answer_does_not_fit(problems: Sequence[str]) -> str:
    """Tell the model that its final answer does not fit the output type."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    return shortened(f"{_FORM}\n{lines}\nAnswer again, with the JSON value alone.")


def no_such_key(known: Sequence[str]) -> str:
    """Say that the answer may have no key of that name, and which there are."""
    return f"no such key; there are {', '.join(known)}" if known else "no such key; there are none"


def not_json(reason: str) -> str:
    """Describe a final answer that is no JSON."""
    return f"not valid JSON: {reason}"


def answer_was_cut() -> str:
    """Tell the model that its answer met the token limit."""
    return _CUT


def in_short(told: str) -> str:
    """Shorten what the model was told about an answer to one line for people."""
    first, *lines = told.splitlines()
    if told.startswith(_FORM):
        return "it does not have the form that was asked for: " + "; ".join(
            line.removeprefix("- ") for line in lines if line.startswith("- ")
        )
    if told.startswith(UNREADABLE):
        return first.removeprefix(UNREADABLE).rpartition(". Write")[0]
    return "it was cut off at the token limit"


def limit_met(limit: str, bound: str) -> str:
    """Say which limit of the run was met; for people too, in the errors of the result."""
    return f"the run met its limit {limit}: {bound}"


def answer_now(limit: str) -> str:
    """Ask the model to answer once more, without tools, because a limit was met."""
    return f"{_NOW}{limit}. Answer now, with what you have; say what is missing."


def summarise_now() -> str:
    """Ask the model, at the end of a conversation, for a summary that later turns are given in its place."""
    return _SUMMARISE


def summary_of_turns(summary: str) -> str:
    """Tell the model what was said in the turns that it is no longer given."""
    return f"{_SUMMARY}\n\n{summary}"


def calls_cannot_be_read(problems: Sequence[str]) -> str:
    """Ask for the whole answer again, because arguments of its tool calls are no JSON object."""
    lines = "\n".join(f"- {problem}" for problem in problems)
    again = "Give the whole answer again, with the arguments of each call as one JSON object."
    return shortened(f"{_UNREADABLE_CALLS}\n{lines}\n{again}")
