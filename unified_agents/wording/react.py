"""The text protocol of variant `react`: instructions, observations and what could not be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents.wording.common import OBSERVATION, UNREADABLE, shortened

_ONE_ACTION = "(Only your first action was carried out."


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
        f"{UNREADABLE}{reason}. Write either\nThought: …\nAction: the name of one tool\n"
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
    return f"{UNREADABLE}no more actions are possible. Write\nThought: …\nFinal Answer: …"


def react_one_action(ignored: Sequence[str]) -> str:
    """A turn held several actions; stands after the result of the first."""
    return shortened(f"{_ONE_ACTION} Write one in a turn. Not carried out: {', '.join(ignored)}.)")
