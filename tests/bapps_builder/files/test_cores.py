"""How many cores a process may use: its affinity, and limits in planted files of control groups."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bapps_builder.files.cores import cores


def planted(root: Path, memberships: str, **limits: str) -> Path:
    """A file system's `proc` and `sys` with this process's memberships and the limits of some groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(memberships)
    for path, content in limits.items():
        file = root / "sys/fs/cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


@pytest.mark.parametrize(
    ("memberships", "limits", "wanted"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),  # rounded up
        ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {}, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),  # the group above limits it
        ("0::/a/b\n", {"a/b/cpu.max": "100000 50000\n", "a/cpu.max": "300000 100000\n"}, 2),
        ("0::/outside/name\n", {"cpu.max": "400000 100000\n"}, 4),  # a container sees its own group as the root
        ("0::/\n", {"cpu.max": "9000000 100000\n"}, 64),  # affinity is the lower
        ("0::/\n", {"cpu.max": "not a limit\n"}, 64),
        (
            "4:cpu,cpuacct:/\n0::/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            3,
        ),
        ("1:cpu:/docker/4f\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("1:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "50000\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 1),
        ("9:memory:/x\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
    ],
)
@pytest.mark.usefixtures("many_cores")
def test_a_limit_of_processor_time(tmp_path: Path, memberships: str, limits: dict[str, str], wanted: int) -> None:
    assert cores(planted(tmp_path, memberships, **limits)) == wanted


@pytest.mark.usefixtures("many_cores")
def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert cores(tmp_path) == 64


def test_one_core_of_several_is_one_everywhere() -> None:
    """What a process that is bound to one core would start: pools, torch, and the default of options."""
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from bapps_builder.files.cores import cores\n"
        "from bapps_builder.files.parallel import workers_for\n"
        "from distortions.commands.patch_set_commands import team\n"
        "from metrics.image_math import numpy_threads, torch_threads\n"
        "import torch\n"
        "print(cores(), workers_for(10**6), team(None, '').count, numpy_threads._pool()._max_workers,\n"
        "      torch_threads._pool()._max_workers, torch.get_num_threads())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1"] * 6


def test_nothing_counts_the_cores_of_the_machine(repository: Path) -> None:
    """`os.cpu_count()` tells of the machine, not of this process, so `cores` alone calls it."""
    packages = ("bapps_builder", "metrics", "distortions", "collection_app", "analysis", "benchmarks")
    files = {path for package in packages for path in (repository / package).rglob("*.py")}
    assert len(files) > 200
    counting = {path.relative_to(repository).as_posix() for path in files if "cpu_count(" in path.read_text()}
    assert counting == {"bapps_builder/files/cores.py"}
