"""The circuit breaker before a server that fails many times in a row."""

from __future__ import annotations

import pytest

from unified_agents.config import ModelPolicy
from unified_agents.errors import BadRequestError, NetworkError, RateLimitError, ServerError
from unified_agents.wire.circuit_breaker import CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.check()
        breaker.record(ServerError("dead"))


def test_the_circuit_opens_after_so_many_failures_in_a_row() -> None:
    clock = Clock()
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=3, breaker_seconds=10), clock)
    broken(breaker, 3)
    with pytest.raises(ServerError, match="not asked") as refused:
        breaker.check()
    assert refused.value.final
    clock.now = 10.0
    breaker.check()  # one request finds out
    with pytest.raises(ServerError):
        breaker.check()
    breaker.record(None)
    breaker.check()


def test_a_success_between_and_other_errors_keep_it_closed() -> None:
    breaker = CircuitBreaker(ModelPolicy(breaker_failures=3), Clock())
    broken(breaker, 2)
    breaker.record(None)
    broken(breaker, 2)
    breaker.record(BadRequestError("x"))  # the server answers
    broken(breaker, 2)
    breaker.record(RateLimitError("x"))
    breaker.check()
    broken(breaker, 2)
    breaker.record(NetworkError("x"))
    with pytest.raises(NetworkError):
        breaker.check()
