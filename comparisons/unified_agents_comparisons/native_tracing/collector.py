"""Collects a framework's own spans by its instrumentor, in the worker's process and with a provider of its own."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from typing import Any

from unified_agents.backend import instrumentor_of
from unified_agents.environments.label import BackendLabel
from unified_agents.errors import ConfigError
from unified_agents.registry import backend_info, load_backend
from unified_agents_comparisons.native_tracing.spans import ForeignSpan, foreign_span


def traceable(backends: Sequence[str], *, named: bool, wrapped: Collection[str] = ()) -> tuple[str, ...]:
    """Return those of some backends whose own tracing can be collected.

    Args:
        backends: The backends; of one that is not installed here its worker will tell.
        named: Whether somebody asked for each of them by name, so that none can be left out.
        wrapped: Those that are agents of the suite's own.

    Raises:
        ConfigError: there is none, or one that was asked for is not among them.
    """
    known = [label for label in backends if label not in wrapped]
    found = tuple(label for label in known if _may_trace(BackendLabel.parse(label).name))
    if not found or (named and len(found) < len(backends)):
        other = ", ".join(name for name in backends if name not in found)
        raise ConfigError(f"--tracing native: no instrumentor is known for {other}")
    return found


class NativeSpans:
    """The spans of one framework, as far as they were made while its tracing was on.

    Args:
        backend: Which framework.

    Raises:
        ConfigError: nothing is known that traces it, or that is not installed.
    """

    def __init__(self, backend: str) -> None:
        found = instrumentor_of(load_backend(backend))
        if found is None:
            raise ConfigError(f"--tracing native: no instrumentor is known for {backend}")
        if not _is_installed(found.module) or find_spec("opentelemetry.sdk") is None:
            packages = f"{found.distribution} opentelemetry-sdk"
            raise ConfigError(f"--tracing native: {backend} needs more; run: pip install {packages}")
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # only who traces pays for it
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415

        self._kept = InMemorySpanExporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self._instrumentor: Any = getattr(importlib.import_module(found.module), found.name)()

    def switch_on(self) -> None:
        """Let the framework trace, and forget what was kept."""
        self._kept.clear()
        self._instrumentor.instrument(tracer_provider=self._provider)

    def switch_off(self) -> tuple[ForeignSpan, ...]:
        """Let the framework trace no more, and return its spans that have ended."""
        self._instrumentor.uninstrument()
        return tuple(map(foreign_span, self._kept.get_finished_spans()))


def _may_trace(backend: str) -> bool:
    return not backend_info(backend).installed or instrumentor_of(load_backend(backend)) is not None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # a package above it is missing
        return False
