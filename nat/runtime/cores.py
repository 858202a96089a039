"""The cores that this process may use, and its share of them where others compute beside it."""

import os
from contextlib import suppress
from pathlib import Path

SHARED = "NAT_LANES"  # the environment's variable that says among how many commands
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of CPU in a period's


def usable() -> int:
    """Cores that the system lets this process use, at least 1."""
    count = os.cpu_count() or 1
    with suppress(AttributeError, OSError):  # macOS does not say
        count = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # no container, or "max"
        quota, period = map(int, QUOTA.read_text().split())
        count = min(count, quota // period)
    return max(1, count)


def share() -> int:
    """As many for each of the commands that `nat lanes` runs side by side; all for a single one."""
    among = os.environ.get(SHARED, "1")
    return max(1, usable() // max(1, int(among) if among.isdecimal() else 1))
