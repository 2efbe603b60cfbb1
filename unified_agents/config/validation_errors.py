"""Describes what is wrong with settings on one line, for those who wrote them. No value that was given is shown."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from unified_agents.text import closest, closest_key

MAX_LISTED_WORDS = 10
TYPE_NAMES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys",
    "mapping_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}
BOUND_MESSAGES = {
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_pattern_mismatch": "must match {pattern}",
}


def describe_errors(model: type[BaseModel], error: ValidationError, agent_file_keys: Iterable[str] = ()) -> str:
    """Describe everything that does not fit, with its place and, where there is one, the remedy.

    Args:
        model: What the values should have become.
        error: What pydantic says.
        agent_file_keys: Keys of an agent's file, which users put into other files by mistake.
    """
    errors = _relevant([_SettingError.of(model, details) for details in error.errors(include_url=False)])
    return "; ".join(_message(one, agent_file_keys) for one in errors)


@dataclass(slots=True, frozen=True)
class _SettingError:
    """An error and its place in what was written, without pydantic's names for the members of a union.

    Attributes:
        path: The keys and indices that lead there.
        kind: Pydantic's own name for what is wrong.
        message: Pydantic's own message.
        context: Pydantic's values for it.
        value: What stands there; never to be shown.
        forks: For each union on the way, the length of the path there and which member this is about.
        owners: The models that the last key could belong to.
        field: The field that the path ends at.
        alternatives: The same place as other members of the union see it.
    """

    path: tuple[int | str, ...]
    kind: str
    message: str
    context: Mapping[str, Any]
    value: object
    forks: tuple[tuple[int, str], ...]
    owners: tuple[type[BaseModel], ...]
    field: FieldInfo | None
    alternatives: tuple[_SettingError, ...] = ()

    @classmethod
    def of(cls, model: type[BaseModel], error: Mapping[str, Any]) -> _SettingError:
        """Make one of an entry of pydantic's `ValidationError.errors()`."""
        path: list[int | str] = []
        forks: list[tuple[int, str]] = []
        owners: list[type[BaseModel]] = []
        field: FieldInfo | None = None
        here: list[Any] = [model]
        for part in error["loc"]:
            if part == "[key]":
                continue
            if len(here) > 1 and (not forks or forks[-1][0] != len(path)):
                forks.append((len(path), str(part)))
                here = [kind for kind in here if getattr(kind, "__name__", " ") in str(part)] or here
                continue
            owners = [kind for kind in here if _is_model(kind)]
            found = [field for owner in owners if (field := _fields(owner).get(str(part)))]
            field = found[0] if found else None
            here = _members(found[0].annotation) if found else _item_types(here)
            path.append(part)
        return cls(
            path=tuple(path),
            kind="unknown_word" if error["loc"][-1:] == ("[key]",) else error["type"],
            message=error["msg"],
            context=error.get("ctx", {}),
            value=error["input"],
            forks=tuple(forks),
            owners=tuple(owners),
            field=field,
        )


def _relevant(errors: Sequence[_SettingError]) -> list[_SettingError]:
    """Leave out errors that only follow from others.

    Of a union the errors of the member that was meant stay; a list with wrong items is not called too short as well.
    """
    for level in range(max((len(error.forks) for error in errors), default=0)):
        unions: dict[object, list[_SettingError]] = {}
        for number, error in enumerate(errors):
            at = error.path[: error.forks[level][0]] if level < len(error.forks) else None
            unions.setdefault(("alone", number) if at is None else at, []).append(error)
        errors = [error for group in unions.values() for error in _of_meant_member(group, level)]
    return [
        error
        for error in errors
        if error.kind != "too_short"
        or not any(other.path != error.path == other.path[: len(error.path)] for other in errors)
    ]


