"""`bapps-consistency` on real answers, on planted people, and on answers that allow little."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from analysis.commands.consistency import consistency
from analysis.people import reliability

SHAPES = (
    "--columns",
    "item=$Image,participant=$Subj,choice=$Resp",
    "--choices",
    "Left=p0,Right=p1",
    "--p1-side",
    "right",
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(consistency, [str(argument) for argument in arguments])


def sections(*arguments: object) -> dict[str, Any]:
    """The sections by title without the task, from --json."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["sections"]
    return {section["title"].rsplit(" (", 1)[0]: section for section in found}


@pytest.mark.parametrize(
    ("name", "paper", "unbiased", "majority"),
    [("traditional", 80.844, 76.06, 85.78), ("superres", 73.601, 67.00, 80.12), ("color", 68.827, 61.03, 76.41)],
)
def test_real_fractions(shared_data: Path, name: str, paper: float, unbiased: float, majority: float) -> None:
    found = sections(shared_data / "bapps-judgments" / f"{name}.csv.gz", "--votes", 5, "--draws", 200)
    [row] = found["Agreement of people"]["rows"]
    assert 100 * row["paper"] == pytest.approx(paper, abs=0.01)
    assert 100 * row["two people"] == pytest.approx(unbiased, abs=0.01)
    assert 100 * row["majority"] == pytest.approx(majority, abs=0.01)
    assert row["its interval"][0] < row["two people"] < row["its interval"][1]
    least, most = row["best metric"]
    assert row["two people"] < row["others' majority"] < least < row["beta-binomial"] < most
    assert row["ceiling interval"][0] < least < most < row["ceiling interval"][1]
    assert row["beta-binomial"] < row["majority"]
    assert row["NPMLE"] is None
    assert any("without people" in note for note in found["What cannot be known from this"]["notes"])


def test_an_interval_of_a_share_ends_at_100_percent(tmp_path: Path) -> None:
    pd.DataFrame({"id": range(12), "k": [4] + 11 * [5], "n": 5}).to_csv(tmp_path / "one-dissent.csv", index=False)
    [row] = sections(tmp_path / "one-dissent.csv", "--task", "2afc", "--draws", 200)["Agreement of people"]["rows"]
    assert row["two people"] == pytest.approx(1 - 0.4 / 12)
    assert row["its interval"] == [pytest.approx(0.8933, abs=1e-4), 1]  # it ended at 1.04


def test_no_answer_but_one_gives_no_interval_of_no_width(tmp_path: Path) -> None:
    pd.DataFrame({"id": range(12), "k": 5, "n": 5}).to_csv(tmp_path / "of-one-mind.csv", index=False)
    found = sections(tmp_path / "of-one-mind.csv", "--task", "2afc", "--draws", 200)["Agreement of people"]
    assert found["rows"][0]["two people"] == 1
    assert found["rows"][0]["its interval"] == [None, None]
    assert any("no interval where all items are alike: t over 12 items" in note for note in found["notes"])


def test_real_answers_of_people(shared_data: Path) -> None:
    found = sections(shared_data / "shape-votes" / "raw_data.csv", *SHAPES, "--draws", 200)
    rows = found["Agreement of people"]["rows"]
    assert [row["answers"] for row in rows] == ["all answers", "after exclusions"]
    assert rows[0]["paper"] == pytest.approx(0.7413, abs=5e-5)
    assert (rows[0]["items"], rows[0]["votes"]) == (800, 24_000)
    sides = {row["what"]: row["count"] for row in found["Sides, speed and sentinels"]["rows"]}
    assert sides == {"answers that chose the right side": 12_079, "answers that chose the left side": 11_921}
    people = found["People"]["rows"]
    assert len(people) == 71
    assert sum(row["answers"] for row in people) == 24_000
    table = pd.read_csv(shared_data / "shape-votes" / "raw_data.csv", dtype=str)
    for person in people[::10]:
        mine = table[table["$Subj"] == person["person"]]
        right = (mine["$Resp"] == "Right").mean()
        assert person["one side"] == pytest.approx(max(right, 1 - right))
        runs = (mine["$Resp"] != mine["$Resp"].shift()).cumsum()
        assert person["streak"] == runs.value_counts().max()
        assert 0 <= person["reliability"] <= 1
        assert person["sentinels"] is None


