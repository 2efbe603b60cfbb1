"""Tools under `handling: native`: the function itself, watched and never altered."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from unified_agents.errors import ErrorRecord, ToolFailedError, native_name
from unified_agents.events import Event, ToolCallCompleted, ToolCallFailed, ToolCallStarted
from unified_agents.run.calls import Call, ToolOutcome
from unified_agents.run.context import Run, RunningCall, current_call, current_run
from unified_agents.tool_runner.unified import call_context
from unified_agents.tools.definition import Tool, ToolContext
from unified_agents.tools.results import to_text
from unified_agents.tracing import spans
from unified_agents.tracing.live import OpenSpan

_NO_CONTEXT = ToolContext(run_id="", call_id="", step=0, tool="")


def watched(tool: Tool) -> Callable[..., Any]:
    """The tool's function, with its own signature and docstring, for a framework to wrap as it likes.

    What it returns and raises goes to the framework unaltered. Calls are matched to those of the model's last answer
    by name and arguments, for the record only. A parameter that takes the `ToolContext` is hidden.
    """
    hidden = tuple(tool.arguments_for({}, _NO_CONTEXT))
    function = _watched_async(tool, hidden) if tool.is_async else _watched_sync(tool, hidden)
    functools.update_wrapper(function, tool.handler)
    function.__name__ = tool.name
    signature = inspect.signature(tool.handler, eval_str=True)
    shown = [parameter for name, parameter in signature.parameters.items() if name not in hidden]
    function.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]  # a protocol of inspect
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return function


def _watched_async(tool: Tool, hidden: tuple[str, ...]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = current_run.get()
        if run is None:
            return await tool.handler(*args, **kwargs)
        visit = _Visit(run, tool, kwargs, hidden)

        async def work() -> Any:
            with visit:
                return visit.returned(await tool.handler(*args, **visit.arguments))

        await run.admit(_no_limit)
        return await run.lifecycle.spawn(work())

    return call


def _watched_sync(tool: Tool, hidden: tuple[str, ...]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        run = current_run.get()
        if run is None:
            return tool.handler(*args, **kwargs)
        with _Visit(run, tool, kwargs, hidden) as visit:
            return visit.returned(tool.handler(*args, **visit.arguments))

    return call


def _no_limit() -> None:
    return None


class _Visit:
    """One call of a watched function, from start to end. May live in a thread of the framework's."""

    def __init__(self, run: Run, tool: Tool, arguments: Mapping[str, Any], hidden: tuple[str, ...]) -> None:
        self._run = run
        self._call = _match(run, tool, arguments)
        context = call_context(run, self._call, tool)
        self.arguments = {**arguments, **dict.fromkeys(hidden, context)}
        self._call.reached = True
        self._call.received = dict(arguments)
        self._span: OpenSpan | None = None

    def __enter__(self) -> _Visit:
        run, call = self._run, self._call
        attributes: dict[str, spans.AttributeValue] = {
            spans.OPERATION: "execute_tool",
            spans.TOOL_NAME: call.name,
            spans.TOOL_CALL_ID: call.id,
            spans.TOOL_TYPE: "function",
        }
        self._span = run.trace.open(f"execute_tool {call.name}", attributes, run.root)
        self._token = current_call.set(RunningCall(run, call, self._span))
        self._start = run.trace.now()
        run.budget.count(tool_calls=1)
        run.native_threads[call.id] = threading.current_thread().name
        self._tell(ToolCallStarted(run.id, self._start, call.step, call.index, call.id, call.name, call.arguments))
        return self

    def returned(self, value: Any) -> Any:
        """Note what the function returned, and hand it on."""
        try:
            self._call.outcome = ToolOutcome(to_text(value))
        except ToolFailedError:
            self._call.outcome = ToolOutcome(repr(value))
        return value

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        run, call = self._run, self._call
        current_call.reset(self._token)
        now = run.trace.now()
        call.seconds = now - self._start
        run.measurements.tool_time.append((self._start, now))
        run.native_threads.pop(call.id, None)
        if error is None:
            self._close(None)
            content = call.outcome.content if call.outcome else ""
            self._tell(ToolCallCompleted(run.id, now, call.step, call.index, call.id, call.name, content, call.seconds))
        elif isinstance(error, Exception):
            self._failed(error, now)
        else:
            self._close("cancelled")

    def _failed(self, error: Exception, now: float) -> None:
        run, call = self._run, self._call
        failure = ToolFailedError(
            f"tool {call.name!r} raised {type(error).__name__}: {error}"[:2000], native_type=native_name(error)
        )
        call.error = failure.record()
        run.errors.append(call.error)
        run.raised.append((error, failure))
        self._close("tool_error")
        self._tell(
            ToolCallFailed(run.id, now, call.step, call.index, call.id, call.name, call.error, None, call.seconds)
        )

    def _close(self, error: str | None) -> None:
        if self._span is not None:
            self._span.close(error)

    def _tell(self, event: Event) -> None:
        if self._run.sinks:
            self._run.emit_threadsafe(event)


def _match(run: Run, tool: Tool, arguments: Mapping[str, Any]) -> Call:
    with run.matching:
        open_calls = [call for step in run.steps[-1:] for call in step.calls if call.tool is tool and not call.reached]
        fitting = [call for call in open_calls if _same(call.arguments, arguments)]
        call = next(iter(fitting or open_calls), None) or _unasked(run, tool, arguments)
        call.reached = True
        return call


def _same(asked: str, received: Mapping[str, Any]) -> bool:
    try:
        return bool(orjson.loads(asked or "{}") == dict(received))
    except orjson.JSONDecodeError:
        return False


def _unasked(run: Run, tool: Tool, arguments: Mapping[str, Any]) -> Call:
    step = max(len(run.steps) - 1, 0)
    message = f"the framework called tool {tool.name!r}, and no answer of the model asked for it"
    run.errors.append(ErrorRecord(kind="backend", type="BackendError", message=message))
    return Call(step, -1, f"unasked_{len(run.errors)}", tool.name, tool.name, repr(dict(arguments)), tool)