def _of_meant_member(errors: list[_SettingError], level: int) -> list[_SettingError]:
    """Of the errors of one union, keep those of the member that fits what was written best."""
    if len(errors) == 1 or level >= len(errors[0].forks):
        return errors
    at = errors[0].forks[level][0]
    members: dict[str, list[_SettingError]] = {}
    for error in errors:
        members.setdefault(error.forks[level][1], []).append(error)
    # A member that found errors inside the value took it for one of its own kind.
    near = [group for group in members.values() if any(len(error.path) > at for error in group)]
    if not near:
        first, *alternatives = errors
        return [replace(first, alternatives=tuple(alternatives))]
    unknown = [{error.path for error in group if error.kind == "extra_forbidden"} for group in near]
    if len(near) > 1 and (common := set.intersection(*unknown)):
        known = tuple(dict.fromkeys(one for group in near for error in group for one in error.owners))
        return [replace(error, owners=known) for error in near[0] if error.path in common]
    return min(near, key=len)


def _message(error: _SettingError, agent_file_keys: Iterable[str]) -> str:
    place = ".".join(map(str, error.path))
    if error.kind == "extra_forbidden":
        return f"{place}: unknown key; {_remedy(error, agent_file_keys)}"
    return f"{place}: {_reason(error)}" if place else _reason(error)


def _remedy(error: _SettingError, agent_file_keys: Iterable[str]) -> str:
    key = str(error.path[-1])
    deeper = list(dict.fromkeys(place for owner in error.owners for place in _paths_to_key(owner, key)))
    if deeper:
        return f"put it under {' or '.join(deeper)}"
    known = list(dict.fromkeys(name for owner in error.owners for name in _fields(owner)))
    close = closest_key(key, known)
    if close is not None:
        return f"did you mean {close!r}?"
    if len(error.path) == 1 and key in agent_file_keys:
        return "it belongs in an agent's file"
    return f"known keys: {', '.join(known)}" if known else "remove it"


def _paths_to_key(owner: type[BaseModel], key: str) -> list[str]:
    """Return the paths of fields that have this key, from the uppermost level at which there is one."""
    inner = [(name, kind) for name, field in _fields(owner).items() for kind in _members(field.annotation)]
    models = [(name, kind) for name, kind in inner if _is_model(kind) and kind is not owner]
    direct = [name for name, kind in models if key in _fields(kind)]
    return direct or [f"{name}.{place}" for name, kind in models for place in _paths_to_key(kind, key)]


def _reason(error: _SettingError) -> str:
    errors = (error, *error.alternatives)
    words = [word for one in errors for word in _allowed_words(one)]
    wanted = [TYPE_NAMES[one.kind] for one in errors if one.kind in TYPE_NAMES]
    if not words and not wanted:
        return _other_reason(error)
    written = error.path[-1] if error.kind == "unknown_word" else error.value
    close = closest(written if isinstance(written, str) else "", [word.strip("'") for word in words])
    hint = f"did you mean {close[0]!r}?" if close else ""
    if hint and len(words) > MAX_LISTED_WORDS:
        return hint
    request = "give " + _join_with_or([*words, *dict.fromkeys(wanted)]) + _example(error)
    return f"{request}; {hint}" if hint else request


def _other_reason(error: _SettingError) -> str:
    if error.kind in BOUND_MESSAGES:
        return BOUND_MESSAGES[error.kind].format_map(error.context)
    if error.kind == "missing":
        return "is missing" + (f"; give it{_example(error)}" if _example(error) else "")
    if error.kind in {"too_short", "string_too_short"}:
        least = error.context["min_length"]
        return "must not be empty" if least == 1 else f"is too short: {least} are needed"
    message = error.message.removeprefix("Value error, ").replace("Input should ", "must ", 1)
    return re.sub(r"\s+", " ", message)


def _allowed_words(error: _SettingError) -> list[str]:
    """Return the words that are allowed there, as pydantic writes them; none where any text is."""
    return re.split(r", | or ", error.context["expected"]) if "expected" in error.context else []


def _example(error: _SettingError) -> str:
    examples = error.field.examples if error.field is not None else None
    return f", such as {examples[0]}" if examples else ""


def _join_with_or(parts: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union without None, or the type itself."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        return [one for part in get_args(annotation) if part is not types.NoneType for one in _members(part)]
    return [annotation]


def _item_types(containers: Iterable[Any]) -> list[Any]:
    """Return the types of what lists and mappings of these types hold."""
    return [
        member
        for container in containers
        if isinstance(origin := get_origin(container), type) and issubclass(origin, Mapping | Sequence | Set)
        if (arguments := get_args(container))
        for member in _members(arguments[1 if issubclass(origin, Mapping) else 0])
    ]