def test_real_same_or_different(shared_data: Path) -> None:
    path = shared_data / "jnd-shift-study" / "user_jnd.json"
    found = sections(path, "--task", "jnd", "--identical", "*_n-0.png", "--draws", 200)
    votes = json.loads(path.read_text())
    different = [vote for name, given in votes.items() if not name.endswith("_n-0.png") for vote in given]
    identical = [vote for name, given in votes.items() if name.endswith("_n-0.png") for vote in given]
    assert sum(name.endswith("_n-0.png") for name in votes) == 32
    [row] = found["Same or different as signal detection"]["rows"]
    assert row["H"] == pytest.approx((different.count(0) + 0.5) / (len(different) + 1))
    assert row["F"] == pytest.approx((identical.count(0) + 0.5) / (len(identical) + 1))
    assert (row["different pairs"], row["identical pairs"]) == (1038, 120)
    assert row["interval"][0] < row["d'"] < row["interval"][1]
    shares = {row["pairs"]: row["called same"] for row in found["Pairs called the same"]["rows"]}
    assert shares["identical pairs"] == pytest.approx(np.mean(identical))
    [agreement] = found["Agreement of people"]["rows"]
    by_hand = []
    for given in votes.values():
        pairs = [a == b for i, a in enumerate(given) for j, b in enumerate(given) if i != j]
        by_hand.append(np.mean(pairs))
    assert agreement["two people"] == pytest.approx(np.mean(by_hand))
    assert np.isfinite(agreement["alpha"])
    assert "best metric" not in agreement
    assert any("d' of each person" in note for note in found["What cannot be known from this"]["notes"])


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Twenty people, one of whom answers blindly; JND with identical sentinels."""
    rng = np.random.default_rng(0)
    rows = []
    for person in range(20):
        for item in rng.permutation(60)[:40]:
            visible = item / 60
            same = rng.random() < (0.5 if person == 7 else 1 - visible)
            rows.append((f"w{person:02d}", f"i{item:02d}", "same" if same else "different", "test", "", 900.0))
        for sentinel in range(10):
            right = rng.random() < (0.3 if person == 7 else 0.99)
            rows.append((f"w{person:02d}", f"s{sentinel}", "same" if right else "different", "sentinel", "same", 800.0))
    table = pd.DataFrame(rows, columns=["participant", "item", "choice", "role", "expected", "reaction_ms"])
    path = tmp_path / "answers.parquet"
    table.to_parquet(path)
    return path


def test_a_planted_blind_person_is_excluded_and_both_are_shown(planted: Path) -> None:
    found = sections(planted, "--draws", 200)
    before, after = found["Agreement of people"]["rows"]
    assert after["votes"] == before["votes"] - 40
    assert after["two people"] > before["two people"]
    flow = found["Flow of exclusions"]["rows"]
    assert [row["people out"] for row in flow] == [0, 1, 0]
    people = {row["person"]: row for row in found["People"]["rows"]}
    assert people["w07"]["breaks"] == "sentinels>=0.8"
    assert found["People"]["rows"][0]["person"] == "w07"
    detection = found["Same or different as signal detection"]["rows"]
    assert len(detection) == 21
    assert [row["who"] for row in detection[1:]] == sorted(people)
    assert detection[8]["F"] == pytest.approx(0.7, abs=0.25)
    bands = found["Agreement with the others, by reaction time"]["rows"]
    assert [row["answers"] for row in bands] == [0, 0, 800, 0, 0, 0]


def test_the_same_seed_gives_the_same_bytes(planted: Path) -> None:
    arguments = (planted, "--draws", 200, "--json")
    assert run(*arguments).stdout == run(*arguments).stdout
    assert run(*arguments).stdout != run(*arguments, "--seed", 1).stdout


def test_rules_are_the_users(planted: Path) -> None:
    none = sections(planted, "--no-rules", "--draws", 200)
    assert len(none["Flow of exclusions"]["rows"]) == 1
    strict = sections(planted, "--rule", "answers>=41", "--draws", 200)
    assert strict["Flow of exclusions"]["rows"][-1]["people left"] == 0
    assert run(planted, "--rule", "taste>=1").exit_code == 2
    assert run(planted, "--rule", "fast<=1", "--no-rules").exit_code == 2


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("item,participant,choice\na,1,p0\nb,2,p1\n", "2 of 2 items have fewer than two votes: agreement is undefined"),
        ("item,participant,choice\na,1,p0\nb,1,p1\n", "one person answered: agreement of people is undefined"),
        ("item,participant,choice\na,1,p0\na,2,p0\nb,1,p0\nb,2,p0\n", "alpha is undefined: all votes are equal"),
        ("item,participant,choice\na,1,same\na,2,different\n", "no identical pairs are known: F and d' need some"),
    ],
)
def test_what_is_undefined_is_said_not_guessed(tmp_path: Path, text: str, wanted: str) -> None:
    path = tmp_path / "few.csv"
    path.write_text(text)
    result = run(path, "--draws", 100)
    assert result.exit_code == 0, result.output
    assert wanted in result.stdout
    assert not re.search(r"\bnan\b", result.stdout)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("item,participant,choice,colour\na,1,p0,red\n", "unknown columns colour"),
        ("study,item,participant,choice\ns,a,1,p0\nt,b,1,p0\n", "2 studies mixed"),
        ("item,participant,choice\na,1,\n", "values of choice are not given"),
        ("id,judge\na,0.35\n", "has fractions only"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    result = run(path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert part in result.stderr


def test_each_set_has_its_own_agreement(tmp_path: Path) -> None:
    """Of three sets, in whatever order their names stand."""
    votes = {"val/cnn": [5, 5, 4], "val/traditional": [3, 2], "val/color": [1]}
    rows = [f"{name},{item},{k},5" for name, counts in votes.items() for item, k in enumerate(counts)]
    (tmp_path / "x.csv").write_text("\n".join(["set,id,k,n", *rows]))
    found = sections(tmp_path / "x.csv", "--task", "2afc", "--draws", 100)["Agreement of people"]["rows"]
    of_sets = {row["set"]: row for row in found if row["set"] in votes}
    assert set(of_sets) == set(votes)
    for name, counts in votes.items():
        assert (of_sets[name]["items"], of_sets[name]["votes"]) == (len(counts), 5 * len(counts))
        pairs = [(k * (k - 1) + (5 - k) * (4 - k)) / 20 for k in counts]
        assert of_sets[name]["two people"] == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("fits", [True, False])
def test_a_model_that_does_not_fit_is_said(tmp_path: Path, fits: bool) -> None:
    """Chances spread evenly are of the model; half coin flips and half all but unanimous are not."""
    rng = np.random.default_rng(0)
    p = rng.random(600) if fits else np.where(rng.random(600) < 0.5, 0.5, 0.97)
    pd.DataFrame({"id": range(600), "k": rng.binomial(8, p), "n": 8}).to_csv(tmp_path / "x.csv", index=False)
    found = sections(tmp_path / "x.csv", "--task", "2afc", "--draws", 200)["Agreement of people"]
    assert (found["rows"][0]["p of its fit"] > 0.05) == fits
    # The least that 200 draws can say.
    expected = [] if fits else ["the beta-binomial does not fit (p = 0.005)"]
    assert [note.partition(":")[0] for note in found["notes"] if "does not fit" in note] == expected


def test_agreement_by_reaction_time_has_a_row_a_band(tmp_path: Path) -> None:
    """A band holds its lower end. The two people who took as long say the same, and the third the opposite."""
    bands = {
        "0 to 200 ms": [0, 199.9],
        "200 to 500 ms": [200],
        "500 to 1000 ms": [500, 999, 750],
        "1000 to 2000 ms": [],
        "2000 to 4000 ms": [2000],
        "4000 ms and more": [4000, 60_000],
    }
    rows = ["item,participant,choice,reaction_ms"]
    for item, taken in enumerate(ms for some in bands.values() for ms in some):
        rows += [f"{item},a,p1,{taken}", f"{item},b,p1,{taken}", f"{item},c,p0,{taken}"]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    found = sections(tmp_path / "x.csv", "--draws", 100)["Agreement with the others, by reaction time"]["rows"]
    assert [(row["reaction time"], row["answers"]) for row in found] == [
        (name, 3 * len(some)) for name, some in bands.items()
    ]
    # Of each of the first two one of two others says the same, of the third nobody.
    assert [row["two people"] for row in found] == [pytest.approx(1 / 3) if some else None for some in bands.values()]


@pytest.mark.parametrize(
    ("choice", "lost"), [("p0", "sentinel pass rates"), ("same", "sentinels, false alarms and d'")]
)
def test_what_needs_sentinels_is_named_for_each_task(tmp_path: Path, choice: str, lost: str) -> None:
    (tmp_path / "x.csv").write_text(f"item,participant,choice\na,1,{choice}\na,2,{choice}\n")
    notes = sections(tmp_path / "x.csv", "--draws", 100)["What cannot be known from this"]["notes"]
    assert f"without the column expected: {lost}" in notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "item=image,choice"], "expected OURS=THEIRS,... got 'choice'"),
        (["--choices", "=p0"], "expected OURS=THEIRS,... got ''"),
        (["--columns", "item="], "expected OURS=THEIRS,... got 'item'"),
        (["--draws", "99"], "99 is not in the range x>=100"),
    ],
)
def test_wrong_usage_is_status_2(tmp_path: Path, options: list[str], message: str) -> None:
    result = run(tmp_path / "x.csv", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_plan_takes_how_much_people_differ_from_their_answers(tmp_path: Path) -> None:
    """Thirty people of whom half look and half choose blindly: the spread of their agreement is the plan's."""
    rng = np.random.default_rng(0)
    rows = [
        (f"i{item}", f"w{person}", "p1" if rng.random() < (0.95 if person % 2 else 0.5) else "p0")
        for item in range(60)
        for person in rng.permutation(30)[:10]
    ]
    table = pd.DataFrame(rows, columns=["item", "participant", "choice"])
    table.to_csv(tmp_path / "x.csv", index=False)
    coded = reliability.coded(table)
    spread = reliability.person_sd(reliability.agreement_with_others(coded), coded)
    assert 0.05 < spread < 0.25
    notes = sections(tmp_path / "x.csv", "--plan", 0.05, "--draws", 100)["Plan"]["notes"]
    assert any(f"sd {spread:.3f}, estimated from these people's agreement" in note for note in notes)


