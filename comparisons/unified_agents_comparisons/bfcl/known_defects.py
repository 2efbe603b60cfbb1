"""Entries whose ground truth no call can satisfy, by the reference checker's own judgement."""

from __future__ import annotations

from collections.abc import Mapping

_NO_VALUE = "Fault of the ground truth: a required parameter has no acceptable value."
_UNDOCUMENTED = "Fault of the ground truth: it names a parameter that the function does not have."
_MISSING = "Fault of the ground truth: it lacks a required parameter."

KNOWN_DEFECTS: Mapping[str, str] = {
    "live_simple_106-63-0": _NO_VALUE,
    "live_simple_112-68-0": _NO_VALUE,
    "live_multiple_862-181-3": _UNDOCUMENTED,
    "live_multiple_964-207-0": _MISSING,
}
"""By the entry's id, what is wrong with it. These cells fail, and the report says why."""
