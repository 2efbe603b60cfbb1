"""The arguments that a model may give, read from a function's signature."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from unified_agents.elicitation import ElicitationAnswer
from unified_agents.errors import ToolDefinitionError
from unified_agents.messages import JsonObject
from unified_agents.tools.schema import model_schema
from unified_agents.tools.typed_dicts import portable

EXTRA = "**"
"""The alias of the arguments for `**kwargs`, which no parameter can have as its name."""
_ITERABLES = (Iterable, Collection, typing.Iterable, typing.Collection)
_CHECKED_DEFAULTS = (str, int, float, bytes, list, tuple, dict, set)


@dataclass(slots=True, frozen=True)
class ToolContext:
    """The call that a tool answers. A parameter with this annotation is filled in, and the model never sees it.

    Attributes:
        run_id: The run.
        call_id: The call's id, unique within the run.
        step: The model call that asked for it, from 0.
        tool: The tool's own name.
        on_progress: Called with each report of progress; None when nobody listens.
        dependencies: What the caller gave to this run for its tools, such as a user or a connection. The model never
            sees it, and it is in no record. A tool in a process of its own gets None.
        idempotency_key: Unique for the call, and the same each time that it is carried out, also by a process that
            resumes the run. Give it to a service that does nothing twice under one key.
        state: What the tools of the run keep for each other: JSON values under keys of your own. The journal holds it
            as each call leaves it. A tool in a process of its own gets a copy.
        elicitation_answers: What the user has answered to what the call's MCP server asked, when the call was made
            before; None where nobody can be asked, since the run keeps no journal.
    """

    run_id: str
    call_id: str
    step: int
    tool: str
    on_progress: Callable[[float, float | None, str], None] | None = field(default=None, repr=False, compare=False)
    dependencies: Any = field(default=None, repr=False, compare=False)
    idempotency_key: str = ""
    state: JsonObject = field(default_factory=dict, repr=False, compare=False)
    elicitation_answers: tuple[ElicitationAnswer, ...] | None = field(default=None, repr=False, compare=False)

    def report_progress(self, progress: float, total: float | None = None, message: str = "") -> None:
        """Report how far the call has come, from any thread: a `ToolCallProgress` event, or MCP's notification.

        Args:
            progress: How much is done; each report of a call should say more than the one before.
            total: How much there is to do, in the same unit; None when that is not known.
            message: What is being done.
        """
        if self.on_progress is not None:
            self.on_progress(progress, total, message)


NO_CONTEXT = ToolContext(run_id="", call_id="", step=0, tool="")
"""Stands for the context of a call where the tool does not ask for it."""


@dataclass(slots=True, frozen=True)
class Signature:
    """The parameters of a function, with a model that validates them.

    Attributes:
        model: Validates the arguments. Its fields have names of ours, so that no parameter's name can clash with
            pydantic's; what the model writes is their alias.
        fields: Pairs of the field's name in `model` and the parameter's name.
        open: Whether there is a `**kwargs`: `model` takes its items as one object named `EXTRA`, in the field `extra`.
        schema: The canonical JSON Schema, without what the docstring says.
        shown: Parameter name to the name that the model writes; they differ where a `Field` has an alias.
        context: Parameters that take the `ToolContext`.
        closed: Names that `**kwargs` must never receive from the model.
    """

    model: type[BaseModel]
    fields: tuple[tuple[str, str], ...]
    open: bool
    schema: JsonObject
    shown: Mapping[str, str]
    context: tuple[str, ...]
    closed: frozenset[str]


def plain_function(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function behind partials and objects with `__call__`: it has the name and the docstring."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if inspect.isroutine(handler) or inspect.isclass(handler):
        return handler
    return type(handler).__call__


def is_async(handler: Callable[..., Any]) -> bool:
    """Tell whether a call gives a coroutine: also for partials and objects with an async `__call__`."""
    return inspect.iscoroutinefunction(plain_function(handler))


def read_signature(handler: Callable[..., Any], tool: str) -> Signature:
    """Read the arguments that a function takes.

    Args:
        handler: The function.
        tool: The tool's name, for messages.

    Raises:
        ToolDefinitionError: the signature cannot be offered to a model; the message says what to change.
    """
    taken: dict[str, inspect.Parameter] = {}
    context: list[str] = []
    extra: Any = None
    bound = _bound_keywords(handler)
    for name, parameter in _parameters(handler, tool).items():
        if name in bound:
            continue
        annotation = _annotation(handler, parameter, tool)
        if takes_context(annotation):
            context.append(name)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            extra = annotation
        elif ToolContext in get_args(annotation):
            _refuse(tool, f"parameter {name!r} mixes ToolContext with other types: write ToolContext, or with | None")
        else:
            taken[name] = parameter.replace(annotation=annotation)
    model, schema = _model(taken, extra, tool)
    _check_defaults(model, taken, tool)
    fields = tuple((f"arg_{index}", name) for index, name in enumerate(taken))
    aliases = {name: model.model_fields[field].validation_alias for field, name in fields}
    shown = {name: alias if isinstance(alias, str) else name for name, alias in aliases.items()}
    closed = frozenset({*taken, *context, *bound}) - schema["properties"].keys()
    return Signature(model, fields, extra is not None, schema, shown, tuple(context), closed)


def context_parameters(handler: Callable[..., Any], tool: str) -> tuple[str, ...]:
    """Return the parameters of a callable that take the `ToolContext`; none where its signature cannot be read.

    Raises:
        ToolDefinitionError: an annotation names `ToolContext` and cannot be resolved.
    """
    try:
        parameters = inspect.signature(handler).parameters
    except (ValueError, TypeError):
        return ()
    named = [parameter for parameter in parameters.values() if "ToolContext" in str(parameter.annotation)]
    return tuple(parameter.name for parameter in named if takes_context(_annotation(handler, parameter, tool)))


def takes_context(annotation: object) -> bool:
    """Tell whether an annotation is `ToolContext`, also with `| None` or within `Annotated`."""
    if _is_annotated(annotation):
        return takes_context(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return {ToolContext, types.NoneType} == set(get_args(annotation))
    return annotation is ToolContext


def _bound_keywords(handler: Callable[..., Any]) -> set[str]:
    bound: set[str] = set()
    while isinstance(handler, functools.partial):
        bound |= handler.keywords.keys()
        handler = handler.func
    return bound


def _parameters(handler: Callable[..., Any], tool: str) -> Mapping[str, inspect.Parameter]:
    function = plain_function(handler)
    if inspect.isclass(function):
        _refuse(tool, "is a class; give a function that makes and uses one")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        _refuse(tool, "is a generator; return a list")
    try:
        parameters = inspect.signature(handler).parameters
    except (ValueError, TypeError, NameError) as error:
        raise ToolDefinitionError(
            f"tool {tool!r}: its signature cannot be read ({error}); wrap it in a typed function"
        ) from error
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            _refuse(tool, f"has *{name}; a model names its arguments: take a list instead")
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            _refuse(tool, f"parameter {name!r} is positional-only; a model names its arguments: move the / away")
    return parameters


def _annotation(handler: Callable[..., Any], parameter: inspect.Parameter, tool: str) -> Any:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            return Any
        hint = " (for a method, make a tool of the bound method)" if parameter.name in {"self", "cls"} else ""
        _refuse(tool, f"parameter {parameter.name!r} has no annotation; write its type{hint}")
    function = inspect.unwrap(plain_function(handler))
    function = getattr(function, "__func__", function)
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        hints = typing.get_type_hints(
            holder, getattr(function, "__globals__", {}), _defining_locals(function), include_extras=True
        )
        hint = _with_lists(hints["it"])
        return portable(hint) if sys.version_info < (3, 12) else hint
    except Exception as error:  # an annotation is any expression, so it may raise anything
        raise ToolDefinitionError(
            f"tool {tool!r}: parameter {parameter.name!r}: the annotation {annotation!r} cannot be resolved ({error});"
            " import its names at run time, not only under TYPE_CHECKING"
        ) from error


def _with_lists(annotation: Any) -> Any:
    """Return an annotation with a list for each iterable, whose items pydantic would validate only when used."""
    inner = get_args(annotation)
    if get_origin(annotation) in _ITERABLES:
        return types.GenericAlias(list, tuple(map(_with_lists, inner)))
    if annotation in _ITERABLES:
        return list
    if _is_annotated(annotation):
        return Annotated[(_with_lists(inner[0]), *annotation.__metadata__)]
    if get_origin(annotation) in {Union, types.UnionType}:
        return Union[tuple(map(_with_lists, inner))]  # noqa: UP007  # made at run time
    return annotation


def _defining_locals(function: Callable[..., Any]) -> dict[str, Any] | None:
    """Return the variables of the function that is defining this one: string annotations may name local classes."""
    code = getattr(function, "__code__", None)
    if code is None or "<locals>" not in function.__qualname__:
        return None
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if code in frame.f_code.co_consts:
            return dict(frame.f_locals)
        frame = frame.f_back
    return None


def _model(parameters: Mapping[str, inspect.Parameter], extra: Any, tool: str) -> tuple[type[BaseModel], JsonObject]:
    try:
        return _build(parameters, extra)
    except Exception as error:  # pydantic asks the types themselves, which may raise anything
        culprit, cause = _culprit(parameters) or ("**", error)
        reason = str(cause).partition("\n")[0].partition(". Set `arbitrary")[0]
        raise ToolDefinitionError(
            f"tool {tool!r}: parameter {culprit!r}: pydantic cannot use its type ({reason}); take JSON-like types,"
            " enums, dates, dataclasses or pydantic models"
        ) from error


def _check_defaults(model: type[BaseModel], parameters: Mapping[str, inspect.Parameter], tool: str) -> None:
    """Refuse a default that is not of its type; None, and objects that stand for "not given", are always allowed."""
    given: dict[str, tuple[str, Any]] = {}
    for index, name in enumerate(parameters):
        info = model.model_fields[f"arg_{index}"]
        if isinstance(info.validation_alias, str) and isinstance(info.default, _CHECKED_DEFAULTS):
            given[info.validation_alias] = name, info.default
    try:
        if given:
            model.model_validate({alias: default for alias, (_, default) in given.items()})
    except ValidationError as error:
        for fault in error.errors():
            if (alias := fault["loc"][0]) in given:  # else it is one that has no default, and is missing
                name, default = given[str(alias)]
                _refuse(tool, f"parameter {name!r}: its default {default!r:.80} does not fit its type: {fault['msg']}")
    except Exception:  # a validator of the user's own may raise anything, and is asked again when the tool is called
        return


def _build(parameters: Mapping[str, inspect.Parameter], extra: Any) -> tuple[type[BaseModel], JsonObject]:
    fields: dict[str, Any] = {
        f"arg_{index}": _field(name, parameter) for index, (name, parameter) in enumerate(parameters.items())
    }
    if extra is not None:
        fields["extra"] = (types.GenericAlias(dict, (str, extra)), Field(default={}, alias=EXTRA))
    model = create_model("Arguments", __config__=ConfigDict(extra="forbid"), __module__=__name__, **fields)
    model.model_rebuild(raise_errors=True)
    schema = model_schema(model)
    if extra is not None:
        schema["additionalProperties"] = schema["properties"].pop(EXTRA).get("additionalProperties", True)
    return model, schema


def _field(name: str, parameter: inspect.Parameter) -> Any:
    # An alias generator would be simpler, but reaches into nested dataclasses and typed dicts.
    base, *metadata = get_args(parameter.annotation) if _is_annotated(parameter.annotation) else [parameter.annotation]
    text = next((text for item in metadata if isinstance(text := getattr(item, "documentation", item), str)), None)
    annotation: Any = Annotated[(base, Field(alias=name, description=text), *metadata)]  # the user's own Field wins
    return annotation if parameter.default is inspect.Parameter.empty else (annotation, parameter.default)


def _is_annotated(annotation: object) -> bool:
    return get_origin(annotation) is Annotated


def _culprit(parameters: Mapping[str, inspect.Parameter]) -> tuple[str, Exception] | None:
    for name, parameter in parameters.items():
        try:
            _build({name: parameter}, None)
        except Exception as error:  # looked for, and raised by the caller
            return name, error
    return None


def _refuse(tool: str, reason: str) -> NoReturn:
    raise ToolDefinitionError(f"tool {tool!r}: {reason}")
