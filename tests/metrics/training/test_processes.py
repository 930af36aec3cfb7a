"""Processes that train together leave nothing behind when they part."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from pathlib import Path

import torch
from metrics.training.processes import joined

def threads():
    return sorted(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))

with joined("cpu") as (processes, _):
    weight = torch.nn.Parameter(torch.ones(3) * (processes.rank + 1))
    optimiser = torch.optim.Adam([weight])
    weight.sum().backward()
    processes.sum_gradients([weight])
    optimiser.step()
    assert any("gloo" in name for name in threads()), threads()
print(f"{weight.grad.tolist()} {threads()}\\n", end="", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux lists a process's threads by name")
def test_the_threads_of_a_group_end_with_it(tmp_path: Path) -> None:
    # An optimiser's first step imports what once kept the group, and its threads, until Python ended: rarely, but
    # on a busy machine, one was then still letting go of a tensor, and the process aborted.
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run([*torchrun, str(program)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("[2.0, 2.0, 2.0]")
        assert "gloo" not in line, line
