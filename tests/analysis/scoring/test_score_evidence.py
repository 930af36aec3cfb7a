"""Evidence about scores: joins, intervals, comparisons, breakdowns and sections, on planted data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.report import evidence_tables
from analysis.scoring.distances import SetDistances
from analysis.scoring.judged_sets import JudgedSet, judged_sets
from analysis.scoring.score_evidence import Key, Settings, comparisons, intervals
from analysis.scoring.scores import scores
from bapps_builder.answers.answer_table import check_answers
from bapps_builder.errors import DatasetError, Notice

PEOPLE, VOTES = 30, 5


def planted(label: str, count: int = 120, *, seed: int = 0) -> tuple[SetDistances, pd.DataFrame, pd.DataFrame]:
    """Two metrics, a good one and a bad one, with items of six to a photo, and the answers behind the fractions."""
    rng = np.random.default_rng(seed)
    lead = rng.normal(size=count)
    people = np.concatenate([rng.permutation(PEOPLE)[:VOTES] for _ in range(count)])
    votes = rng.random((count, VOTES)) < 1 / (1 + np.exp(-2 * lead[:, None]))
    k = votes.sum(1)
    distances = np.stack([[np.full(count, 3.0), 3 - (lead + noise * rng.normal(size=count))] for noise in (0.1, 3)])
    ids = tuple(f"{i:06d}" for i in range(count))
    result = SetDistances("2afc", label, ("good", "bad"), ids, distances, k / VOTES)
    facts = pd.DataFrame({"item": ids, "set": label, "photo": [f"{label}-{i // 6}" for i in range(count)]})
    facts = facts.assign(k=k, n=VOTES, p0_family="blur", p1_family=np.where(lead > 0, "noise", "blur"))
    table = pd.DataFrame(
        {
            "set": label,
            "item": np.repeat(ids, VOTES),
            "participant": [f"w{p}" for p in people],
            "choice": np.where(votes.ravel(), "p1", "p0"),
        }
    )
    return result, facts, check_answers(table, name="t")


def joined(count: int = 120) -> list[JudgedSet]:
    parts = [planted(label, count, seed=seed) for seed, label in enumerate(("val/traditional", "val/cnn"))]
    answers = pd.concat([part[2] for part in parts], ignore_index=True)
    return judged_sets([part[0] for part in parts], facts=[part[1] for part in parts], answers=answers)


def test_intervals_have_the_values_of_the_scores() -> None:
    parts = [planted(label, seed=seed) for seed, label in enumerate(("val/traditional", "val/cnn"))]
    expected = {(s.metric, s.set): s.value for s in scores([part[0] for part in parts]) if s.metric in ("good", "bad")}
    for drawn in ("items", "people"):
        found = intervals(joined(), Settings(drawn=drawn))
        assert {(key.metric, key.set): one.value for key, one in found.items()} == pytest.approx(expected)
        assert all(one.low < one.value < one.high for one in found.values())
        one = found[Key("2afc", "good", "2afc", "val/cnn")]
        assert one.method == ("t over 20 photos" if drawn == "items" else "two-way t over photos and 30 people")
    many = intervals(joined(300), Settings(draws=500))
    assert {one.method for one in many.values()} == {"bootstrap over photos"}


def test_results_about_one_set_are_joined_whatever_their_order() -> None:
    result, facts, _ = planted("val/cnn")
    order = np.random.default_rng(0).permutation(120)
    other = SetDistances(
        "2afc", "val/cnn", ("again",), tuple(np.array(result.ids)[order]), result.distances[:1, :, order],
        result.labels[order],
    )  # fmt: skip
    [found] = judged_sets([result, other], facts=[facts])
    assert found.metrics == ("good", "bad", "again")
    np.testing.assert_array_equal(found.distances[0], found.distances[2])
    assert found.items["photo"].tolist() == facts["photo"].tolist()


def test_payoffs_of_answers_average_to_those_of_items() -> None:
    one = joined()[0]
    assert one.answers is not None
    rows = one.answers["row"].to_numpy()
    for of_items, of_answers in zip(one.payoffs(), one.payoffs_of_answers(), strict=True):
        np.testing.assert_allclose(np.bincount(rows, weights=of_answers) / VOTES, of_items, atol=1e-12)


def test_answers_of_another_study_are_refused() -> None:
    result, facts, answers = planted("val/cnn")
    answers["choice"] = answers["choice"].replace({"p0": "p1", "p1": "p0"})
    with pytest.raises(
        DatasetError, match=r"for .* items .the first is 00000.* the answers are missing, or give another"
    ):
        judged_sets([result], facts=[facts], answers=answers)


def test_a_planted_difference_is_found() -> None:
    for drawn in ("items", "people"):
        settings = Settings(drawn=drawn)
        found = comparisons(joined(), settings)
        assert list(found) == [
            ("2afc", name) for name in ("val/traditional", "val/cnn", "mean of distortions", "mean of all")
        ]
        values = intervals(joined(), settings)
        [pair] = found["2afc", "mean of all"]
        good, bad = (values[Key("2afc", name, "2afc", "mean of all")].value for name in ("good", "bad"))
        assert pair.difference.value == pytest.approx(good - bad)
        assert pair.p_holm < 0.05
        _, tied = evidence_tables.comparison_sections(found, values, settings)
        assert [row[-1] for row in tied.rows] == [f"{100 * good:.2f} a", f"{100 * bad:.2f} b"]


def test_average_precision_has_intervals_and_differences() -> None:
    rng = np.random.default_rng(0)
    same = rng.integers(0, 4, 400) / 3
    distances = np.stack([[-same + noise * rng.normal(size=400)] for noise in (0.2, 2)])
    result = SetDistances("jnd", "val/cnn", ("good", "bad"), tuple(map(str, range(400))), distances, same)
    sets = judged_sets([result])
    found = intervals(sets, Settings(draws=300))
    expected = {(s.metric, s.measure): s.value for s in scores([result])}
    assert {(key.metric, key.measure): one.value for key, one in found.items()} == pytest.approx(expected)
    [pair] = comparisons(sets, Settings(draws=300))["jnd", "val/cnn"]
    assert pair.difference.low > 0
    section = evidence_tables.interval_section(found, Settings(draws=300))
    assert len(section.rows) == 2  # no ties: nothing to say twice
    assert any("photos unknown" in note for note in section.notes)


def test_breakdown_by_family_against_a_loop() -> None:
    sets = joined()
    [section] = evidence_tables.breakdown_section(sets, "family")
    rows = {row[0]: row[1:] for row in section.rows}
    noisy = [(one.items["p1_family"] == "noise").to_numpy() for one in sets]
    pays = np.concatenate([one.payoffs()[0][mask] for one, mask in zip(sets, noisy, strict=True)])
    assert rows["noise"][:2] == (len(pays), pytest.approx(pays.mean()))
    assert rows["blur"][0] == 240


def test_beside_the_score_stands_the_share_of_the_reachable() -> None:
    [section] = evidence_tables.beside_sections(joined())
    names = [column.name for column in section.columns]
    rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in section.rows]
    for cells in rows:
        shares = [(cells["score"] - 0.5) / (ceiling - 0.5) for ceiling in cells["ceiling"]]
        assert cells["reachable"] == pytest.approx(tuple(sorted(shares)))
        assert cells["ceiling"][0] < cells["ceiling"][1]
    beyond = [cells["reachable"][1] > 1 for cells in rows]
    assert any("above 100%" in note for note in section.notes) == any(beyond)
    good, bad = rows[:2]
    assert good["log-likelihood"] > bad["log-likelihood"] > -0.6932
    [unknown] = evidence_tables.beside_sections(judged_sets([planted("val/cnn")[0]]))
    assert "--votes" in unknown.notes[0]


def test_a_share_above_all_that_can_be_reached_is_given_with_its_reason() -> None:
    """A metric that has seen the votes."""
    result, facts, _ = planted("val/cnn")
    seen = np.stack([[np.full(120, 0.5), 1 - result.labels]])
    [one] = judged_sets([replace(result, metrics=("seer",), distances=seen)], facts=[facts])
    [section] = evidence_tables.beside_sections([one])
    names = [column.name for column in section.columns]
    cells: dict[str, Any] = dict(zip(names, section.rows[0], strict=True))
    assert cells["score"] > cells["ceiling"][1]
    assert cells["reachable"][0] > 1
    [note] = [note for note in section.notes if note.startswith("above 100%: seer on val/cnn 1")]
    assert "the metric has seen these votes" in note


def test_tasks_are_correlated_over_metrics() -> None:
    x, y = [0.6, 0.7, 0.65, 0.8], [0.3, 0.5, 0.45, 0.7]
    values = {}
    for k in range(4):
        values[Key("2afc", f"m{k}", "2afc", "val/cnn")] = x[k]
        values[Key("2afc", f"m{k}", "2afc", "val/color")] = 0.0  # JND does not have it
        values[Key("jnd", f"m{k}", "ap", "val/cnn")] = y[k]
    section = evidence_tables.correlation_section(values)
    assert section is not None
    assert section.rows == ((4, pytest.approx(np.corrcoef(x, y)[0, 1]), pytest.approx(1.0)),)
    assert evidence_tables.correlation_section({key: v for key, v in values.items() if key.metric < "m2"}) is None
    for task in ("2afc", "jnd"):  # metrics that all score the same have no ranking
        alike = {key: 0.5 if key.task == task else value for key, value in values.items()}
        section = evidence_tables.correlation_section(alike)
        assert section is not None
        assert [str(cell) for cell in section.rows[0]] == ["4", "nan", "nan"]


def test_people_are_said_without_the_bias_of_few_votes_if_votes_are_known() -> None:
    result, facts, _ = planted("val/cnn")
    counts = facts.set_index("item")[["k", "n"]]
    found = {s.metric: s.value for s in scores([result], {"val/cnn": counts})}
    k = counts["k"]
    assert found["human, two people"] == pytest.approx(((k * (k - 1) + (5 - k) * (4 - k)) / 20).mean())
    bounds = [found[f"human, best metric, at {end}"] for end in ("least", "most")]
    assert found["human, others' majority"] < bounds[0] < bounds[1]
    assert found["human, best metric (beta-binomial)"] < found["human max(p,1-p)"]
    assert "human, best metric (NPMLE)" not in found
    assert "human, two people" not in {s.metric for s in scores([result])}


def twins(swapped: int, count: int = 330, *, people: int = 0) -> list[JudgedSet]:
    """Two metrics that pick differently on the first few items only, where four of five people are with the first."""
    rng = np.random.default_rng(0)
    judge = rng.integers(0, 6, count).astype(np.float32) / np.float32(5)
    judge[:swapped] = 0.8
    chosen = np.where(judge > 0.5, 1.0, 2.0)
    other = np.where(np.arange(count) < swapped, 3 - chosen, chosen)
    distances = np.stack([[1.5 * np.ones(count), one] for one in (chosen, other)])
    result = SetDistances(
        "2afc", "val/cnn", ("a", "b"), tuple(map(str, range(count))), distances, judge.astype(np.float64)
    )
    if not people:
        return judged_sets([result])
    k = np.rint(5 * judge).astype(int)
    answers = pd.DataFrame(
        {
            "set": "val/cnn",
            "item": np.repeat(result.ids, 5),
            "participant": [f"w{(5 * i + j) % people}" for i in range(count) for j in range(5)],
            "choice": ["p1" if j < k[i] else "p0" for i in range(count) for j in range(5)],
        }
    )
    return judged_sets([result], answers=check_answers(answers, name="t"))


@pytest.mark.parametrize(("swapped", "p"), [(1, 1.0), (2, 0.5), (3, 0.25), (6, 0.03125)])
def test_metrics_that_disagree_on_few_items_are_compared_by_the_sign_test(swapped: int, p: float) -> None:
    """One item of 330 had p < .001, since sums in float32 put draws that are 0 on one side of it."""
    [pair] = comparisons(twins(swapped), Settings())["2afc", "val/cnn"]
    assert (pair.difference.p, pair.p_holm) == (p, p)
    assert (pair.difference.low > 0) == (p <= 0.05)
    section, tied = evidence_tables.comparison_sections(
        {("2afc", "val/cnn"): [pair]}, intervals(twins(swapped), Settings()), Settings()
    )
    assert [str(row[-1]).split()[-1] for row in tied.rows] == (["a", "a"] if p > 0.05 else ["a", "b"])
    assert str(section.rows[0][-1]).endswith(
        "items differ, photos unknown" if swapped > 1 else "items differs, photos unknown"
    )


@pytest.mark.parametrize("swapped", [0, 1, 5, 6])
def test_few_items_that_differ_are_not_tested_over_people(swapped: int) -> None:
    [pair] = comparisons(twins(swapped, people=40), Settings(drawn="people"))["2afc", "val/cnn"]
    found = pair.difference
    assert found.value == pytest.approx(0.6 * swapped / 330)
    if swapped < 6:
        assert np.isnan([found.low, found.high, found.p, pair.p_holm]).all()
        assert found.method == f"not tested: only {swapped} {'item differs' if swapped == 1 else 'items differ'}"
    else:
        assert found.low < found.value < found.high
        assert 0 < found.p < 1


def test_a_bound_of_a_difference_is_no_further_out_than_a_difference_can_be() -> None:
    [pair] = comparisons(twins(3, count=4), Settings())["2afc", "val/cnn"]
    assert (pair.difference.low, pair.difference.high, pair.difference.p) == (-1, 1, 0.25)


def test_rankings_are_compared_by_exchanging_ranks() -> None:
    rng = np.random.default_rng(0)
    same, distance = rng.integers(0, 4, 200) / 3, rng.random(200)
    swapped = distance.copy()
    swapped[[0, 1]] = distance[[1, 0]]  # two pairs differ
    worse = np.r_[-same[:80], rng.random(120)] + 0.1 * rng.random(200)
    rows = np.stack([[distance], [swapped], [2 * distance], [worse]])
    result = SetDistances("jnd", "val/cnn", ("a", "b", "as a", "other"), tuple(map(str, range(200))), rows, same)
    found = {
        (one.first, one.second): one.difference
        for one in comparisons(judged_sets([result]), Settings())["jnd", "val/cnn"]
    }
    assert found["a", "b"].p in (0.5, 1.0)
    assert found["a", "b"].method == "every exchange, 2 of 200 items differ, photos unknown"
    assert (found["a", "as a"].value, found["a", "as a"].p) == (0, 1)
    assert found["a", "other"].p < 0.05
    assert found["a", "other"].high < 0
    assert found["a", "other"].method.startswith("2000 exchanges, ")


def without_zeros(ids: "pd.Series[str]") -> "pd.Series[str]":
    """What pandas, Excel and MATLAB make of ids."""
    return ids.astype(int).astype(str)


@pytest.mark.parametrize("lost", ["distances", "facts", "answers", "all but the answers"])
def test_tables_that_lost_their_zeros_give_the_same_interval(lost: str) -> None:
    result, facts, answers = planted("val/cnn")
    whole = intervals(judged_sets([result], facts=[facts], answers=answers), Settings(drawn="people"))
    if lost in ("distances", "all but the answers"):
        result = replace(result, ids=tuple(map(str, map(int, result.ids))))
    if lost in ("facts", "all but the answers"):
        facts["item"] = without_zeros(facts["item"])
    if lost == "answers":
        answers["item"] = without_zeros(answers["item"])
    with pytest.warns(Notice, match="120 ids had lost their zeros and were padded, as '0' to '000000'"):
        [found] = judged_sets([result], facts=[facts], answers=answers)
    assert found.items["item"].tolist()[:2] == ["000000", "000001"]
    assert intervals([found], Settings(drawn="people")) == whole
    assert next(iter(whole.values())).method == "two-way t over photos and 30 people"


def test_two_metrics_one_of_which_lost_its_zeros_are_joined() -> None:
    result, facts, _ = planted("val/cnn")
    other = replace(result, metrics=("x", "y"), ids=tuple(map(str, map(int, result.ids))))
    with pytest.warns(Notice, match="distances of x, y on val/cnn: 120 ids"):
        [found] = judged_sets([other, result], facts=[facts])
    np.testing.assert_array_equal(found.distances[:2], found.distances[2:])


def test_a_table_that_knows_none_of_the_items_is_refused_and_a_part_is_said() -> None:
    result, facts, answers = planted("val/cnn")
    foreign = {"facts": [facts.assign(item="x" + facts["item"])]}
    with pytest.raises(DatasetError, match=r"the table of items: none of the 120 ids .* 'x000000', .* '000000'"):
        judged_sets([result], **foreign)
    with pytest.raises(DatasetError, match="the answers: none of the 120 ids of the distances is in it"):
        judged_sets([result], answers=answers.assign(item="x" + answers["item"]).drop(columns="set"))
    with pytest.raises(DatasetError, match="the table of items: is about val/other, and the distances are of val/cnn"):
        judged_sets([result], facts=[facts.assign(set="val/other")])
    with pytest.raises(DatasetError, match=r"the table of items 2: none of the 120 ids .* 'x000000'"):
        judged_sets([result], facts=[facts, *foreign["facts"]])
    with pytest.warns(Notice, match="20 of the 120 ids of the distances are not in it, the first '000100'"):
        judged_sets([result], facts=[facts[:100]])


def test_answers_to_no_item_of_a_set_leave_it_without_people() -> None:
    parts = [planted(label, seed=seed) for seed, label in enumerate(("val/traditional", "val/cnn"))]
    first, second = judged_sets([part[0] for part in parts], answers=parts[0][2])
    assert first.answers is not None
    assert second.answers is None


def test_a_mean_has_the_metrics_that_every_set_has() -> None:
    """One that lacks a set has an interval on the other alone, and is compared on that alone."""
    parts = [planted(label, seed=seed) for seed, label in enumerate(("val/traditional", "val/cnn"))]
    lacking = replace(parts[1][0], metrics=("good",), distances=parts[1][0].distances[:1])
    sets = judged_sets([parts[0][0], lacking])
    found = {(key.metric, key.set) for key in intervals(sets, Settings())}
    means = {("good", "mean of all"), ("good", "mean of distortions")}
    assert found == {("good", "val/traditional"), ("bad", "val/traditional"), ("good", "val/cnn"), *means}
    assert list(comparisons(sets, Settings())) == [("2afc", "val/traditional")]
    apart = judged_sets([parts[0][0], replace(lacking, metrics=("other",))])
    assert not [key for key in intervals(apart, Settings()) if key.set.startswith("mean")]


def test_an_interval_of_average_precision_is_said_to_be_over_no_people() -> None:
    said = "average precision: over photos or items only, not over people"
    sets, settings = joined(), Settings(draws=100, drawn="people")
    section = evidence_tables.interval_section(intervals(sets, settings), settings)
    assert said not in section.notes
    rng = np.random.default_rng(0)
    result = SetDistances("jnd", "val/pairs", ("good",), tuple("abcdef"), rng.random((1, 1, 6)), np.arange(6) / 5)
    sets += judged_sets([result])
    section = evidence_tables.interval_section(intervals(sets, settings), settings)
    assert said in section.notes


def test_a_table_may_be_about_one_of_two_tasks() -> None:
    result, facts, _ = planted("val/cnn")
    other = SetDistances("jnd", "val/pairs", ("good",), ("a", "b"), np.zeros((1, 1, 2)), np.array([0.0, 1.0]))
    twoafc, jnd = judged_sets([result, other], facts=[facts.drop(columns="set")])
    assert "photo" in twoafc.items
    assert jnd.items["photo"].isna().all()
