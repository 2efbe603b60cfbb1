"""What of the contract depends most on the protocol, over each; `make proof` runs all of it on every backend."""

from __future__ import annotations

import pytest

from unified_agents.config.providers import PROTOCOL_TITLES
from unified_agents.testing import AnswerContract, RequestContract, ToolCallContract


class _DependsOnTheProtocol(AnswerContract, RequestContract, ToolCallContract):
    __test__ = False


for _protocol in list(PROTOCOL_TITLES)[1:]:
    _title = "TestCustomOver" + "".join(part.title() for part in _protocol.split("_"))
    _values = {"backend": "custom", "spoken": _protocol, "__module__": __name__, "__test__": True}
    globals()[_title] = pytest.mark.timeout(60)(type(_title, (_DependsOnTheProtocol,), _values))
