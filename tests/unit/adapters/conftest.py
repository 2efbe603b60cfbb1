"""The files of tests that are of one framework are left out where it is not installed."""

from __future__ import annotations

from support import EVERY_BACKEND
from unified_agents import backend_names

collect_ignore_glob = [f"test_{name}_*.py" for name in backend_names() if name not in EVERY_BACKEND]
