"""Import of large packages with no collection of cyclic garbage in the middle."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing_uncollected(module: str) -> Iterator[None]:
    """Put off collections of cyclic garbage while a module is imported; does nothing where it is imported already.

    A framework makes some hundred thousand objects that stay. Each full collection meanwhile goes over all of them and
    finds next to nothing: a tenth to a quarter of the time of an import. They come in steps, so that a small package
    that the framework finds installed can bring one more of them, which costs much more than the package.

    What is there at the end counts as old, as if it had outlived those collections. The program's own settings hold:
    collections that it has switched off stay off, and what it has frozen stays frozen.
    """
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()  # all that was frozen is old now: else the next young collection goes over everything
        gc.enable()
