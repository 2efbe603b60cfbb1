"""The whole contract suite over each protocol, on every backend, on servers that refuse what the APIs refuse."""

from __future__ import annotations

import pytest

from unified_agents.backend import variants_of
from unified_agents.config.providers import PROTOCOL_TITLES
from unified_agents.registry import backend_info, backend_names, load_backend
from unified_agents.testing import BackendContract, ReactContract

pytestmark = pytest.mark.proof

for _name in backend_names():
    if not backend_info(_name).installed:
        continue
    _more = (ReactContract,) if "react" in variants_of(load_backend(_name)) else ()
    for _protocol in list(PROTOCOL_TITLES)[1:]:  # CI runs it over Chat Completions
        _title = "Test" + "".join(part.title() for part in f"{_name}_over_{_protocol}".split("_"))
        _values = {"backend": _name, "spoken": _protocol, "__module__": __name__}
        globals()[_title] = type(_title, (BackendContract, *_more), _values)