def test_a_plan_from_fractions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.binomial(5, rng.random(500)) / 5
    pd.DataFrame({"id": range(500), "judge": p}).to_csv(tmp_path / "x.csv", index=False)
    plan = sections(tmp_path / "x.csv", "--votes", 5, "--plan", 0.03, "--draws", 100)["Plan"]
    assert [row["answers an item"] for row in plan["rows"]] == [1, 2, 3, 5, 8]
    assert all(row["simulated half-width"] == pytest.approx(0.03, rel=0.25) for row in plan["rows"])
    assert any("assumed, as there are no people" in note for note in plan["notes"])


@pytest.mark.parametrize(("options", "per_person"), [((), 85), (("--plan-per-person", 40), 40)])
def test_a_plan_says_how_many_answers_of_a_person_it_assumes(
    tmp_path: Path, options: tuple[object, ...], per_person: int
) -> None:
    rows = [f"{item},{item % 6},5" for item in range(60)]
    (tmp_path / "x.csv").write_text("\n".join(["id,k,n", *rows]))
    plan = sections(tmp_path / "x.csv", "--task", "2afc", "--plan", 0.2, "--draws", 100, *options)["Plan"]
    assert [row["people"] for row in plan["rows"]] == [math.ceil(row["answers"] / per_person) for row in plan["rows"]]
    assert any(f"{per_person} answers each (--plan-per-person)" in note for note in plan["notes"])


