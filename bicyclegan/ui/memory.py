"""Memory that the C library keeps when tensors are gone."""

from __future__ import annotations

import ctypes
from functools import lru_cache


def give_back_memory() -> None:
    """Return free memory to the system, where the C library is glibc; elsewhere do nothing.

    glibc keeps what was freed in pieces that fit less and less: after hundreds of paintings the process has grown by
    a tenth, while what is in use stays the same.
    """
    if trim := _malloc_trim():
        trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> ctypes._CFuncPtr | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, or none that can be asked
        return None
