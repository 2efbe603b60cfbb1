"""Translates our tools to Semantic Kernel's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import PydanticUserError
from semantic_kernel import Kernel
from semantic_kernel.exceptions import KernelException
from semantic_kernel.filters import FilterTypes
from semantic_kernel.functions import (
    FunctionResult,
    KernelFunction,
    KernelFunctionFromMethod,
    KernelParameterMetadata,
    KernelPlugin,
    kernel_function,
)

from unified_agents.backend import AgentSpec, BoundTool, python_call, unsupported_natively
from unified_agents.errors import BackendError

PLUGIN = "tools"
"""The plugin that holds the tools: Semantic Kernel offers each as `tools-<name>`."""


def add_tools(kernel: Kernel, spec: AgentSpec) -> None:
    """Put an agent's tools into a kernel.

    Raises:
        UnsupportedCapabilityError: under `native`, Semantic Kernel does not take one of them.
    """
    is_unified = spec.handling == "unified"
    functions = [_unified_function(bound) if is_unified else native_function(bound) for bound in spec.tools]
    if functions:
        kernel.add_plugin(KernelPlugin(name=PLUGIN, functions=functions))
    if is_unified:
        kernel.add_filter(FilterTypes.AUTO_FUNCTION_INVOCATION, _calls_by_id(spec.tools[-1]))


def _calls_by_id(reserved: BoundTool) -> Callable[[Any, Callable[[Any], Awaitable[None]]], Awaitable[None]]:
    # The kernel asks for a second parameter of this name.
    async def carry_out(context: Any, next: Callable[[Any], Awaitable[None]]) -> None:
        outcome = await reserved.run(context.function_call_content.id)
        context.function_result = FunctionResult(function=context.function.metadata, value=outcome.content)

    return carry_out


def _unified_function(bound: BoundTool) -> KernelFunction:
    async def never() -> None:
        raise BackendError("Semantic Kernel went past its filter")

    named = kernel_function(never, name=bound.name, description=bound.description)
    return KernelFunctionFromMethod(method=named, plugin_name=PLUGIN)


def native_construction(bound: BoundTool) -> str:
    """Return the Python call by which a tool is made under `native`."""
    return python_call("kernel_function", {"func": bound.function(), **bound.own_texts})


def native_function(bound: BoundTool) -> KernelFunction:
    """Translate a tool under `native`.

    Raises:
        UnsupportedCapabilityError: Semantic Kernel does not take the function.
    """
    try:
        function = kernel_function(bound.function(), **bound.own_texts)
        if not bound.is_schema_only:
            return KernelFunctionFromMethod(method=function, plugin_name=PLUGIN)
        required = bound.parameters.get("required", ())
        parameters = [
            KernelParameterMetadata(name=name, schema_data=schema, is_required=name in required, type_object=object)
            for name, schema in bound.parameters.get("properties", {}).items()
        ]
        return KernelFunctionFromMethod(method=function, plugin_name=PLUGIN, parameters=parameters)
    except (KernelException, PydanticUserError, NameError, TypeError, ValueError, AttributeError) as error:
        raise unsupported_natively(f"Semantic Kernel cannot take tool {bound.name!r}", error) from error
