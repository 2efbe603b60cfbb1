"""Tools: a typed function, or a JSON Schema with a handler."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.arguments import Arguments, FunctionArguments, SchemaArguments
from unified_agents.tools.coercion import AcceptedArguments, LenientArguments
from unified_agents.tools.lazy_schema import DeferredArguments
from unified_agents.tools.model_arguments import ModelArguments, taking_model
from unified_agents.tools.options import (
    DEFAULT_RESULT_CHARS,
    DEFAULT_TIMEOUT,
    Approval,
    Coercion,
    Isolation,
    Recover,
    ToolOptions,
)
from unified_agents.tools.schema import Docs, read_docstring
from unified_agents.tools.signature import ToolContext, is_async, plain_function, read_signature

__all__ = ["DEFAULT_TIMEOUT", "Tool", "ToolContext"]


class Tool:
    """A function that a model can call, with what the model is told of it.

    This constructor takes a JSON Schema; `@tool` makes one from a typed function. A tool does not change once made.
    Calling it calls the handler, so a decorated function is used as before.

    Args:
        name: Any text that is not empty; what a provider does not accept is renamed on the wire.
        description: What the model is told of it.
        parameters: JSON Schema of the arguments: an object, draft 2020-12 where `$schema` says nothing else. It may
            refer to itself only: nothing is ever fetched. `format` is checked where the draft says so (up to 7). A
            function that gives the schema is called when it is first needed, and what is wrong with it is raised then.
        handler: Function or coroutine function. It gets the arguments as keywords, whatever their names, as the JSON
            values that the model gave; and the `ToolContext` in each parameter with that annotation.
        timeout: Seconds that a call may take; None leaves only the run's own clock.
        max_result_chars: Characters of its result that the model is told. What is longer is cut, and a mark at its
            end says so; None tells all.
        coercion: `strict` refuses an argument in the wrong JSON type; `lenient` takes "5" for an integer, and says so
            in the trace and in the call's record.
        idempotent: Whether running a call twice does no more than running it once. Only such a tool is tried again:
            when it raises `Transient` or `RateLimited`, and once after a timeout.
        exclusive: The name of a resource that only one tool at a time may use in this process, first come first
            served. The turn ends with the call; where a synchronous tool is given up, not before its thread ends, and
            the others wait for that no longer than their own `timeout`.
        isolate: `process` runs each call in a new process, which is killed at the timeout and with the run. It needs
            a function that can be imported by its name; its result is told as text. POSIX systems only.
        approval: `always` lets no call run before somebody approved it: the run suspends, and `Agent.resume` takes the
            decision. A function of the arguments, a dict, says for each call whether it needs approval. It needs a
            journal.
        recover: A function, sync or async, that is asked about a call in flight when its process died, by its
            `idempotency_key`. It returns the call's result, or `NEVER_RAN`; then the call is run.

    Raises:
        ToolDefinitionError: something does not fit; the message says what to change.
    """

    __slots__ = ("_arguments", "_description", "_handler", "_is_async", "_lenient", "_name", "_options", "_parameters")

    def __init__(
        self,
        *,
        name: str,
        description: str = "",
        parameters: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
        handler: Callable[..., Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        max_result_chars: int | None = DEFAULT_RESULT_CHARS,
        coercion: Coercion = "strict",
        idempotent: bool = False,
        exclusive: str | None = None,
        isolate: Isolation | None = None,
        approval: Approval = "never",
        recover: Recover | None = None,
    ) -> None:
        options = ToolOptions(timeout, max_result_chars, coercion, idempotent, exclusive, isolate, approval, recover)
        self._define(name, description, handler, options)
        self._set_arguments(
            DeferredArguments(name, parameters, handler)
            if callable(parameters)
            else SchemaArguments(name, parameters, handler)
        )

    @classmethod
    def from_model(
        cls,
        model: type[BaseModel],
        handler: Callable[..., Any],
        *,
        name: str,
        description: str | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        max_result_chars: int | None = DEFAULT_RESULT_CHARS,
        coercion: Coercion = "strict",
        idempotent: bool = False,
        exclusive: str | None = None,
        unpack: bool = False,
    ) -> Tool:
        """Make a tool whose arguments are the fields of a pydantic model.

        Args:
            model: Validates the arguments; its JSON Schema is what the model is told.
            handler: Function or coroutine function that gets the validated model, and the `ToolContext` in each other
                parameter with that annotation.
            name: As for `Tool`.
            description: What the model is told; None takes the handler's docstring, else the model's.
            timeout: As for `Tool`.
            max_result_chars: As for `Tool`.
            coercion: As for `Tool`.
            idempotent: As for `Tool`.
            exclusive: As for `Tool`.
            unpack: The handler gets the fields as keywords, as the JSON values that were given, instead of the model.

        Raises:
            ToolDefinitionError: something does not fit; the message says what to change.
        """
        self = cls.__new__(cls)
        self._define(
            name, description, handler, ToolOptions(timeout, max_result_chars, coercion, idempotent, exclusive)
        )
        self._set_arguments(ModelArguments(name, model, handler))
        if not unpack:
            self._handler = taking_model(name, model, handler)
        return self

    @classmethod
    def _from_function(
        cls, handler: Callable[..., Any], name: str, description: str | None, options: ToolOptions
    ) -> Tool:
        self = cls.__new__(cls)
        self._define(name, description, handler, options)
        self._set_arguments(FunctionArguments(name, read_signature(handler, name)))
        return self

    def _define(self, name: str, description: str | None, handler: Callable[..., Any], options: ToolOptions) -> None:
        _check(name, description, handler)
        options.check(name, handler)
        self._name = name
        self._description = description
        self._handler = handler
        self._options = options
        self._is_async = is_async(handler)
        self._parameters: JsonObject | None = None

    def _set_arguments(self, arguments: Arguments) -> None:
        self._arguments = arguments
        is_lenient = self._options.coercion == "lenient"
        self._lenient = LenientArguments(self._name, arguments, lambda: self.parameters) if is_lenient else None

    @property
    def name(self) -> str:
        """The tool's own name."""
        return self._name

    @property
    def description(self) -> str:
        """The text that the model reads: as given, or the docstring without its sections on parameters and results."""
        return self._read_docs().description if self._description is None else self._description

    @property
    def given_description(self) -> str | None:
        """The description that the tool's author gave in place of a docstring; None where he gave none."""
        return self._description

    @property
    def parameters(self) -> JsonObject:
        """The canonical JSON Schema of the arguments, with `type: object` and `properties`. Do not change it."""
        if self._parameters is None:
            self._parameters = self._arguments.schema(self._read_docs)
        return self._parameters

    @property
    def timeout(self) -> float | None:
        """Seconds that a call may take; None leaves only the run's own clock."""
        return self._options.timeout

    @property
    def max_result_chars(self) -> int | None:
        """Characters of its result that the model reads; None sends all."""
        return self._options.max_result_chars

    @property
    def coercion(self) -> Coercion:
        """The policy for an argument in the wrong JSON type: refused, or converted."""
        return self._options.coercion

    @property
    def options(self) -> ToolOptions:
        """All options."""
        return self._options

    @property
    def handler(self) -> Callable[..., Any]:
        """The function itself."""
        return self._handler

    @property
    def is_async(self) -> bool:
        """Whether calling the handler gives a coroutine."""
        return self._is_async

    @property
    def is_schema_only(self) -> bool:
        """Whether it was made from a schema or a model, and its handler's signature says nothing of the arguments."""
        return not isinstance(self._arguments, FunctionArguments)

    def validate(self, arguments: str) -> dict[str, Any]:
        """Return the keyword arguments for the handler.

        A function's types are built (models, enums, dates, …) and its defaults filled in; nothing is coerced under
        `strict`, but a number such as `1.0` is an integer, as in JSON Schema. A schema tool gets the JSON values as
        they are.

        Args:
            arguments: JSON text as the model wrote it. Empty text is `{}`.

        Raises:
            InvalidInputError: it is no JSON object, says a key twice, or does not fit; `problems` has a line for each
                fault.
            ToolFailedError: a validator of the tool's own types broke down.
        """
        return self.accept(arguments).arguments

    def accept(self, arguments: str) -> AcceptedArguments:
        """Return the same as `validate`, with a note of each coercion; raises as it does."""
        if self._lenient is None:
            return AcceptedArguments(self._arguments.validate(arguments))
        return self._lenient.accept(arguments)

    def arguments_for(self, arguments: Mapping[str, Any], context: ToolContext) -> dict[str, Any]:
        """Return validated arguments, with the context in each parameter that asks for it."""
        return {**arguments, **dict.fromkeys(self._arguments.context, context)}

    def renamed(self, name: str) -> Tool:
        """Return the same tool under another name.

        Raises:
            ToolDefinitionError: the name is empty.
        """
        if not name:
            raise ToolDefinitionError(f"tool {self._name!r}: its new name is empty")
        other = copy.copy(self)
        other._name = name
        return other

    def with_options(self, options: ToolOptions) -> Tool:
        """Return the same tool with other options.

        Raises:
            ToolDefinitionError: an option has a wrong value.
        """
        options.check(self._name, self._handler)
        other = copy.copy(self)
        other._options = options
        other._set_arguments(self._arguments)
        return other

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the handler, past all checks."""
        return self._handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self._name!r})"

    def _read_docs(self) -> Docs:
        return read_docstring(plain_function(self._handler).__doc__)


def _check(name: object, description: object, handler: object) -> None:
    if not isinstance(name, str) or not name:
        raise ToolDefinitionError(f"a tool's name must be a text that is not empty, not {name!r}: give name=…")
    if not isinstance(description, str | None):
        raise ToolDefinitionError(f"tool {name!r}: the description must be text, not {description!r:.80}")
    if not callable(handler):
        raise ToolDefinitionError(f"tool {name!r}: the handler must be callable, not {handler!r:.80}")
