"""Every installed backend keeps the contract that adapter authors are given."""

from __future__ import annotations

from unified_agents.registry import backend_info, backend_names
from unified_agents.testing import BackendContract

for _name in backend_names():
    if backend_info(_name).installed:
        _title = "Test" + "".join(part.title() for part in _name.split("_"))
        globals()[_title] = type(_title, (BackendContract,), {"backend": _name, "__module__": __name__})
