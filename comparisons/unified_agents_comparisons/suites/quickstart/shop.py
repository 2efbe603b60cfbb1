"""The shop's database: built in memory for each query from the shipped SQL, and only ever read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]

MAX_ROWS = 20
_MAX_INSTRUCTIONS = 5_000_000
_INSTRUCTIONS_PER_CHECK = 10_000
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_MAX_VALUE_BYTES = 100_000


@cache
def _schema_and_rows() -> str:
    return (files(__package__) / "data" / "shop.sql").read_text(encoding="utf-8")


def query(sql: str, parameters: Sequence[str] = ()) -> list[Row]:
    """Return the rows of one SELECT: at most one more than `MAX_ROWS`, so that a caller sees that there are more.

    Args:
        sql: One statement.
        parameters: The values of its question marks.

    Raises:
        ValueError: the statement is no single SELECT, is wrong, or takes too long.
    """
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(_schema_and_rows())
        _restrict(connection)
        cursor = connection.execute(sql, parameters)
        if cursor.description is None:
            raise ValueError("the query has no result: write one SELECT statement")
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchmany(MAX_ROWS + 1)]
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise ValueError(f"the query cannot be run: {error}; write one SELECT statement") from error
    finally:
        connection.close()


def _restrict(connection: sqlite3.Connection) -> None:
    # Stricter than opening a file with mode=ro, which would still let a statement attach any other file.
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    checks = iter(range(_MAX_INSTRUCTIONS // _INSTRUCTIONS_PER_CHECK))
    connection.set_progress_handler(lambda: int(next(checks, None) is None), _INSTRUCTIONS_PER_CHECK)
