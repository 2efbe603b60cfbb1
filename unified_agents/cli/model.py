"""The command `model serve`: a scripted or recorded model as a server on loopback, for any client in any language."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unified_agents.cli.stdio import exit_on_wrong_usage
from unified_agents.config.model_connection import environment_variable
from unified_agents.config.providers import ProtocolName
from unified_agents.errors import ConfigError

if TYPE_CHECKING:
    from unified_agents.scripted.model import Script
    from unified_agents.scripted.replay import CassetteModel

app = typer.Typer(
    name="model", help="Serve a scripted or recorded model, as the providers' own APIs answer.", no_args_is_help=True
)


@app.callback()
def _root() -> None:
    pass


@app.command()
def serve(
    *,
    script: Annotated[Path | None, typer.Option(help="The YAML or JSON file with the model's answers.")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Instead of a script: a file that `--record` wrote, for the same conversations.")
    ] = None,
    protocol: Annotated[
        ProtocolName | None, typer.Option(help="Answer this protocol alone; all four by default, each at its path.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse, with status 400, what the provider's real API refuses.")
    ] = False,
    prompt_cache: Annotated[
        bool, typer.Option("--prompt-cache", help="Say in the usage what the provider's prompt cache would have saved.")
    ] = False,
    port: Annotated[int, typer.Option(help="The port; a free one by default.", min=0, max=65535)] = 0,
    api_key_env: Annotated[
        str | None, typer.Option(help="The environment variable with the key that clients must send; none by default.")
    ] = None,
) -> None:
    """Serve a scripted or recorded model on 127.0.0.1, and print its base URL on one line.

    The OpenAI SDK takes the URL as it is; those of Anthropic and Google take it without the /v1 at its end. The server
    ends on an interrupt, on SIGTERM, and when its standard input is a pipe that is closed.
    """
    from unified_agents.scripted.server import serve as serve_script  # noqa: PLC0415  # costs aiohttp: not at every start

    with exit_on_wrong_usage(as_json=False):
        key = None if api_key_env is None else environment_variable(api_key_env)
        answers = _answers(script, replay, strict=strict, prompt_cache=prompt_cache)
        try:
            asyncio.run(serve_script(answers, port, protocol=protocol, strict=strict, api_key=key))
        except OSError as error:
            raise ConfigError(f"cannot listen on port {port}: {error}") from error


def _answers(script: Path | None, replay: Path | None, *, strict: bool, prompt_cache: bool) -> Script | CassetteModel:
    if (script is None) == (replay is None):
        raise ConfigError("give --script FILE, or --replay FILE")
    if script is not None:
        from unified_agents.scripted.model import Script  # noqa: PLC0415  # as in serve

        answers = Script.load(script)
        return answers.model_copy(update={"prompt_cache": True}) if prompt_cache else answers
    if strict or prompt_cache:
        raise ConfigError("--strict and --prompt-cache go with --script: a recorded model has answered already")
    from unified_agents.scripted.replay import CassetteModel  # noqa: PLC0415

    return CassetteModel.load(str(replay))
