"""A receiver of OTLP over HTTP on loopback. It parses with `opentelemetry-proto`, and refuses what is invalid."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support import http_server


@dataclass
class ReceivedSpan:
    """A span as it came."""

    scope: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]
    events: list[str]


@dataclass
class OtlpReceiver:
    """What has come, and what was refused."""

    url: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    status: int = 200
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing is answered before this is set, as it is at first."""

    def __post_init__(self) -> None:
        self.answers.set()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.answers.wait()
        if self.status != 200:
            return web.Response(status=self.status)
        try:
            if request.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if request.path == "/v1/traces":
                self.spans += _spans(body)
            elif request.path == "/v1/metrics":
                self.metrics |= _metrics(body)
            else:
                raise ValueError(f"no signal {request.path}")
        except (ValueError, DecodeError, OSError) as error:
            self.refused.append(str(error))
            return web.Response(status=400, text=str(error))
        return web.Response(status=200)


@asynccontextmanager
async def otlp_receiver() -> AsyncIterator[OtlpReceiver]:
    """Receive OTLP while the block runs."""
    receiver = OtlpReceiver()
    async with http_server(receiver.handle) as receiver.url:
        yield receiver


def _spans(body: bytes) -> list[ReceivedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
    found = [_checked(scope.scope.name, span) for scope in scopes for span in scope.spans]
    if not found:
        raise ValueError("no span")
    return found


def _checked(scope: str, span: Span) -> ReceivedSpan:
    if len(span.trace_id) != 16 or not any(span.trace_id):
        raise ValueError(f"{span.name}: no trace id of 16 bytes")
    if len(span.span_id) != 8 or not any(span.span_id):
        raise ValueError(f"{span.name}: no span id of 8 bytes")
    if span.parent_span_id and len(span.parent_span_id) != 8:
        raise ValueError(f"{span.name}: no parent id of 8 bytes")
    if not span.name or span.kind == Span.SPAN_KIND_UNSPECIFIED:
        raise ValueError("a span without a name or kind")
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        raise ValueError(f"{span.name}: ends before it starts")
    keys = [item.key for item in span.attributes]
    if len(set(keys)) != len(keys) or not all(keys):
        raise ValueError(f"{span.name}: an attribute comes twice, or has no name")
    if any(not span.start_time_unix_nano <= event.time_unix_nano <= span.end_time_unix_nano for event in span.events):
        raise ValueError(f"{span.name}: an event outside of it")
    return ReceivedSpan(
        scope=scope,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes={item.key: _value(item.value) for item in span.attributes},
        events=[event.name for event in span.events],
    )


def _metrics(body: bytes) -> dict[str, Any]:
    request = ExportMetricsServiceRequest.FromString(body)
    found = [one for resource in request.resource_metrics for scope in resource.scope_metrics for one in scope.metrics]
    if not found:
        raise ValueError("no metric")
    read = {}
    for one in found:
        kind = one.WhichOneof("data")
        if not one.name or kind is None:
            raise ValueError("a metric without a name or data")
        points = [
            ({item.key: _value(item.value) for item in point.attributes}, _number(kind, point))
            for point in getattr(one, kind).data_points
        ]
        if not points:
            raise ValueError(f"{one.name}: no point")
        read[one.name] = {"unit": one.unit, "kind": kind, "points": points}
    return read


def _number(kind: str, point: Any) -> tuple[int, float]:
    if kind == "histogram":
        if sum(point.bucket_counts) != point.count or len(point.bucket_counts) != len(point.explicit_bounds) + 1:
            raise ValueError("a histogram whose buckets do not add up")
        return point.count, point.sum
    return 1, point.as_int if point.WhichOneof("value") == "as_int" else point.as_double


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        raise ValueError("an attribute without a value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)
