"""Names of metrics print and parse back; whatever a metric does wrong is said in one line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bapps_builder.errors import MetricError, WeightsError
from metrics import registry
from metrics.metric import Metric, NotADistance, Setup, from_function, joint_distances
from metrics.registry import Entry, entries, load, load_all, register, register_metric, register_scheme
from metrics.weights.store import RECORDS, WeightStore

Images = NDArray[np.uint8]

# What the documents promise; a metric that is added does not fail here, one that goes does.
PROMISED = {
    "l1", "l2", "l2-lab", "psnr", "ssim", "dssim", "dssim-lab",
    "alex", "vgg", "squeeze", "lpips-alex", "lpips-vgg", "lpips-squeeze",
}  # fmt: skip

A = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
B = np.random.default_rng(2).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


def spellings() -> list[str]:
    found = []
    for entry in entries().values():
        found += [entry.name, *(f"{entry.name}@{variant}" for variant in entry.variants)]
    return found


@pytest.fixture(scope="session")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Nets whose weights are drawn, so that names can be tried without a single published file."""
    from metrics.deep.lpips import LPIPS

    folder = tmp_path_factory.mktemp("weights")
    store = WeightStore(cache=folder / "cache")
    for net, trunk in (("alex", "alexnet"), ("vgg", "vgg16"), ("squeeze", "squeezenet1_1")):
        module = LPIPS.blank(net)
        features = {}
        for name, value in module.net.state_dict().items():
            features[f"features.{name.partition('.')[2]}"] = value.numpy()
        np.savez(folder / f"{trunk}.npz", **features)
        store = store.with_unverified(trunk, folder / f"{trunk}.npz")
        heads = {name: value.numpy() for name, value in module.state_dict().items() if name.startswith("lin")}
        np.savez(folder / f"{net}-heads.npz", **heads)
        for version in ("0.0", "0.1"):
            store = store.with_unverified(f"lpips-{net}-{version}", folder / f"{net}-heads.npz")
    assert {name for name, _ in store.unverified} == set(RECORDS)
    return Setup(weights=store)


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register names that are gone after it."""
    entries()
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    monkeypatch.setattr(registry, "_SCHEMES", dict(registry._SCHEMES))


# --- names -------------------------------------------------------------------------------------------


def test_the_promised_names_are_there_and_sorted() -> None:
    assert set(entries()) >= PROMISED
    assert list(entries()) == sorted(entries())


@pytest.mark.parametrize("name", spellings())
def test_a_name_prints_and_parses_back(setup: Setup, name: str) -> None:
    try:
        metric = load(name, setup)
    except (MetricError, WeightsError) as error:
        # A metric of an optional package that is absent, or of weights that people make, says how to get it.
        said = (
            r"metric \S+ needs the package .*pip install .*|there is no \S+-kmeans\.safetensors .*`bapps-train trunk .*"
        )
        assert re.fullmatch(said, str(error))  # noqa: PT017
        return
    entry = entries()[name.partition("@")[0]]
    assert metric.name == name.removesuffix(f"@{entry.default}" if entry.default else "\0")
    again = load(metric.name, setup)
    assert (again.name, again.description, again.weights) == (metric.name, metric.description, metric.weights)
    if not metric.weights:  # nets would only repeat themselves, slowly
        side = max(32, metric.smallest_side)
        a, b = (np.random.default_rng(k).integers(0, 256, (1, side, side, 3), dtype=np.uint8) for k in (1, 2))
        np.testing.assert_array_equal(again(a, b), metric(a, b))


@pytest.mark.parametrize("name", ["alex@random-7", "vgg@random-12", "squeeze@random-1"])
def test_a_seed_prints_and_parses_back(name: str) -> None:
    metric = load(name)
    assert metric.name == name == load(metric.name).name
    assert f"seed {name.rpartition('-')[2]}" in metric.description


@pytest.mark.parametrize("name", sorted(PROMISED - {"vgg", "lpips-vgg"}))  # slow, and the code of the other nets
def test_bigger_is_further(setup: Setup, name: str) -> None:
    metric = load(name, setup)
    a, b = A[:1], B[:1]
    slightly = a.copy()
    slightly[:, 20:30, 20:30] ^= 8
    same, near, far = metric(a, a), metric(a, slightly), metric(a, b)
    assert same.shape == (1,)
    assert same.dtype == np.float64
    assert (same < near).all()
    assert (near < far).all()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lpips-alexx", "did you mean lpips-alex"),
        ("sim", "did you mean ssim"),
        ("LPIPS-VGG", "unknown metric 'LPIPS-VGG'"),
        ("l2-labs", "did you mean l2-lab"),
        ("vgg@radnom", "unknown variant vgg@radnom; its variants: vgg@random"),
        ("l2@x", "unknown variant l2@x; its variants: it has none"),
        ("l2@", "unknown variant l2@"),
        ("lpips-vgg@0.2", "its variants: lpips-vgg@0.1, lpips-vgg@0.0"),
        ("alex@random-0", "unknown variant alex@random-0"),
        ("alex@random-07", "unknown variant alex@random-07"),
        ("alex@random-", "unknown variant alex@random-"),
    ],
)
def test_an_unknown_name_says_what_is_near(name: str, hint: str) -> None:
    with pytest.raises(MetricError, match=re.escape(hint)):
        load(name)


def test_a_name_near_nothing_lists_what_is_known() -> None:
    with pytest.raises(MetricError, match=r"^unknown metric '\?'; known: alex, alex@kmeans, alex@random, .*, l1, l2, "):
        load("?")


def test_a_name_given_twice_is_one_metric(setup: Setup) -> None:
    assert [m.name for m in load_all(["l2", "lpips-alex@0.1", "ssim", "l2", "lpips-alex"], setup)] == [
        "l2",
        "lpips-alex",
        "ssim",
    ]


@pytest.mark.parametrize("name", ["lpips:", "lpips:absent.pth"])
def test_a_file_that_is_no_lpips_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r": no LPIPS weights: (\[Errno|No such file)"):
        load(name)


def test_heads_from_a_file_by_name(tmp_path: Path, setup: Setup) -> None:
    from metrics.deep.lpips import LPIPS

    state = {name: value for name, value in LPIPS.blank("alex").state_dict().items() if name.startswith("lin")}
    torch.save(state, tmp_path / "mine.pth")
    metric = load(f"lpips:{tmp_path / 'mine.pth'}", setup)
    assert metric.name == f"lpips:{tmp_path / 'mine.pth'}" == load(metric.name, setup).name
    # Heads of ones are the uncalibrated distance.
    np.testing.assert_allclose(metric(A, B), load("alex", setup)(A, B), rtol=1e-6)


# --- registering -------------------------------------------------------------------------------------


def never(variant: str, setup: Setup) -> Metric:
    raise AssertionError("not made by registering")


@pytest.mark.usefixtures("scratch")
def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="two metrics have the name 'l2'"):
        register(Entry("l2", "another", never))
    with pytest.raises(ValueError, match="two metrics have the name 'ssim'"):
        register_metric(from_function("ssim", np.subtract, "another"))
    with pytest.raises(ValueError, match="two kinds of metric have the prefix 'lpips'"):
        register_scheme("lpips", never)


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("name", ["", "a@b", "a:b", "a b", "a,b"])
def test_a_name_that_would_not_parse_back_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        register(Entry(name, "x", never))


@pytest.mark.usefixtures("scratch")
def test_a_registered_metric_is_found_by_name() -> None:
    mine = register_metric(from_function("mine", lambda a, b: np.full(len(a), 7.0), "seven"))
    assert load("mine") is mine
    assert "mine" in entries()
    with pytest.raises(MetricError, match="did you mean mine"):
        load("mines")


@pytest.mark.usefixtures("scratch")
def test_variants_of_a_registered_metric_have_names_of_their_own() -> None:
    metric, twice, wrong = (from_function(name, np.subtract, "x") for name in ("mine", "mine@twice", "other@twice"))
    for variants in ([wrong], [twice, twice], [metric]):
        with pytest.raises(ValueError, match="a variant of mine must have a name of its own"):
            register_metric(metric, *variants)
    assert "mine" not in entries()
    register_metric(metric, twice)
    assert (load("mine"), load("mine@twice")) == (metric, twice)
    with pytest.raises(MetricError, match="its variants: mine@twice"):
        load("mine@thrice")


# --- what a metric is given --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (A, B[:2], "two batches must have one shape, got (3, 64, 64, 3) and (2, 64, 64, 3)"),
        (A, B[:, :32], "two batches must have one shape, got (3, 64, 64, 3) and (3, 32, 64, 3)"),
        (A[0], B[0], "images must be (N, H, W, 3) uint8 RGB, got shape (64, 64, 3) and type uint8"),
        (A[..., :1], B[..., :1], "got shape (3, 64, 64, 1) and type uint8"),
        (A / 255, B / 255, "got shape (3, 64, 64, 3) and type float64"),
        (A, B.astype(np.int16), "got shape (3, 64, 64, 3) and type int16"),
        (A.tolist(), B, "got shape None and type list"),
        (torch.from_numpy(A), B, "images must be (N, H, W, 3) uint8 RGB"),
    ],
)
def test_what_is_no_pair_of_batches_is_refused(a: Any, b: Any, message: str) -> None:
    with pytest.raises(MetricError, match=re.escape(message)):
        load("l2")(a, b)


def test_images_that_are_too_small_are_refused() -> None:
    small = A[:, :10, :12]
    with pytest.raises(MetricError, match="metric ssim: images must have at least 11 pixels a side, got 10"):
        load("ssim")(small, small)


# --- what a metric gives back ------------------------------------------------------------------------


def of(function: Callable[..., Any]) -> Metric:
    return from_function("mine:f", function, "mine")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: np.zeros((len(a), 1)), "metric mine:f must return 3 distances, shape (3,), got (3, 1)"),
        (lambda a, b: 0.5, "metric mine:f must return 3 distances, shape (3,), got ()"),
        (lambda a, b: None, "metric mine:f must return 3 distances, shape (3,), got ()"),
        (lambda a, b: np.zeros(4), "metric mine:f must return 3 distances, shape (3,), got (4,)"),
        (lambda a, b: ["x", "y", "z"], "metric mine:f returned no array of numbers: "),
        (lambda a, b: [[1], [1, 2], 3], "metric mine:f returned no array of numbers: "),
        (lambda a, b: 1 / 0, "metric mine:f raised ZeroDivisionError: division by zero (set BAPPS_TRACEBACK=1"),
        (lambda a: a, "metric mine:f raised TypeError: "),
        (lambda a, b: torch.zeros(3, requires_grad=True), "metric mine:f raised RuntimeError: "),
    ],
)
def test_what_is_no_distance_is_said(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(MetricError, match=re.escape(message)):
        of(function)(A, B)


def test_nan_is_said_with_the_number_and_the_first_pair() -> None:
    metric = of(lambda a, b: np.array([0.0, np.nan, np.nan]))
    with pytest.raises(NotADistance, match="metric mine:f returned NaN for 2 of 3 pairs") as caught:
        metric(A, B)
    assert caught.value.index == 1


@pytest.mark.parametrize("values", [[1, 2, 3], np.array([1, 2, 3], np.float32), torch.tensor([1.0, 2.0, 3.0])])
def test_any_array_of_numbers_is_a_distance(values: Any) -> None:
    found = of(lambda a, b: values)(A, B)
    assert found.dtype == np.float64
    assert found.tolist() == [1, 2, 3]


def test_infinite_distances_are_distances() -> None:
    assert load("psnr")(A, A).tolist() == [-np.inf] * 3


def test_a_metric_that_writes_into_its_input_spoils_no_other() -> None:
    def careless(a: Images, b: Images) -> NDArray[np.float64]:
        a ^= b
        return a.astype(np.float64).mean((1, 2, 3))

    wanted = load("l2")(A, B)
    a, b = A.copy(), B.copy()
    try:
        found = joint_distances([of(careless), load("l2")], a, b, B[:, ::-1].copy())
    except MetricError as error:
        assert "read-only" in str(error)  # noqa: PT017 - refusing is as good as protecting
    else:
        np.testing.assert_array_equal(found[1, 0], wanted)
    np.testing.assert_array_equal(a, A)


def test_joint_distances_are_those_of_each_metric_alone(setup: Setup) -> None:
    metrics = load_all(["l1", "l2", "psnr", "ssim", "alex", "lpips-alex", "l2-lab"], setup)
    third = B[:, ::-1].copy()
    found = joint_distances(metrics, A, B, third)
    assert found.shape == (7, 2, 3)
    for row, metric in enumerate(metrics):
        np.testing.assert_array_equal(found[row, 0], metric(A, B))
        np.testing.assert_array_equal(found[row, 1], metric(A, third))


def test_shared_steps_run_once() -> None:
    seen: list[str] = []

    def embed(images: Images) -> Images:
        seen.append("embed")
        return images

    def contrast(a: Images, b: Images) -> NDArray[np.float64]:
        seen.append("contrast")
        return np.zeros(len(a))

    metrics = [Metric(name=str(k), description="", embed=embed, contrast=contrast) for k in range(4)]
    joint_distances(metrics, A, B, B)
    assert sorted(seen) == ["contrast"] * 2 + ["embed"] * 3
