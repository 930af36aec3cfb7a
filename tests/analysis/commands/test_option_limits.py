"""Numbers that commands ask for: what each may be, and what it is where nobody says."""

import click
import pytest
from click.testing import CliRunner

from analysis.commands.consistency import consistency
from analysis.commands.mos import mos
from analysis.commands.report import report
from analysis.commands.score import score

INFINITY = float("inf")
Limits = dict[str, tuple[float, float, float | None]]
EVIDENCE: Limits = {"--draws": (100, INFINITY, 10_000), "--seed": (0, INFINITY, 0), "--level": (0.5, 0.999, 0.95)}
# The least, the most and the value by default.
LIMITS: dict[click.Command, Limits] = {
    score: EVIDENCE | {"--votes": (1, INFINITY, None), "--batch-size": (1, 100_000, 100)},
    mos: EVIDENCE | {"--draws": (100, 1000, 1000)},
    report: EVIDENCE | {"--votes": (1, INFINITY, None), "--contradictions": (0, INFINITY, 4)},
    consistency: EVIDENCE
    | {
        "--votes": (1, INFINITY, None),
        "--plan": (0.001, 0.2, None),
        "--plan-score": (0.5, 1, 0.7),
        "--plan-per-person": (1, INFINITY, 85),
    },
}


@pytest.mark.parametrize("command", LIMITS, ids=lambda command: str(command.name))
def test_every_number_has_its_limits_and_its_default(command: click.Command) -> None:
    found = {}
    for option in command.params:
        if isinstance(option.type, click.IntRange | click.FloatRange):
            least, most = option.type.min, option.type.max
            assert not option.type.min_open
            assert not option.type.max_open
            assert not option.type.clamp
            limits = (-INFINITY if least is None else least, INFINITY if most is None else most)
            found[option.opts[0]] = (*limits, option.default if isinstance(option.default, int | float) else None)
    assert found == LIMITS[command]


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        (command, option, value)
        for command, limits in LIMITS.items()
        for option, (least, most, _) in limits.items()
        for value in (least - 1, most + 1)
        if abs(value) < INFINITY
    ],
)
def test_a_number_beyond_its_limits_is_refused_by_name(command: click.Command, option: str, value: float) -> None:
    result = CliRunner().invoke(command, [option, str(value), "nothing.csv"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Invalid value for '{option}'" in result.stderr
