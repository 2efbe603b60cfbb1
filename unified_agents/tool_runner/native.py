"""Tools under `handling: native`: the tool's own function, observed and never altered."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import orjson

from unified_agents.errors import ErrorRecord, ToolFailedError, native_name
from unified_agents.run.calls import Call, ToolOutcome
from unified_agents.run.context import Run, current_run
from unified_agents.text import text_of
from unified_agents.tool_runner.coroutine import ToolCoroutine
from unified_agents.tool_runner.input_output import recorded
from unified_agents.tool_runner.observation import ObservedCall
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.results import to_text

MAX_MESSAGE_CHARS = 2000
_NO_CONTEXT = ToolContext(run_id="", call_id="", step=0, tool="")


def observed_function(tool: Tool) -> Callable[..., Any]:
    """Return the tool's function, with its own signature and docstring, for a framework to wrap as it likes.

    What it returns and raises goes to the framework unaltered. Calls are matched to those of the model's last answer
    by name and arguments, for the record only. A parameter that takes the `ToolContext` is hidden.
    """
    parameters = _Parameters(tool)
    function = _observed_async(tool, parameters) if tool.is_async else _observed_sync(tool, parameters)
    functools.update_wrapper(function, tool.handler)
    if not parameters.hidden and hasattr(tool.handler, "__name__"):
        return function  # a plain function: frameworks read its signature through `__wrapped__`, as it was written
    shown = parameters.shown
    function.__signature__ = shown  # type: ignore[attr-defined]  # a protocol of inspect
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in shown.parameters.values()}
    return function


class _Parameters:
    """The parameters of a tool's function: what a framework gives is matched to them as Python would.

    Args:
        tool: The tool.

    Attributes:
        hidden: The parameters that take the `ToolContext`.
        shown: The signature without them.
    """

    def __init__(self, tool: Tool) -> None:
        self._whole = inspect.signature(tool.handler, eval_str=True)
        self.hidden = tuple(tool.arguments_for({}, _NO_CONTEXT))
        parameters = [value for name, value in self._whole.parameters.items() if name not in self.hidden]
        self.shown = self._whole.replace(parameters=parameters)

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was given by the names of the parameters; only the keywords where it does not fit them."""
        try:
            found = self.shown.bind(*args, **kwargs).arguments
        except TypeError:  # the function itself will say so
            return dict(kwargs)
        extra = next((name for name, value in self.shown.parameters.items() if value.kind is value.VAR_KEYWORD), "")
        further: dict[str, Any] = found.get(extra, {})
        return {name: value for name, value in found.items() if name != extra} | further

    def call(self, tool: Tool, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: ToolContext) -> Any:
        """Call the tool's function, with the context in each parameter that takes it."""
        if not self.hidden:
            return tool.handler(*args, **kwargs)
        found = self.shown.bind(*args, **kwargs).arguments
        whole = inspect.BoundArguments(self._whole, {**found, **dict.fromkeys(self.hidden, context)})
        return tool.handler(*whole.args, **whole.kwargs)


def _observed_async(tool: Tool, parameters: _Parameters) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = current_run.get()
        if run is None:
            return await parameters.call(tool, args, kwargs, replace(_NO_CONTEXT, tool=tool.name))

        async def carry_out() -> Any:
            with _NativeCall(run, tool, parameters.named(args, kwargs)) as observed:
                observed.call.task = asyncio.current_task()  # by which it is named where it does not end
                work = parameters.call(tool, args, kwargs, observed.context(tool))
                if asyncio.iscoroutine(work):
                    work = ToolCoroutine(work, run.lifecycle, _not_reported)
                return observed.returned(await work)

        await run.admit(_no_limit)
        return await run.lifecycle.spawn(carry_out())

    return call


def _observed_sync(tool: Tool, parameters: _Parameters) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        run = current_run.get()
        if run is None:
            return parameters.call(tool, args, kwargs, replace(_NO_CONTEXT, tool=tool.name))
        with _NativeCall(run, tool, parameters.named(args, kwargs)) as observed:
            return observed.returned(parameters.call(tool, args, kwargs, observed.context(tool)))

    return call


def _no_limit() -> None:
    return None


def _not_reported(_seconds: float) -> None:
    return None


class _NativeCall(ObservedCall):
    """A call that the framework makes by itself, matched to one that the model asked for.

    Args:
        run: The run.
        tool: What the framework calls.
        arguments: What it gives, by name.
    """

    __slots__ = ()

    def __init__(self, run: Run, tool: Tool, arguments: Mapping[str, Any]) -> None:
        super().__init__(run, _match(run, tool, arguments))
        self.call.received = recorded(arguments)

    def __enter__(self) -> Self:
        self.run.budget.count_tool_call()
        self.run.native_threads[self.call.id] = threading.current_thread().name
        return super().__enter__()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        run, call = self.run, self.call
        run.native_threads.pop(call.id, None)
        if isinstance(error, Exception):
            failure = ToolFailedError(
                f"tool {call.name!r} raised {type(error).__name__}: {text_of(error)}"[:MAX_MESSAGE_CHARS],
                native_type=native_name(error),
            )
            run.raised.append((error, failure))
            self.failed(failure, None)
        else:
            super().__exit__(kind, error, trace)

    def returned(self, value: Any) -> Any:
        """Record what the function returned, and hand it on."""
        try:
            content = to_text(value)
        except ToolFailedError:
            content = repr(value)
        self.completed(ToolOutcome(content))
        return value


def _match(run: Run, tool: Tool, arguments: Mapping[str, Any]) -> Call:
    """Return the call of the last step that the framework most likely means, or a new one where there is none."""
    with run.matching:
        open_calls = [call for step in run.steps[-1:] for call in step.calls if call.tool is tool and not call.reached]
        fitting = [call for call in open_calls if _are_same(call.arguments, arguments)]
        call = next(iter(fitting or open_calls), None) or _unasked(run, tool, arguments)
        call.reached = True
        return call


def _are_same(asked: str, received: Mapping[str, Any]) -> bool:
    try:
        return bool(orjson.loads(asked or "{}") == dict(received))
    except orjson.JSONDecodeError:
        return False


def _unasked(run: Run, tool: Tool, arguments: Mapping[str, Any]) -> Call:
    step = run.steps[-1].index if run.steps else 0
    message = f"the framework called tool {tool.name!r}, and no answer of the model asked for it"
    run.errors.append(ErrorRecord(kind="backend", type="BackendError", message=message))
    return Call(step, -1, f"unasked_{len(run.errors)}", tool.name, tool.name, repr(dict(arguments)), tool)
