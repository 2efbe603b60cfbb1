"""The trace headers of requests that tools make, so that a server's spans join the run's trace."""

from __future__ import annotations

from unified_agents.tracing.user_providers import user_telemetry


def with_trace_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with those by which OpenTelemetry passes the current span on; the same where no provider is set.

    A header that is there already stays as it is.
    """
    telemetry = user_telemetry()
    if telemetry is None or telemetry.start_span is None:
        return headers
    from opentelemetry.propagate import inject  # noqa: PLC0415  # only who traces pays for it

    carried: dict[str, str] = {}
    inject(carried)
    own = {name.lower() for name in headers}
    return headers | {name: value for name, value in carried.items() if name.lower() not in own}
