"""What a report's page says of one item, and where the bars of a task begin."""

import pytest

from analysis.report import figures, page
from analysis.report.figures import Panel
from analysis.report.material import Material, Picture, Shown


def test_whoever_took_a_patch_for_the_closer_one_is_named_at_it_alone() -> None:
    patches = tuple(Picture(role, role.encode(), (64, 64)) for role in ("p0", "ref", "p1"))
    verdicts = (("ssim", "p0"), ("lpips-alex", "1.5 times nearer: p1"), ("people", "80% p1"))
    entry = page._entry(Shown("000001", "val/cnn", patches, verdicts, ("p0", "p1", "p1")), {})
    takers = {patch["name"]: [one["who"] for one in patch["takers"]] for patch in entry["patches"]}
    assert takers == {"p0": ["ssim"], "reference": [], "p1": ["lpips-alex", "people"]}
    assert entry["patches"][2]["takers"][1]["what"] == "80%"


def test_bars_of_2afc_begin_at_chance_and_those_of_jnd_at_0(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = {}

    def bars(panels: list[Panel], *, chance: float | None, axis: str) -> figures.Figure:
        begun[axis] = chance
        return figures.Figure()

    monkeypatch.setattr(figures, "bars", bars)
    monkeypatch.setattr(page, "_panels", lambda material, task: [Panel(task, [], {})])
    monkeypatch.setattr(page, "correlation_section", lambda values: None)
    material = Material.__new__(Material)
    for name in ("values", "heads"):
        object.__setattr__(material, name, {})
    assert list(page.figures_of(material)) == ["scores-2afc", "scores-jnd"]
    assert begun == {"2AFC score (%), from chance": 0.5, "average precision (%)": None}
