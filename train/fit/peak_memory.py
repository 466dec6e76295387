"""How much memory a process has used at most."""

from __future__ import annotations

import sys

import torch


def peak_memory() -> float:
    """GiB: allocated by torch on CUDA, else the process's largest resident set (0 on Windows)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
