"""Memory that tensors free is kept for the next ones."""

from __future__ import annotations

import ctypes
import sys

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let glibc give no memory back to the system while this process lives.

    A network on the CPU needs and frees hundreds of megabytes with every batch. By default each
    large tensor is mapped anew, and the system clears it page by page: up to half of the time.
    The process never holds more than its peak, which it needs again with the next batch.

    Returns:
        whether it did; other C libraries have no such switch, and go on as they are.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
