"""What is kept of the head of an answer."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from unified_agents.wire.response_head import MAX_HEADERS, request_id_and_rate_limits


@pytest.mark.parametrize(
    "name", ["x-request-id", "X-Request-ID", "request-id", "apim-request-id", "X-MS-Request-Id", "x-amzn-RequestId"]
)
def test_each_name_of_a_request_id_is_known(name: str) -> None:
    assert request_id_and_rate_limits({name: "r1", "Content-Type": "x"}) == ("r1", {})
    assert request_id_and_rate_limits(CIMultiDict({name: "r1"})) == ("r1", {})


@pytest.mark.parametrize(
    "name",
    ["x-ratelimit-reset-tokens", "anthropic-ratelimit-requests-limit", "RateLimit-Remaining", "x-rate-limit-limit",
     "Retry-After", "retry-after-ms"],
)  # fmt: skip
def test_each_name_of_a_rate_limit_is_kept_in_lower_case(name: str) -> None:
    assert request_id_and_rate_limits({name: "1", "Date": "x"}) == (None, {name.lower(): "1"})


def test_the_first_id_that_says_something_counts() -> None:
    assert request_id_and_rate_limits({"request-id": "second", "x-request-id": "first"})[0] == "first"
    assert request_id_and_rate_limits({"request-id": "second", "x-request-id": ""})[0] == "second"
    assert request_id_and_rate_limits({"x-requested-with": "r"}) == (None, {})
    assert request_id_and_rate_limits({}) == (None, {})


def test_what_is_kept_is_bounded() -> None:
    headers = {f"x-ratelimit-{number}": "9" * 5000 for number in range(1000)}
    _, limits = request_id_and_rate_limits(headers)
    assert len(limits) == MAX_HEADERS
    assert {len(value) for value in limits.values()} == {200}
