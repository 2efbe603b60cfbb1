"""Conversion of `typing.TypedDict` for pydantic on Python 3.11, where it takes only that of `typing_extensions`."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin

import typing_extensions


def portable(annotation: Any, outer: tuple[Any, ...] = ()) -> Any:
    """Return an annotation in which each `typing.TypedDict` is one of `typing_extensions`.

    Args:
        annotation: A resolved annotation.
        outer: The typed dicts around it; one that holds itself stays as it is.

    Raises:
        NameError: a field's own annotation cannot be resolved.
    """
    if typing_extensions.is_typeddict(annotation):
        is_ours = type(annotation).__module__ == "typing" and annotation not in outer
        return _converted(annotation, (*outer, annotation)) if is_ours else annotation
    inner = get_args(annotation)
    changed = tuple(portable(item, outer) for item in inner)
    if all(new is old for new, old in zip(changed, inner, strict=True)):
        return annotation
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        return Annotated[(changed[0], *annotation.__metadata__)]
    return Union[changed] if origin is types.UnionType else origin[changed]  # noqa: UP007  # made at run time


def _converted(annotation: Any, outer: tuple[Any, ...]) -> Any:
    fields: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(annotation, include_extras=True).items():
        marked = get_origin(hint) in {Required, NotRequired}
        required = get_origin(hint) is Required if marked else name in annotation.__required_keys__
        value = portable(get_args(hint)[0] if marked else hint, outer)
        fields[name] = Required[value] if required else NotRequired[value]
    make: Any = typing_extensions.TypedDict  # type checkers want a literal
    made = make(annotation.__name__, fields)
    made.__doc__, made.__module__ = annotation.__doc__, annotation.__module__
    return made
