"""What a server is at work, on a machine that may have other work."""

import os
from pathlib import Path


def spent(server) -> float:
    """Seconds of processor time that the server has taken so far; other work does not count."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
