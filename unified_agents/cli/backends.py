"""The commands `unified-agents backends`: what there is, and environments of their own for what clashes."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer
from rich.markup import escape
from rich.table import Table

from unified_agents.cli.stdio import exit_on_wrong_usage, print_message, put, put_json
from unified_agents.cli.tables import console
from unified_agents.environments.environment import Environment, environments
from unified_agents.environments.install import install_environment, remove_environment
from unified_agents.registry import BackendInfo, backend_info, backend_names

app = typer.Typer(name="backends", invoke_without_command=True)

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")]
Labels: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="NAME[==VERSION] …", help="Backends, such as semantic_kernel langchain==1.4.7.")
]


@app.callback()
def backends(context: typer.Context, as_json: Json = False) -> None:
    """List the backends, and install those whose packages clash in environments of their own."""
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List the backends: their versions, their environments, and how to install those that are missing."""
    _list(as_json=as_json)


@app.command()
def install(names: Labels) -> None:
    """Install backends, each in an environment of its own under your data folder, with this unified-agents in it.

    VERSION is one of the framework's package. Installing again renews unified-agents in it.
    """
    with exit_on_wrong_usage():
        for name in names:
            made = install_environment(name, print_message)
            put(f"{made.label}: {_versions(made)}\n")


@app.command()
def remove(names: Labels) -> None:
    """Remove the environments of backends."""
    with exit_on_wrong_usage():
        for name in names:
            put(f"removed {remove_environment(name)}\n")


def _list(*, as_json: bool) -> None:
    with exit_on_wrong_usage(as_json=as_json):
        infos = [backend_info(name) for name in backend_names()]
        found = environments()
    if as_json:
        put_json([_row(info, found) for info in infos])
        return
    table = Table("backend", "state", "brought by", "packages")
    for info in infos:
        packages = ", ".join(f"{name} {version}" for name, version in info.requires.items())
        own = any(one.label.name == info.name for one in found)
        missing = "in an environment of its own" if own else f"not installed; run: {info.remedy}"
        state = "ready" if info.installed else missing
        table.add_row(info.name, escape(state), f"{info.distribution} {info.version}", packages)
    console().print(table)
    if found:
        own_table = Table("environment", "state", "packages", "folder")
        for one in found:
            own_table.add_row(escape(str(one.label)), escape(one.trouble or "ready"), _versions(one), str(one.folder))
        console().print(own_table)


def _row(info: BackendInfo, found: list[Environment]) -> dict[str, object]:
    return {
        "name": info.name,
        "installed": info.installed,
        "distribution": info.distribution,
        "version": info.version,
        "requires": info.requires,
        "missing": list(info.missing),
        "environments": [
            {
                "label": str(one.label),
                "folder": str(one.folder),
                "versions": one.manifest.facts.versions,
                "constrained": one.manifest.is_constrained,
                "trouble": one.trouble,
            }
            for one in found
            if one.label.name == info.name
        ],
    }


def _versions(environment: Environment) -> str:
    return ", ".join(f"{name} {version}" for name, version in environment.manifest.facts.versions.items())
