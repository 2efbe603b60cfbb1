"""A backend in a worker keeps the contract too: its framework has the pipe, and both seams stay here.

The ordinary tests have what depends most on the pipe, on LangChain and on the custom loop, which asks for steps. The
proofs have all of it on every backend.
"""

from __future__ import annotations

import pytest

from support import EVERY_BACKEND
from unified_agents.backend import variants_of
from unified_agents.registry import load_backend
from unified_agents.testing import (
    AnswerContract,
    BackendContract,
    EndingContract,
    LimitContract,
    ReactContract,
    ToolCallContract,
    UnsendableContract,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class TestIsolatedCustomInShort(AnswerContract, ToolCallContract, LimitContract, EndingContract, UnsendableContract):
    backend = "custom"
    isolated = True


class TestIsolatedLangchainInShort(TestIsolatedCustomInShort):
    backend = "langchain"


for _name in EVERY_BACKEND:
    _title = "TestIsolated" + "".join(part.title() for part in _name.split("_"))
    _more = (ReactContract,) if "react" in variants_of(load_backend(_name)) else ()
    _values = {"backend": _name, "isolated": True, "__module__": __name__, "pytestmark": [pytest.mark.proof]}
    globals()[_title] = type(_title, (BackendContract, *_more), _values)
