"""How many processor cores this process may use: by its affinity, and by the limits of its control group."""

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_GROUPS = "sys/fs/cgroup"


def cores(root: Path = Path("/")) -> int:
    """How many cores this process may use: those it is bound to, or fewer where a container's limit says so.

    Parameters
    ----------
    root : Path
        What holds `proc` and `sys`.

    Returns
    -------
    int
        At least 1. A limit of one and a half cores is two.

    Notes
    -----
    The limit is `cpu.max` of a control group (version 2) or `cpu.cfs_quota_us` over `cpu.cfs_period_us`
    (version 1), the lowest on the way from the process's own group to the root: Documentation/admin-guide/cgroup-v2.rst
    and Documentation/scheduler/sched-bwc.rst of the Linux kernel.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *map(math.ceil, _limits(root))]))


@cache
def _limits(root: Path) -> tuple[float, ...]:
    """Every limit on this process's processor time, in cores; read once."""
    limits = []
    for folder in _folders(root):
        new, old = _numbers(folder / "cpu.max"), _numbers(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
        for quota in (new, old):
            if len(quota) == 2 and min(quota) > 0:  # a version 1 quota of -1 is none
                limits.append(quota[0] / quota[1])
    return tuple(limits)


def _folders(root: Path) -> Iterator[Path]:
    """The folders of this process's control group and of all above it, as far as they can be seen from here.

    A container may see its group as the root, while its path is still the one outside; then only the root exists.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            mounted = root / _GROUPS
        elif "cpu" in controllers.split(","):
            mounted = root / _GROUPS / controllers
            if not mounted.is_dir():
                mounted = root / _GROUPS / "cpu"
        else:
            continue
        own = Path(path.lstrip("/"))
        yield from (mounted / group for group in (own, *own.parents))


def _numbers(*files: Path) -> list[int]:
    """The whole numbers in some files; none where a file is missing or says "max", which is no limit."""
    try:
        return [int(word) for file in files for word in file.read_text().split()]
    except (OSError, ValueError):
        return []
