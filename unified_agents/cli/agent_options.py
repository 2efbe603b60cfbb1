"""The options that change the agent of a file for one run; a run that goes on takes them too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from unified_agents.config import AgentConfig, ModelConfig, Variant, parse_config
from unified_agents.config.providers import PROVIDERS
from unified_agents.errors import ConfigError

BackendOption = Annotated[str | None, typer.Option("--backend", help="Run on this backend instead of the file's.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="Ask this model instead, as provider:name. Of the file's provider, its server is kept."
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option("--base-url", help="Ask this server instead. The key and the price of the file's are not taken."),
]
ApiKeyEnvOption = Annotated[
    str | None, typer.Option("--api-key-env", help="The environment variable that holds the key.")
]
VariantOption = Annotated[
    Variant | None,
    typer.Option("--variant", help="Run this loop instead: tool_calling, or react, which writes calls as plain text."),
]


@dataclass(slots=True, frozen=True, kw_only=True)
class AgentOptions:
    """What was given of these options; None for one that was not.

    Attributes:
        backend: The backend.
        model: The model, as provider:name.
        base_url: The server.
        api_key_env: The environment variable that holds the key.
        variant: The loop.
    """

    backend: str | None = None
    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    variant: Variant | None = None

    def for_agent(self) -> dict[str, Any]:
        """Return what `create_agent` takes beside the config."""
        return {"backend": self.backend, "variant": self.variant}

    def changed(self, config: AgentConfig) -> AgentConfig:
        """Return a file's agent with the model that was asked for; the file's key never goes to another server.

        Raises:
            ConfigError: the model cannot be read, or has no server.
        """
        return config.model_copy(update={"model": self.asked_model(config.model)})

    def asked_model(self, model: ModelConfig) -> ModelConfig:
        """Return a file's model with what the options change of it; see `changed`."""
        chosen = model if self.model is None else model.renamed(ModelConfig.parse(self.model))
        changes: dict[str, Any] = {}
        if self.base_url is not None and self.base_url != chosen.base_url:
            changes = {"base_url": self.base_url, "api_key_env": None, "price": None}
        if self.api_key_env is not None:
            changes["api_key_env"] = self.api_key_env
        if not changes:
            return chosen
        if chosen.provider not in PROVIDERS:
            known = ", ".join(PROVIDERS)
            raise ConfigError(f"--base-url and --api-key-env go with a model of {known}, not of {chosen.provider}")
        return parse_config(ModelConfig, chosen.model_dump() | changes, f"model {chosen.provider}:{chosen.name}")

    def as_given(self) -> list[str]:
        """Return the options as words of a command that may be given in any folder, but for the backend."""
        model = self.model
        if model is not None and model.startswith("script:"):
            model = f"script:{Path(model.removeprefix('script:')).absolute()}"
        given = {
            "--model": model,
            "--base-url": self.base_url,
            "--api-key-env": self.api_key_env,
            "--variant": self.variant,
        }
        return [word for option, value in given.items() if value is not None for word in (option, value)]
