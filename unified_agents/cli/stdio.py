"""Output of the commands: errors on standard error, and with `--json` one JSON object on standard output.

Importing this module loads little, so that an interrupt is reported from the first moment on.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TextIO

from unified_agents.text import OBEYED, visible_lines

if TYPE_CHECKING:
    from unified_agents.errors import UnifiedAgentsError

COMPLETED, FAILED, USAGE, LIMIT, SUSPENDED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143

_claimed: list[TextIO] = []
"""The stream that `put` writes to once standard output is claimed."""


class Interrupted(BaseException):
    """An interrupt by the user, which `main` reports with its text; typer would end silently on KeyboardInterrupt."""


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def tolerate_other_encodings() -> None:
    """Let standard output escape characters that its encoding lacks, and standard input replace bytes that are none."""
    for stream, errors in ((sys.stdout, "backslashreplace"), (sys.stdin, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def flush_output() -> None:
    """Write what standard output still holds.

    Raises:
        OSError: it cannot be written.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def discard_output() -> None:
    """Drop what standard output still holds and is given from now on, so that the process can end without it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for out in (*_claimed, sys.__stdout__):
            if out is not None:
                os.dup2(nowhere, out.fileno())
    finally:
        os.close(nowhere)


def claim_standard_output() -> None:
    """Let only `put` write to standard output, until the process ends.

    What tools, imported modules and child processes print goes to standard error.
    """
    out = sys.__stdout__
    if _claimed or out is None or sys.stdout is not out or sys.stderr is None:
        return
    out.flush()
    _claimed.append(os.fdopen(os.dup(1), "w", encoding=out.encoding, errors=out.errors))
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def put(text: str) -> None:
    """Write to standard output, claimed or not; do nothing where the caller has closed it."""
    out = _standard_output()
    if out is not None:
        out.write(text)
        out.flush()


def put_answer(text: str) -> None:
    """Write a model's text to standard output; where that is a terminal, with nothing in it that a terminal obeys."""
    put(visible_lines(text) if _is_terminal() else text)


def _standard_output() -> TextIO | None:
    return _claimed[0] if _claimed else sys.stdout


def _is_terminal() -> bool:
    out = _standard_output()
    return out is not None and out.isatty()


def put_json(value: object) -> None:
    """Write a JSON value to standard output, on one line."""
    put_json_text(json.dumps(value, ensure_ascii=False) + "\n")


def put_json_text(text: str) -> None:
    """Write JSON to standard output. Where its encoding lacks a character, all beyond ASCII are escaped as in JSON.

    So are control characters and marks that turn text round, where standard output is a terminal.
    """
    escaped = _NOT_ASCII if not can_be_put(text) else OBEYED if _is_terminal() else None
    put(text if escaped is None else escaped.sub(lambda found: json.dumps(found[0])[1:-1], text))


def can_be_put(text: str) -> bool:
    """Tell whether the encoding of standard output has all characters of a text."""
    try:
        text.encode(getattr(_standard_output(), "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def stop(error: UnifiedAgentsError, code: int, *, as_json: bool = False) -> NoReturn:
    """Report an error as `report_error` does, and exit with this code."""
    report_error(error, as_json=as_json)
    raise SystemExit(code) from None


@contextmanager
def exit_on_wrong_usage(*, as_json: bool = False) -> Iterator[None]:
    """Report an error of usage or configuration that the block raises, and exit with its code."""
    from unified_agents.errors import UnifiedAgentsError  # noqa: PLC0415  # see the module's docstring

    try:
        yield
    except UnifiedAgentsError as error:
        stop(error, USAGE, as_json=as_json)


def report_error(error: UnifiedAgentsError, *, as_json: bool) -> None:
    """Report an error as `report` does; its kind is the run error's own, else `config` or `unsupported`."""
    from unified_agents.errors import ConfigError, RunError  # noqa: PLC0415  # loaded by now: one of them was raised

    kind = error.kind if isinstance(error, RunError) else "config" if isinstance(error, ConfigError) else "unsupported"
    report(kind, type(error).__name__, str(error), as_json=as_json)


def report(kind: str, type_: str, message: str, *, as_json: bool) -> None:
    """Write one line to standard error, and with `as_json` an object to standard output in place of the result.

    Args:
        kind: The kind of error, for scripts.
        type_: The error's class.
        message: One line for people.
        as_json: Whether to write `{"error": {"kind": …, "type": …, "message": …}}` as well.
    """
    print_message(message)
    if as_json:
        error = {"kind": kind, "type": type_, "message": _one_line(message)}
        put_json({"error": error})


def print_message(text: str) -> None:
    """Write one line to standard error, after the program's name, with nothing in it that a terminal obeys."""
    sys.stderr.write(f"unified-agents: {visible_lines(_one_line(text))}\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())
