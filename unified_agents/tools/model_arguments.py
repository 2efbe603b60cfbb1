"""Arguments that a pydantic model describes."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.argument_errors import pydantic_problems
from unified_agents.tools.arguments import (
    broken_validator,
    context_beside,
    invalid,
    parse_object,
    validate_strictly,
)
from unified_agents.tools.schema import Docs, model_schema
from unified_agents.tools.signature import ToolContext, context_parameters, is_async


class ModelArguments:
    """Arguments that are the fields of a pydantic model. The handler gets them as JSON values.

    Args:
        tool: The tool's name, for messages.
        model: Validates the arguments.
        handler: The function that gets them.

    Raises:
        ToolDefinitionError: `model` is no pydantic model of an object, or has no JSON Schema.
    """

    __slots__ = ("_drops", "_model", "_schema", "_tool", "context")

    def __init__(self, tool: str, model: type[BaseModel], handler: Callable[..., Any]) -> None:
        if not (inspect.isclass(model) and issubclass(model, BaseModel)):
            raise ToolDefinitionError(f"tool {tool!r}: give a pydantic model's class, not {model!r:.80}")
        self._tool = tool
        self._model = model
        self._schema = _schema(model, tool)
        self._drops = model.model_config.get("extra") in {None, "ignore"} and not model.__pydantic_root_model__
        self.context = context_beside(self._schema["properties"], handler, tool)

    def schema(self, docs: Callable[[], Docs]) -> JsonObject:
        """Return the model's JSON Schema, without the model's own docstring: that describes the tool."""
        return self._schema

    def validate(self, text: str) -> dict[str, Any]:
        """Return keyword arguments from JSON text; see `Tool.validate`."""
        arguments = parse_object(text, self._tool)
        try:
            build(self._model, arguments)
        except ValidationError as error:
            problems = pydantic_problems(error.errors(include_url=False), arguments, self._schema["properties"])
            raise invalid(self._tool, problems) from error
        except Exception as error:  # a validator of the user's own may raise anything
            raise broken_validator(self._tool, error) from error
        return {
            name: value for name, value in arguments.items() if name in self._schema["properties"] or not self._drops
        }


def build(model: type[BaseModel], arguments: JsonObject) -> BaseModel:
    """Build a model from JSON values: nothing is coerced, but `1.0` is an integer, as in JSON Schema.

    Raises:
        pydantic.ValidationError: they do not fit.
    """
    return validate_strictly(model.model_validate_json, json.dumps(arguments), arguments)


def taking_model(tool: str, model: type[BaseModel], handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler that takes the model's fields as keywords, for one that takes the model itself.

    Raises:
        ToolDefinitionError: the handler does not take one argument beside a `ToolContext`.
    """
    context = context_parameters(handler, tool)
    _check_handler(handler, context, tool)

    def split(keywords: JsonObject) -> tuple[BaseModel, JsonObject]:
        arguments = {name: value for name, value in keywords.items() if name not in context}
        return build(model, arguments), {name: keywords[name] for name in context}

    @functools.wraps(handler, updated=())
    async def call_async(**keywords: Any) -> Any:
        value, rest = split(keywords)
        return await handler(value, **rest)

    @functools.wraps(handler, updated=())
    def call(**keywords: Any) -> Any:
        value, rest = split(keywords)
        return handler(value, **rest)

    made: Any = call_async if is_async(handler) else call
    made.__doc__ = inspect.getdoc(handler) if inspect.isroutine(handler) else None
    made.__doc__ = made.__doc__ or model.__doc__
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=ToolContext) for name in context]
    everything = inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD, annotation=Any)
    made.__signature__ = inspect.Signature([*parameters, everything])
    adapted: Callable[..., Any] = made
    return adapted


def _check_handler(handler: Callable[..., Any], context: tuple[str, ...], tool: str) -> None:
    variable = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    try:
        parameters = [item for item in inspect.signature(handler).parameters.values() if item.name not in context]
    except (ValueError, TypeError):
        return  # of a builtin; what it takes shows when it is called
    extra = [item for item in parameters[1:] if item.default is item.empty and item.kind is not item.VAR_KEYWORD]
    if not parameters or parameters[0].kind in variable or extra:
        raise ToolDefinitionError(
            f"tool {tool!r}: its handler must take one argument, the model; for the fields as keywords give unpack=True"
        )


def _schema(model: type[BaseModel], tool: str) -> JsonObject:
    try:
        schema = model_schema(model)
    except PydanticUserError as error:
        reason = str(error).partition("\n")[0]
        raise ToolDefinitionError(
            f"tool {tool!r}: {model.__name__} has no JSON Schema ({reason}); use JSON-like types in it"
        ) from error
    if "$ref" in schema:  # the model holds itself
        target = schema["$defs"][schema.pop("$ref").rpartition("/")[2]]
        schema |= target
    if schema["type"] != "object":
        raise ToolDefinitionError(f"tool {tool!r}: {model.__name__} is no object: give it fields")
    schema.pop("description", None)
    return schema
