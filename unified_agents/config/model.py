"""The settings of a model: its server, its parameters, its retries, its price and its faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from unified_agents.config.model_connection import (
    ConnectionSettings,
    environment_variable,
    masked_url,
    masked_values,
    variable_name,
)
from unified_agents.config.model_parameters import ModelParameters as ModelParameters  # noqa: PLC0414  # its old place
from unified_agents.config.model_price import ModelPrice
from unified_agents.config.providers import (
    CHAT_COMPLETIONS_ALONE,
    KEY_HEADERS,
    OPENAI_HOST,
    PROTOCOL_TITLES,
    PROVIDERS,
    WITHOUT_FIELD,
    ProtocolName,
    SchemaDialect,
)
from unified_agents.config.settings import RetryWaits, Settings
from unified_agents.errors import ConfigError

Provider = Literal["openai", "anthropic", "google", "script", "oracle"]
ResultParts = Literal["tool", "user", False]
RetriedKind = Literal["rate_limit", "network", "server", "timeout", "bad_response"]

OPENAI_URL_VARIABLE = "OPENAI_BASE_URL"


DEFAULT_ATTEMPTS: dict[RetriedKind, int] = {"rate_limit": 4, "network": 4, "server": 4, "timeout": 2, "bad_response": 2}


class ModelPolicy(RetryWaits):
    """How requests to a model that fails are retried; under `handling: unified`.

    Attributes:
        attempts: For each kind of error, how many requests in all; a kind that is absent is never tried again.
        wait_initial: Seconds before the second attempt; doubles with each further one.
        wait_max: The longest such wait, in seconds.
        jitter: Seconds up to which a random wait is added.
        retry_after_max: A longer `Retry-After` than this many seconds is not waited for: the error stands. After so
            many seconds one request finds out whether it still holds.
        longer_timeout: What the timeouts of a second attempt are multiplied by, after a timeout.
        adaptive_rate: Whether a 429 slows down all runs of the agent, and successes speed them up again.
        breaker_failures: Failures in a row, over all runs, after which requests are held back; those of requests that
            were under way together count as one.
        breaker_seconds: Seconds after which one of the requests that are held back is tried.
    """

    attempts: dict[RetriedKind, Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: dict(DEFAULT_ATTEMPTS))
    longer_timeout: float = Field(default=2.0, ge=1)
    adaptive_rate: bool = True
    breaker_failures: int = Field(default=20, ge=1)
    breaker_seconds: float = Field(default=5.0, ge=0)


CallFault = Literal[
    "broken-json",
    "array-arguments",
    "null-arguments",
    "wrong-type",
    "number-as-text",
    "missing-argument",
    "extra-argument",
    "unknown-tool",
    "duplicate-ids",
    "empty-ids",
]
"""Faults of an answer's tool calls; all but the last two alter the last call, so that its tool's schema refuses it."""

ShareFault = Literal[
    "status-400",
    "status-401",
    "status-403",
    "status-404",
    "status-408",
    "status-429",
    "retry-after",
    "retry-after-too-long",
    "status-500",
    "status-503",
    "reset",
    "cut-body",
    "slow-first-token",
    "slow-stream",
    "stalled",
    "html",
    "not-json",
    "empty-choices",
    "empty-answer",
    "length",
    CallFault,
]
"""Every fault of an answer, by the name that a config, a suite and a report give it."""


class FaultShare(Settings):
    """Faults that are put in front of a model on purpose, to see what becomes of them.

    Attributes:
        share: The share of its answers that is spoilt.
        seed: Decides which, and how, together with the run's id.
        kinds: What may become of an answer, each as likely as the others; where one does not fit (an answer without
            a call has no arguments), another is taken. Empty takes all but those that end a run: 400, 401, 403, 404,
            and a `Retry-After` of an hour.
        most: So many answers of a run are spoilt at most; None sets no bound.
    """

    share: float = Field(default=0.2, ge=0, le=1)
    seed: int = 0
    kinds: tuple[ShareFault, ...] = ()
    most: int | None = Field(default=None, ge=1)


class ModelConfig(ConnectionSettings):
    """The settings of a model; those of `ConnectionSettings` are its keys too.

    Attributes:
        provider: `openai` for OpenAI and every server that speaks its Chat Completions, `anthropic`, `google`, `script`
            for the embedded scripted model, `oracle` for a suite's own script.
        name: The model's name; for `script` the path of the script file.
        base_url: Where the server is, with its `/v1` or the like; None takes the provider's own host; of `openai` what
            OPENAI_BASE_URL holds, else OpenAI's own.
        api_key_env: The environment variable that holds the key. None takes the provider's usual one at its own
            host (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY), and sends no key to another server.
        protocol: What the server speaks: `chat_completions`, `responses` (OpenAI's), `messages` (Anthropic's) or
            `generate_content` (Gemini's). None takes the provider's own; that of `openai` is Responses at OpenAI's own
            host, and Chat Completions elsewhere, under `handling: native`, and beside a parameter that Responses has no
            field for. Another one than Chat Completions needs `handling: unified`.
        timeout: Seconds for one request to the model, from sending it to its last byte.
        first_token_timeout: Seconds from the request until the first byte of a streamed answer.
        token_timeout: Seconds between two pieces of a streamed answer.
        parameters: The parameters of each request.
        policy: How requests that fail are retried.
        cache: Whether requests in Anthropic's Messages mark what the provider shall keep in its prompt cache: the
            tools, the system text, and the conversation so far. Other providers cache by themselves. Under
            `handling: unified`.
        stored_turns: Whether a server of Responses keeps the conversation: a request then names the response before
            (`previous_response_id`), and holds only what came after it. Under `handling: unified`.
        price: What it costs; None when costs are not counted.
        fallback: Models to ask in turn when this one fails permanently.
        tool_result_parts: How images and files that tools return reach the model. `user`: in a user message after the
            step's tool messages, which is where OpenAI's Chat Completions take them; for models that see. `tool`: in
            the tool message itself, for servers that take parts there; `true` means the same. `false`, the default:
            the model is told what each is, as text, because a server of a model that does not see refuses the rest.
        reasoning_tags: Whether thinking that the model writes at the beginning of its text, between `<think>` and
            `</think>`, is kept out of the answer; under `handling: unified`.
        schema_dialect: What of JSON Schema the server takes in tools: `json_schema` (all of it), `openai`, or
            `reduced`, the keywords that all servers take. None takes `openai` at the hosts of OpenAI and Azure,
            `reduced` at that of Gemini when Chat Completions is spoken, else `json_schema`; and `reduced` once a server
            has refused a tool. Under `handling: unified`.
        faults: Faults to put in front of a server or a script file, to see how they are handled; None for none.
    """

    provider: Provider = "openai"
    name: str = Field(min_length=1)
    base_url: str | None = None
    api_key_env: str | None = None
    protocol: ProtocolName | None = None
    timeout: float = Field(default=60.0, gt=0)
    first_token_timeout: float = Field(default=60.0, gt=0)
    token_timeout: float = Field(default=30.0, gt=0)
    parameters: ModelParameters = Field(default_factory=ModelParameters)
    policy: ModelPolicy = Field(default_factory=ModelPolicy)
    cache: bool = False
    stored_turns: bool = False
    price: ModelPrice | None = None
    fallback: tuple[ModelConfig, ...] = ()
    tool_result_parts: ResultParts = False
    reasoning_tags: bool = False
    schema_dialect: SchemaDialect | None = None
    faults: FaultShare | None = None

    @field_validator("tool_result_parts", mode="before")
    @classmethod
    def _in_tool_messages(cls, value: object) -> object:
        return "tool" if value is True else value

    @field_validator("fallback", mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return [ModelConfig.parse(item) if isinstance(item, str) else item for item in value]
        return value

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("must be an http or https URL, such as http://127.0.0.1:8000/v1")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        return variable_name(value)

    @model_validator(mode="after")
    def _one_way_to_authenticate(self) -> ModelConfig:
        if self.api_key_env is not None and "@" in urlsplit(self.url).netloc:
            raise ValueError(
                "base_url must not hold a user or a password beside api_key_env: the key takes their place"
            )
        if self.api_key_env is not None and (callable(self.auth) or self.auth == "none"):
            raise ValueError("api_key_env holds a key that this auth does not send; leave one of them out")
        return self

    @model_validator(mode="after")
    def _host_speaks_it(self) -> ModelConfig:
        own = PROVIDERS.get(self.provider)
        if self.base_url is None and own is not None and self.spoken_protocol not in (own.protocol, *own.others):
            raise ValueError(f"protocol {self.protocol} needs base_url: the host of {self.provider} does not speak it")
        return self

    @model_validator(mode="after")
    def _settings_can_be_sent(self) -> ModelConfig:
        if self.stored_turns and self.spoken_protocol != "responses":
            raise ValueError("stored_turns needs protocol: responses")
        self.check_parameters()
        return self

    def check_parameters(self) -> None:
        """Check that the model's protocol has a field for each parameter that is set, and takes them together.

        Raises:
            ConfigError: it does not.
        """
        if self.provider not in PROVIDERS:
            return
        if names := self.parameters.set_among(WITHOUT_FIELD[self.spoken_protocol]):
            raise ConfigError(
                f"parameters: {PROTOCOL_TITLES[self.spoken_protocol]} has no field for {' and '.join(names)}; leave it"
                " out, or give the server's own field in extra_body"
            )
        if self.spoken_protocol == "messages" and (names := self.parameters.refused_beside_thinking()):
            raise ConfigError(
                f"parameters: Anthropic's models refuse {' and '.join(names)} beside reasoning; leave one of them out"
            )

    @classmethod
    def parse(cls, text: str) -> ModelConfig:
        """Make the settings of `provider:name`, such as `openai:gpt-5-mini` or `script:answers.yaml`.

        Raises:
            ConfigError: there is no provider, or it is unknown.
        """
        provider, colon, name = text.partition(":")
        known = get_args(Provider)
        if provider not in known or not colon:
            raise ConfigError(f"model {text!r}: write provider:name, with one of {', '.join(known)}")
        if not name and provider != "oracle":
            raise ConfigError(f"model {text!r}: the name after the colon is missing")
        return cls.model_validate({"provider": provider, "name": name or "oracle"})

    def renamed(self, other: ModelConfig) -> ModelConfig:
        """Return these settings with the name of another model of the same provider; of another provider, that model.

        The server, its key, parameters and policy stay. The price does not, since it is that of the model named here.
        """
        if other.provider != self.provider or other.provider not in PROVIDERS:
            return other
        return self if other.name == self.name else self.model_copy(update={"name": other.name, "price": None})

    @property
    def url(self) -> str:
        """The base URL of the server: OPENAI_BASE_URL of the environment counts, as in OpenAI's own clients."""
        if self.base_url is not None:
            return self.base_url
        named = os.environ.get(OPENAI_URL_VARIABLE, "").strip() if self.provider == "openai" else ""
        return named or PROVIDERS.get(self.provider, PROVIDERS["openai"]).base_url

    @property
    def spoken_protocol(self) -> ProtocolName:
        """The protocol that the server speaks: at OpenAI's own host Responses, unless a parameter needs the other."""
        if self.protocol is not None:
            return self.protocol
        if self.provider != "openai":
            return PROVIDERS[self.provider].protocol if self.provider in PROVIDERS else "chat_completions"
        host = urlsplit(self.url).hostname or ""
        if not f".{host}".endswith(f".{OPENAI_HOST}") or self.max_tokens_field is not None:
            return "chat_completions"
        return "chat_completions" if self.parameters.set_among(CHAT_COMPLETIONS_ALONE) else "responses"

    def for_handling(self, handling: str) -> ModelConfig:
        """Return the same settings, with the protocol that a handling needs where none is said.

        Under `native` the framework's own client speaks, which is Chat Completions.
        """
        if handling != "native":
            return self
        fallback = tuple(other.for_handling(handling) for other in self.fallback)
        changed: dict[str, Any] = {} if fallback == self.fallback else {"fallback": fallback}
        if self.provider == "openai" and self.spoken_protocol != "chat_completions" and self.protocol is None:
            changed["protocol"] = "chat_completions"
        return self.model_copy(update=changed) if changed else self

    @property
    def key_header(self) -> str:
        """The header that the key is sent in, or `bearer` or `none`; for a model whose `auth` is no function."""
        if isinstance(self.auth, str) and "auth" in self.model_fields_set:
            return self.auth
        return KEY_HEADERS[self.spoken_protocol]

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key; None when no key is sent."""
        if self.api_key_env is not None:
            return self.api_key_env
        if callable(self.auth) or self.auth == "none" or self.provider not in PROVIDERS:
            return None
        return PROVIDERS[self.provider].key_variable if self.base_url is None else None

    @property
    def key_hint(self) -> str:
        """What to look at when the server refuses the key."""
        if callable(self.auth):
            return "check the token that the function `auth` returns"
        if self.auth == "none":
            return "no key was sent, because `auth` is none"
        if self.key_variable is not None:
            return f"check the key in {self.key_variable}"
        return "set `api_key_env` to the variable that holds the key"

    def api_key(self) -> str | None:
        """Read the key from the environment; None when none is to be sent.

        Raises:
            ConfigError: the variable is not set, or what it holds can be no key.
        """
        if self.key_variable is None:
            return None
        try:
            return environment_variable(self.key_variable)
        except ConfigError as error:
            raise ConfigError(f"no API key: {error}") from error

    def masked(self) -> ModelConfig:
        """Return the same settings without any secret that stands in them, for files that others read."""
        changed: dict[str, Any] = {"headers": masked_values(self.headers), "query": masked_values(self.query)}
        changed["fallback"] = tuple(other.masked() for other in self.fallback)
        for name in ("base_url", "proxy"):
            if isinstance(url := getattr(self, name), str):
                changed[name] = masked_url(url)
        return self.model_copy(update=changed)

    def located(self, folder: Path) -> ModelConfig:
        """Return the same settings, with the paths of certificates relative to a folder."""
        changed: dict[str, Any] = {"fallback": tuple(other.located(folder) for other in self.fallback)}
        if self.tls is not None:
            changed["tls"] = self.tls.located(folder)
        return self.model_copy(update=changed)
