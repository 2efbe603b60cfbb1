"""Checks what a crashed and resumed run did to the world, by a witness file that outlives its processes.

It knows nothing of the journal's code. Each line of the witness is one event:

- `model`: the model was asked for the answer of a step.
- `start`, `end`: a tool began and ended the work of a call.
- `crash`: the process was killed. `answered` and `finished` follow: what the journal held at that moment.
- `asked`: the run was suspended over a call. `decided`: somebody then said `again` or `done`.
- `over`: the run ended with a status.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def violations(events: Iterable[Mapping[str, Any]], calls: Mapping[int, bool], steps: int) -> list[str]:
    """Return what the events tell that the promise forbids; nothing where each has a legal explanation.

    Args:
        events: The lines of the witness, in order.
        calls: Each call of the run by its number, and whether its tool is idempotent.
        steps: How many answers of the model the run has.
    """
    found: list[str] = []
    keys: dict[str, int] = {}
    state = dict.fromkeys(calls, "new")  # new, running, ended, in doubt, finished, again
    answered: set[int] = set()
    asked: Counter[int] = Counter()
    crashes = 0
    for event in events:
        kind, number = event["event"], event.get("call")
        if kind in ("start", "end") and number is not None:
            if keys.setdefault(event["key"], number) != number:
                found.append(f"calls {keys[event['key']]} and {number} have one key")
            if sum(owner == number for owner in keys.values()) > 1:
                found.append(f"call {number} has two keys")
        if kind == "model":
            if event["step"] in answered:
                found.append(f"step {event['step']} was asked again, and its answer was in the journal")
            asked[event["step"]] += 1
        elif kind == "start":
            was = state[number]
            if was == "finished":
                found.append(f"call {number} is finished, and ran again")
            elif was in ("running", "ended"):
                found.append(f"call {number} ran twice in one process")
            elif was == "in doubt" and not calls[number]:
                found.append(f"call {number} was in flight, is not idempotent, and ran again unasked")
            state[number] = "running"
        elif kind == "end":
            if state[number] != "running":
                found.append(f"call {number} ended, and had not begun")
            state[number] = "ended"
        elif kind == "crash":
            crashes += 1
            state = {call: "in doubt" if was in ("running", "ended") else was for call, was in state.items()}
        elif kind == "answered":
            answered.add(event["step"])
        elif kind == "finished":
            if state[number] == "new":
                found.append(f"call {number} is finished in the journal, and never ran")
            state[number] = "finished"
        elif kind == "asked":
            if calls[number] or state[number] not in ("in doubt", "new"):
                found.append(f"the run was suspended over call {number}, which is {state[number]}")
            if state[number] == "new" and not event.get("started"):
                found.append(f"the run was suspended over call {number}, which was never started")
        elif kind == "decided":
            state[number] = "again" if event["how"] == "again" else "finished"
        elif kind == "over" and event["status"] == "completed":
            left = [call for call, was in state.items() if was not in ("ended", "finished")]
            found += [f"the run is completed without call {call}" for call in left]
        elif kind == "over" and event["status"] != "suspended":
            found.append(f"the run ended as {event['status']}")
    found += [f"step {step} was never asked" for step in range(steps) if not asked[step]]
    repeated = sum(count - 1 for count in asked.values())
    if repeated > crashes:
        found.append(f"{repeated} model calls were repeated over {crashes} crashes")
    return found
