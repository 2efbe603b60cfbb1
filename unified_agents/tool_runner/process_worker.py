"""The program in the process of an isolated tool: it carries out one call, and ends.

The call comes as JSON on standard input, after its length in eight bytes; the outcome goes back the same way on what
was standard output. What the tool prints goes to standard error. When the other side is gone, the process ends itself
with all that it has started.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import signal
import struct
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import orjson

from unified_agents.errors import RateLimited, Transient, native_name
from unified_agents.text import text_of
from unified_agents.tools.decorator import tool
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.results import to_text

LENGTH = struct.Struct(">Q")


def find_handler(module: str, qualname: str) -> Callable[..., Any]:
    """Return the function of that name; of a tool, its handler.

    Raises:
        Exception: whatever importing the module raises, or AttributeError.
    """
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    handler: Callable[..., Any] = found.handler if isinstance(found, Tool) else found
    return handler


def main() -> None:
    """Carry out the call on standard input."""
    answers = os.fdopen(os.dup(1), "wb")  # not inherited by what the tool starts
    os.dup2(2, 1)
    request = orjson.loads(_read(LENGTH.unpack(_read(LENGTH.size))[0]))
    over = threading.Event()
    threading.Thread(target=_end_with_parent, args=(over,), daemon=True).start()
    outcome = orjson.dumps(_outcome(request))
    over.set()
    answers.write(LENGTH.pack(len(outcome)) + outcome)
    answers.close()


def _read(length: int) -> bytes:
    parts = []
    while length:
        part = os.read(0, min(length, 1 << 20))
        if not part:
            sys.exit("the call was cut off")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _end_with_parent(over: threading.Event) -> None:
    os.read(0, 1)  # returns when it closes
    if not over.is_set():
        os.killpg(0, signal.SIGKILL)


def _outcome(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"text": to_text(_call(request))}
    except BaseException as error:  # told to the other side, SystemExit too
        return {
            "error": type(error).__name__,
            "native_type": native_name(error),
            "text": text_of(error).encode("utf-8", "replace").decode(),
            "is_transient": isinstance(error, Transient),
            "retry_after": error.retry_after if isinstance(error, RateLimited) else None,
        }


def _call(request: dict[str, Any]) -> Any:
    handler = find_handler(request["module"], request["qualname"])
    arguments = request["arguments"]
    if isinstance(arguments, str):  # of a typed function: its types are built here
        arguments = tool(handler, name=request["tool"], coercion=request["coercion"]).validate(arguments)
    context = ToolContext(
        run_id=request["run_id"], call_id=request["call_id"], step=request["step"], tool=request["tool"]
    )
    value = handler(**arguments, **dict.fromkeys(request["context"], context))
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Any) -> Any:
    work: Coroutine[Any, Any, Any] | asyncio.Future[Any] = value
    return await work
