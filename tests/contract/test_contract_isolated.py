"""A backend in a worker keeps the contract too: its framework has the pipe, and both seams stay here."""

from __future__ import annotations

import pytest

from support import BACKENDS
from unified_agents.backend import variants_of
from unified_agents.registry import load_backend
from unified_agents.testing import BackendContract, ReactContract

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

for _name in BACKENDS:
    if _name == "custom":
        continue  # its loop is ours: there is no framework to put into a worker
    _title = "TestIsolated" + "".join(part.title() for part in _name.split("_"))
    _more = (ReactContract,) if "react" in variants_of(load_backend(_name)) else ()
    _marks = [] if _name == "langchain" else [pytest.mark.proof]
    _values = {"backend": _name, "isolated": True, "__module__": __name__, "pytestmark": _marks}
    globals()[_title] = type(_title, (BackendContract, *_more), _values)
