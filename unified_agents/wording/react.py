"""The text protocol of variant `react`: its instructions, its observations, and messages about turns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from unified_agents.wording.common import OBSERVATION, UNREADABLE, shortened

_ONE_ACTION = "(Only your first action was carried out."


def react_instructions(tools: Sequence[tuple[str, str, Mapping[str, Any]]]) -> str:
    """Describe the tools and the form of a turn; each tool has a name, a description and a JSON Schema."""
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
    """Tell whether a message is a tool's result in the text protocol."""
    content = message.get("content")
    return message.get("role") == "user" and isinstance(content, str) and content.startswith(OBSERVATION)


def observation(content: str) -> str:
    """Write a tool's result in the text protocol."""
    return f"{OBSERVATION} {content}"


def observed(text: str) -> str:
    """Return the tool's result that an observation holds."""
    return text.removeprefix(OBSERVATION).partition(f"\n\n{_ONE_ACTION}")[0].strip()


def react_turn(thought: str, actions: Sequence[tuple[str, str]]) -> str:
    """Write a turn with tool calls in the text protocol."""
    lines = [f"Action: {name}\nAction Input: {arguments}" for name, arguments in actions]
    return "\n".join([f"Thought: {thought.strip() or 'I use a tool.'}", *lines])


def react_answer(thought: str, answer: str) -> str:
    """Write a final answer in the text protocol."""
    return f"Thought: {thought.strip() or 'I know the answer.'}\nFinal Answer: {answer}"


def react_unreadable(reason: str) -> str:
    """Tell the model that its turn is neither an action nor a final answer."""
    return (
        f"{UNREADABLE}{reason}. Write either\nThought: …\nAction: the name of one tool\n"
        "Action Input: one JSON object\nor\nThought: …\nFinal Answer: …"
    )


def react_neither() -> str:
    """Say that a turn announces an action or an answer and has none."""
    return "it has neither an action with a tool's name nor a final answer"


def react_empty() -> str:
    """Say that a turn has the mark of the final answer and no text after it."""
    return "the final answer is empty"


def react_no_action() -> str:
    """Tell the model that no more actions are possible."""
    return f"{UNREADABLE}no more actions are possible. Write\nThought: …\nFinal Answer: …"


def react_one_action(ignored: Sequence[str]) -> str:
    """Tell the model, after the result of the first action, that the others were not carried out."""
    return shortened(f"{_ONE_ACTION} Write one in a turn. Not carried out: {', '.join(ignored)}.)")
