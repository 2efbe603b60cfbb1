"""Evaluating arithmetic expressions, with bounds on everything that could run away."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import TypeAlias

from simpleeval import InvalidExpression, SimpleEval  # type: ignore[import-untyped]

Number: TypeAlias = int | float

MAX_LENGTH = 120
MAX_MAGNITUDE = 1e15
_MAX_EXPONENT = 64
_TOO_LARGE = f"a value in the expression is beyond {MAX_MAGNITUDE:g}"
_ALLOWED_NODES = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Constant)


def evaluate(expression: str) -> Number:
    """Evaluate an arithmetic expression.

    Knows `+ - * / // % **`, parentheses, and `abs`, `min`, `max`, `round` (with up to 10 digits) and `sqrt`. A whole
    result is an int; any other is rounded to 10 digits after the point.

    Args:
        expression: At most 120 characters.

    Raises:
        ValueError: the expression is too long, is no arithmetic, divides by zero, or a value in it is beyond 1e15.
    """
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"the expression has {len(expression)} characters; at most {MAX_LENGTH} are allowed")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        value = _bounded(_evaluator().eval(expression, previously_parsed=tree))
    except ZeroDivisionError as error:
        raise ValueError(f"{expression!r} divides by zero") from error
    except OverflowError as error:
        raise ValueError(_TOO_LARGE) from error
    except (SyntaxError, InvalidExpression, TypeError, RecursionError) as error:
        raise ValueError(f"{expression!r} is not arithmetic: {error}") from error
    return int(value) if value == int(value) else round(value, 10)


def _bounded(value: object) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not abs(value) <= MAX_MAGNITUDE:
        raise ValueError(_TOO_LARGE)
    return value


def _guarded(function: Callable[..., object]) -> Callable[..., Number]:
    def call(*operands: object) -> Number:
        return _bounded(function(*map(_bounded, operands)))

    return call


def _power(base: Number, exponent: Number) -> object:
    if abs(exponent) > _MAX_EXPONENT:
        raise ValueError(f"the exponent {exponent} is beyond {_MAX_EXPONENT}")
    return base**exponent


def _round(value: Number, digits: Number = 0) -> Number:
    if not isinstance(digits, int) or not 0 <= digits <= 10:
        raise ValueError(f"round takes 0 to 10 digits, not {digits}")
    return round(value, digits)


_OPERATORS: dict[type[ast.AST], Callable[..., object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., object]] = {"abs": abs, "min": min, "max": max, "round": _round, "sqrt": math.sqrt}


def _evaluator() -> SimpleEval:
    evaluator = SimpleEval(
        operators={node: _guarded(function) for node, function in _OPERATORS.items()},
        functions={name: _guarded(function) for name, function in _FUNCTIONS.items()},
        names={},
    )
    evaluator.nodes = {node: handler for node, handler in evaluator.nodes.items() if node in _ALLOWED_NODES}
    return evaluator
