"""What a report's page says of one item, and where the bars of a task begin."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis.report import figures, page
from analysis.report.figures import Panel
from analysis.report.material import Material, Picture, Shown, WholePicture
from analysis.report.whole_pictures import whole_pictures
from analysis.scoring.score_evidence import Key
from analysis.statistics.intervals import Estimate
from bapps_builder.datasets.load_mode import choose_load


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


def test_bars_and_cells_have_the_ends_of_their_intervals_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    sure, unsure = (Key("2afc", name, "2afc", "val/cnn") for name in ("ssim", "psnr"))
    material = Material.__new__(Material)
    object.__setattr__(material, "sets", [])
    object.__setattr__(material, "values", {sure: 0.75, unsure: 0.5})
    object.__setattr__(material, "intervals", {sure: Estimate(0.75, 0.625, 0.875, math.nan, "")})
    one_set = SimpleNamespace(metrics=["ssim", "psnr"])
    monkeypatch.setattr(page, "columns", lambda sets: [("2afc", "val/cnn", [one_set])])
    first, second = page._panels(material, "2afc")[0].bars
    assert (first.metric, first.value, first.low, first.high) == ("ssim", 0.75, 0.625, 0.875)
    assert (second.metric, second.value, math.isnan(second.low), math.isnan(second.high)) == ("psnr", 0.5, True, True)
    cells = [page._cell(material, key, ["ssim", "psnr"]) for key in (sure, unsure)]
    assert [(cell["text"], cell["range"], cell["best"]) for cell in cells] == [
        ("75.00", "62.5 – 87.5", True),
        ("50.00", "", False),
    ]


def test_files_of_whole_pictures_are_numbered_from_1_an_item_each() -> None:
    choice = choose_load("native", [])
    wholes = [[WholePicture(Path(name, role), choice, "") for role in ("ref", "p0")] for name in ("a", "b")]
    items = [
        Shown(str(k), "val/cnn", tuple(Picture(one.path.name, b"", (128, 128), one) for one in of_item), ())
        for k, of_item in enumerate(wholes)
    ]
    material = Material.__new__(Material)
    object.__setattr__(material, "contradictions", {"first": items, "again": items[:1]})
    names = whole_pictures(material)
    assert [names[one] for of_item in wholes for one in of_item] == [
        "001-ref.png",
        "001-p0.png",
        "002-ref.png",
        "002-p0.png",
    ]
