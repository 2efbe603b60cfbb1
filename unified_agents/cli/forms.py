"""Forms at the terminal: what an MCP server asks, one field a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from unified_agents.agent.decisions import Decision, accept, cancel, decline
from unified_agents.cli.stdio import print_message
from unified_agents.elicitation import Elicitation
from unified_agents.text import visible
from unified_agents.tools.elicitation_forms import answer_problems, choices_of

MAX_SHOWN_CHARS = 2000

_YES_NO = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}


def ask_elicitation(tool: str, elicitation: Elicitation) -> Decision | None:
    """Ask what an MCP server asks; None lets the call wait.

    Args:
        tool: The tool that is called.
        elicitation: What the server asks. All of it is the server's own text.
    """
    said = f"MCP server {elicitation.server} asks, before it carries {tool} out: {elicitation.message}"
    sys.stderr.write(f"{shown(said)}\n")
    answer = read_line("[a]nswer, [d]ecline, [c]ancel, anything else waits: ")
    if answer == "d":
        return decline()
    if answer == "c":
        return cancel()
    return _filled(elicitation) if answer == "a" else None


def _filled(elicitation: Elicitation) -> Decision | None:
    schema = elicitation.requested_schema
    required = schema.get("required")
    content: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        is_required = isinstance(required, list) and name in required
        text = read_line(f"{shown(_described(name, field))}{'' if is_required else ' (may be empty)'}: ")
        if text:
            content[name] = _value(field, text)
        elif "default" in field:
            content[name] = field["default"]
        elif is_required and field["type"] == "string":
            content[name] = ""
    if problems := answer_problems(elicitation, content):
        print_message(f"the answer does not fit, so the call waits: {shown('; '.join(problems))}")
        return None
    return accept(content)


def _described(name: str, field: Mapping[str, Any]) -> str:
    text = f"{field.get('title', name)}"
    if field.get("description"):
        text += f", {field['description']}"
    choices = choices_of(field)
    if choices is not None:
        several = "some of, with commas between: " if field["type"] == "array" else "one of: "
        named = (value if value == title else f"{value} ({title})" for value, title in choices.items())
        return f"{text} [{several}{', '.join(named)}]"
    kind = {"boolean": "y/n", "integer": "a whole number", "number": "a number"}.get(field["type"])
    kind = kind or field.get("format")
    return text if kind is None else f"{text} [{kind}]"


def _value(field: Mapping[str, Any], text: str) -> Any:
    """Return what was typed as a value of a field; what is none stays text, and does not fit."""
    kind = field["type"]
    if kind == "boolean":
        return _YES_NO.get(text.lower(), text)
    if kind == "array":
        return [item.strip() for item in text.split(",")]
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def shown(text: str) -> str:
    """Return a text on one line, with nothing in it that a terminal would obey."""
    return visible(text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…")


def read_line(question: str) -> str:
    """Ask at the terminal, and return what is typed."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
