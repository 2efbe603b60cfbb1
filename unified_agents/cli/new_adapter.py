"""The command `new-adapter`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unified_agents.adapter_template.writing import write_adapter
from unified_agents.cli.stdio import exit_on_wrong_usage, put


def new_adapter(
    name: Annotated[str, typer.Argument(help="The backend's name, such as my_framework.")],
    *,
    requires: Annotated[
        str | None,
        typer.Option(help="What brings the framework, such as 'my-framework>=1.2,<2'. Default: the backend's name."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the distribution's folder is made.")] = Path(),
) -> None:
    """Write the distribution of a new adapter, whose contract suite is red until it is filled in.

    Exit codes: 0 written; 2 the name is none for a backend or taken, or the folder is there already.
    """
    with exit_on_wrong_usage():
        written = write_adapter(name, out, requires)
    folder = written[0].parent
    for path in written:
        put(f"{path}\n")
    put(f"next: cd {folder} && pip install -e '.[{name.replace('_', '-')},test]' && pytest, then fill in what is red\n")
