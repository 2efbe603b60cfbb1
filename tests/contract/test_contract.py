"""Every installed backend keeps the contract that adapter authors are given."""

from __future__ import annotations

from unified_agents.backend import variants_of
from unified_agents.registry import backend_info, backend_names, load_backend
from unified_agents.testing import BackendContract, ReactContract

for _name in backend_names():
    if backend_info(_name).installed:
        _title = "Test" + "".join(part.title() for part in _name.split("_"))
        _more = (ReactContract,) if "react" in variants_of(load_backend(_name)) else ()
        globals()[_title] = type(_title, (BackendContract, *_more), {"backend": _name, "__module__": __name__})
