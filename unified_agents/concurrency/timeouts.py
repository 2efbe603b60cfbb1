"""Sets timeouts whose timers keep nothing alive."""

from __future__ import annotations

import asyncio
from contextvars import Context


def set_deadline(timeout: asyncio.Timeout, when: float) -> None:
    """Let a timeout expire at a time of the event loop's clock.

    The event loop keeps a timer that was cancelled until it has many of them, and with it the context of whoever set
    it, in which a whole run may stand. This one is set in an empty context.
    """
    Context().run(timeout.reschedule, when)