def test_a_plan_needs_items_with_two_votes(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("id,k,n\na,1,1\n")
    assert "--plan fits 2AFC items" in run(tmp_path / "one.csv", "--task", "2afc", "--plan", 0.03).stderr
    (tmp_path / "two.csv").write_text("\n".join(["id,k,n", *(f"{item},{item % 3},2" for item in range(30))]))
    assert sections(tmp_path / "two.csv", "--task", "2afc", "--plan", 0.2, "--draws", 100)["Plan"]["rows"]


def test_of_many_recipes_the_most_judged_are_printed_and_json_has_all(tmp_path: Path) -> None:
    rows = [
        f"{recipe:02d}-{item},1,3,jpeg-{recipe:02d}(quality=1)" for recipe in range(25) for item in range(recipe + 1)
    ]
    (tmp_path / "x.csv").write_text("\n".join(["id,k,n,p1_recipe", *rows]))
    options = (tmp_path / "x.csv", "--task", "2afc", "--draws", 100)
    text = run(*options).stdout
    assert re.findall(r"^ *jpeg-(\d\d) ", text, re.MULTILINE) == [f"{recipe:02d}" for recipe in range(24, 4, -1)]
    assert "5 more rows: --json has them all" in text
    assert len(sections(*options)["Agreement by recipe"]["rows"]) == 25
