"""The command `run`, and the application that all commands belong to."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unified_agents.agent import Agent, create_agent
from unified_agents.cli import backends, model as model_commands, runs, tools
from unified_agents.cli.agent_options import (
    AgentOptions,
    ApiKeyEnvOption,
    BackendOption,
    BaseUrlOption,
    ModelOption,
    VariantOption,
)
from unified_agents.cli.cassettes import RecordOption, ReplayOption, check_cassettes
from unified_agents.cli.chat import chat
from unified_agents.cli.doctor import doctor
from unified_agents.cli.exec import exec_command
from unified_agents.cli.journals import JournalOption, decided, exit_with, journal_place, stop_failed
from unified_agents.cli.new_adapter import new_adapter
from unified_agents.cli.schema import schema
from unified_agents.cli.stdio import Interrupted, exit_on_wrong_usage, print_message, put
from unified_agents.cli.streamed_text import StreamedText
from unified_agents.cli.trace import trace
from unified_agents.concurrency.background_loop import run_in_background
from unified_agents.config import Handling, load_config
from unified_agents.config.importing import import_from
from unified_agents.config.prices import load_prices
from unified_agents.errors import BackendError, ConfigError, RunError
from unified_agents.result import RunResult
from unified_agents.text import visible_lines

# An application decides what its log shows: this one reports an error in one line, and logs nothing.
logging.getLogger("unified_agents").addHandler(logging.NullHandler())


class _ToStandardError(logging.Handler):
    """Prints what the user has to know at once."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        print_message(record.getMessage())


class _Visible(logging.Formatter):
    """Writes lines in which nothing is left that a terminal obeys: they may quote what a model wrote."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return visible_lines(super().format(record))


if logging.lastResort is not None:  # it prints the warnings of frameworks and of tools
    logging.lastResort.setFormatter(_Visible())
logging.getLogger("unified_agents.concurrency").addHandler(_ToStandardError(logging.WARNING))

_EXIT_CODES = (
    "Exit codes: 0 completed, 1 failed, 2 wrong usage or configuration, 3 a limit was reached, "
    "4 a tool call waits for a decision, 130 interrupted, 143 terminated. "
    "With --json, standard output has one JSON value: the result, or what went wrong under the key `error`."
)


class _Commands(TyperGroup):
    """A group of commands that passes an interrupt of any of them on to `main`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for.

        Raises:
            Interrupted: the user interrupted it.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None


app = typer.Typer(
    name="unified-agents",
    cls=_Commands,
    help=f"One agent interface over several frameworks, and proof of where they differ.\n\n{_EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        put(f"unified-agents {version('unified-agents')}\n")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="The agent's YAML file.")],
    task: Annotated[str, typer.Argument(help="The task, as text.")],
    *,
    backend: BackendOption = None,
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    api_key_env: ApiKeyEnvOption = None,
    handling: Annotated[Handling | None, typer.Option(help="unified or native, instead of the file's.")] = None,
    variant: VariantOption = None,
    prices: Annotated[
        Path | None, typer.Option(help="A YAML file with the prices of models, for a model without its own.")
    ] = None,
    journal: JournalOption = None,
    record: RecordOption = None,
    replay: ReplayOption = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print the text as it arrives.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run one task with the agent of a YAML file, and print its answer.

    Tools named in the file as module:name are looked up beside it, in the current folder and on the Python path.
    """
    import_from(file.parent, Path.cwd())
    text = StreamedText() if stream else None
    options = AgentOptions(backend=backend, model=model, base_url=base_url, api_key_env=api_key_env, variant=variant)
    with exit_on_wrong_usage(as_json=as_json):
        if text is not None and as_json:
            raise ConfigError("--stream prints text as it arrives, and --json one object at the end: give one of them")
        check_cassettes(record, replay)
        try:
            config = options.changed(load_config(file))
            asked = config.model
            if prices is not None and asked.price is None:
                asked = asked.model_copy(update={"price": load_prices(prices).price_of(asked)})
            place = journal_place(journal, config.journal)
            config = config.model_copy(update={"model": asked, "journal": place})
            agent = create_agent(config, record=record, replay=replay, handling=handling, **options.for_agent())
            result = run_in_background(lambda: _run(agent, task, text, as_json=as_json))
        except RunError as error:
            if text is not None:
                text.end(None)
            stop_failed(error, as_json=as_json)
    if text is not None:
        text.end(result.output)
    exit_with(result, place, file, options, as_json=as_json, is_shown=text is not None)


async def _run(agent: Agent[Any], task: str, text: StreamedText | None, *, as_json: bool) -> RunResult:
    async with agent:
        if text is None:
            return await decided(agent, await agent.run(task), as_json=as_json)
        async with agent.stream(task) as events:
            async for event in events:
                text.show(event)
        if events.result is None:
            raise BackendError("the run ended without a result")
        return await decided(agent, events.result, as_json=as_json)


app.command()(chat)
app.command()(doctor)
app.command()(schema)
app.command()(trace)
app.command("exec", context_settings={"allow_interspersed_args": False})(exec_command)
app.command("new-adapter")(new_adapter)
app.add_typer(backends.app)
app.add_typer(runs.app)
app.add_typer(model_commands.app)
app.add_typer(tools.app)

for _command in entry_points(group="unified_agents.commands"):
    app.command(_command.name)(_command.load())
