"""Writes `docs/native_faults.md` from the folder of a comparison: `python docs/native_faults.py FOLDER`.

The folder is what the command writes that stands on the page, with `--out FOLDER`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from unified_agents_comparisons.analysis.fault_matrix import FaultOutcome, fault_matrix
from unified_agents_comparisons.records import Cell, Verdict, read_cells
from unified_agents_comparisons.report.formatting import span

PAGE = Path(__file__).with_name("native_faults.md")

_HEAD = """# Faults under native handling

What each framework does by itself when something goes wrong, one thing at a time. The task asks for two tool calls at
once, then for one that needs both results, and then it answers. The fault comes in the middle. Under `handling: native`
nobody but the framework and its model client tries again, checks or tells. Under `unified` all backends recover from a
fault, or end with the same clear error: see [When something fails](failures.md).

`docs/native_faults.py` makes this page from the folder that this command writes:

```
unified-agents compare faults --handling native --backends {backends}
```

- *Recovered*: the answer is right in spite of the fault.
- *Failed clearly*: the run ended with an error, whose kind stands beside it.
- *Failed silently*: there is no answer, and the framework raised nothing. The kind is what the wire alone tells.
- *Wrong result*: the answer is wrong, or a tool ran with arguments that do not fit it.
- *Hung*: the run was ended from outside, after 6 seconds; where most frameworks never end, after 1.5.

The number counts the requests to the model; without a fault there are three. The scripted model reads through the
`{{"result": …}}` that some frameworks put around what a tool returns. `smolagents` has no `native`.
"""


def outcome_text(outcome: FaultOutcome) -> str:
    """Write what a fault came to: `recovered, 5`, `failed clearly (server), 4`, `hung`."""
    if set(outcome.verdicts) == {"hung"}:
        return "hung"  # how many requests were made until then depends on the machine
    errors = f" ({', '.join(outcome.errors)})" if outcome.errors else ""
    return f"{outcome.what}{errors}, {span(outcome.requests)}"


def fault_table(cells: Iterable[Cell]) -> dict[str, dict[str, str]]:
    """Return what each fault came to under `native`, by the fault's name and the backend's."""
    return {
        row.kind: {one.backend: outcome_text(one) for one in row.outcomes if one.handling == "native"}
        for row in fault_matrix(cells)
    }


def page(cells: Sequence[Cell]) -> str:
    """Return the page."""
    native = [cell for cell in cells if cell.handling == "native" and cell.fault is not None]
    backends = sorted({cell.backend for cell in native})
    matrix, texts = fault_matrix(native), fault_table(native)
    rows = [[f"`{row.kind}`", row.description, *(texts[row.kind].get(name, "") for name in backends)] for row in matrix]
    named = [f"`{name}`" for name in backends]
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in backends}
    for cell in native:
        verdicts[cell.backend][cell.verdict or "hung"] += 1
    sums = [[verdict, *(str(verdicts[name][verdict]) for name in backends)] for verdict in get_args(Verdict)]
    versions = [[f"`{name}`", _versions(native, name)] for name in backends]
    return "\n\n".join(
        [
            _HEAD.strip().format(backends=",".join(backends)),
            "## How many faults came to what",
            _markdown(["", *named], sums),
            "## Each fault",
            _markdown(["fault", "what happens", *named], rows),
            "## Versions",
            _markdown(["backend", "versions"], versions) + "\n",
        ]
    )


def read_page(text: str) -> dict[str, dict[str, str]]:
    """Return what the page says that each fault came to, by the fault's name and the backend's."""
    table = text.partition("## Each fault\n\n")[2].partition("\n\n")[0]
    head, _, *rows = ([cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table.splitlines())
    return {row[0]: dict(zip(head[2:], row[2:], strict=True)) for row in rows}


def _versions(cells: Iterable[Cell], backend: str) -> str:
    found: Mapping[str, str] = next(cell.versions for cell in cells if cell.backend == backend)
    return ", ".join(f"{name} {version}" for name, version in found.items() if name != "unified-agents")


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(read_cells(Path(sys.argv[1]))), encoding="utf-8")
