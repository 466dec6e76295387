"""How a process on a CPU asks the system for memory: in large pages, and once for all steps.

A training step frees all it made. glibc gives that back to the system, which has to find and clear
the same pages again in the next step.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""torch's variable: ask for pages of 2 MiB where a tensor fills some."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of mallopt(3): how much free memory is given back at once, and how large a piece is a
mapping of its own, which is given back when it is freed."""
NEVER, LARGEST = 2**31 - 1, 2**25
"""The most that each may be."""


def keep_memory() -> None:
    """Let this process keep what it frees, and torch ask for large pages.

    Call before torch is imported, which reads its variable once. What the variable says already
    stays; C libraries other than glibc are left as they are.
    """
    os.environ.setdefault(LARGE_PAGES, "1")
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_MMAP_THRESHOLD, LARGEST)
