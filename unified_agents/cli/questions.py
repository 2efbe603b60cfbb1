"""Questions to whoever sits at the terminal: what becomes of the tool calls that a run waits for."""

from __future__ import annotations

import json
import sys
from typing import Any

from unified_agents.agent.decisions import Decision, approve, deny, edit, finished
from unified_agents.cli.forms import ask_elicitation, read_line, shown
from unified_agents.cli.stdio import print_message
from unified_agents.concurrency.daemon_threads import DaemonThreads
from unified_agents.result import PendingCall, RunResult

TERMINAL = DaemonThreads(max_threads=1, name="unified-agents-terminal")
"""The thread that waits for what is typed, so that the event loop does not."""


def has_terminal() -> bool:
    """Tell whether somebody can answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask_about(result: RunResult[Any]) -> dict[str, Decision]:
    """Ask about each call that waits; one that is not decided waits on.

    Raises:
        KeyboardInterrupt: the user interrupted.
    """
    decisions = {}
    for call in result.pending:
        if call.elicitation is not None:
            decision = ask_elicitation(call.name, call.elicitation)
        else:
            decision = _ask_about_flight(call) if call.reason == "in_flight" else _ask_for_approval(call)
        if decision is not None:
            decisions[call.id] = decision
    return decisions


def _ask_for_approval(call: PendingCall) -> Decision | None:
    answer = read_line(f"Run {_shown(call)}? [y]es, [n]o, [e]dit the arguments, anything else waits: ")
    if answer == "y":
        return approve()
    if answer == "n":
        return deny(read_line("Why not? The model is told: "))
    return _edited() if answer == "e" else None


def _ask_about_flight(call: PendingCall) -> Decision | None:
    answer = read_line(
        f"{_shown(call)} was under way when its process died. Was it carried out? "
        "[y]es, [n]o: run it again, [s]kip it, anything else waits: "
    )
    if answer == "y":
        return finished(read_line("What did it return? "))
    if answer == "n":
        return approve()
    return deny(read_line("Why? The model is told: ")) if answer == "s" else None


def _edited() -> Decision | None:
    text = read_line("The arguments, as JSON: ")
    try:
        arguments = json.loads(text)
    except ValueError as error:
        print_message(f"this is no JSON, so the call waits: {error}")
        return None
    if isinstance(arguments, dict):
        return edit(arguments)
    print_message("the arguments must be a JSON object, so the call waits")
    return None


def _shown(call: PendingCall) -> str:
    return shown(f"{call.name}({call.arguments})")
