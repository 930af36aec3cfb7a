"""Names of metrics print and parse back; whatever a metric does wrong is said in one line."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
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
from metrics.weights import RECORDS, WeightStore

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
    from metrics.lpips import LPIPS

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
def search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the search path of modules, forgotten afterwards."""
    modules = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._plugins.cache_clear()
    yield tmp_path
    registry._plugins.cache_clear()
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


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
    from metrics.lpips import LPIPS

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
    with pytest.raises(ValueError, match="two metrics want the name 'l2'"):
        register(Entry("l2", "another", never))
    with pytest.raises(ValueError, match="two metrics want the name 'ssim'"):
        register_metric(from_function("ssim", np.subtract, "another"))
    with pytest.raises(ValueError, match="two kinds of metric want the prefix 'lpips'"):
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


# --- a module of the user's --------------------------------------------------------------------------

MODULE = '''
import numpy as np
from metrics.metric import Metric

def far(a, b):
    """Always three."""
    return np.full(len(a), 3.0)

class Kept:
    @staticmethod
    def inside(a, b):
        return np.zeros(len(a))

number = 5
whole = Metric(name="l2", description="not the l2 you know", contrast=far)
'''


@pytest.fixture
def module(search_path: Path) -> str:
    (search_path / "user_metrics_a.py").write_text(MODULE)
    importlib.invalidate_caches()
    return "user_metrics_a"


@pytest.mark.parametrize(("attribute", "about", "value"), [("far", "Always three.", 3), ("Kept.inside", "user's", 0)])
def test_a_function_of_the_user(module: str, attribute: str, about: str, value: float) -> None:
    name = f"{module}:{attribute}"
    metric = load(name)
    assert metric.name == name == load(metric.name).name
    assert metric.description.startswith(about)
    assert metric(A, B).tolist() == [value] * 3


def test_a_metric_object_of_the_user_keeps_the_name_it_was_asked_by(module: str) -> None:
    metric = load(f"{module}:whole")
    assert metric(A, B).tolist() == [3, 3, 3]
    assert metric.name == f"{module}:whole"


def test_a_metric_object_of_the_user_does_not_vanish_behind_ours(module: str) -> None:
    found = load_all(["l2", f"{module}:whole"])
    assert [metric(A, A).tolist() for metric in found] == [[0, 0, 0], [3, 3, 3]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent_module_x:f", "No module named 'absent_module_x'"),
        ("user_metrics_a:absent", "has no attribute 'absent'"),
        ("user_metrics_a:", "has no attribute ''"),
        ("user_metrics_a:far.absent", "has no attribute 'absent'"),
        ("user_metrics_a:number", "is a int, wanted a function of two image batches"),
        (":far", "Empty module name"),
        (".user_metrics_a:far", "wanted module:callable"),
    ],
)
@pytest.mark.usefixtures("module")
def test_a_function_that_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(MetricError, match=rf"^metric '{re.escape(name)}'.*{re.escape(message)}"):
        load(name)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("user_broken_a", "def f(:\n", "invalid syntax"),
        ("user_broken_b", "raise RuntimeError('boom')\n", "boom"),
        ("user_broken_c", "import absent_library_x\n", "No module named 'absent_library_x'"),
        ("user_broken_d", "1 / 0\n", "division by zero"),
    ],
)
def test_a_module_that_does_not_import_is_one_line(search_path: Path, name: str, text: str, message: str) -> None:
    (search_path / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    with pytest.raises(MetricError, match=rf"^metric '{name}:f'.*{message}"):
        load(f"{name}:f")


# --- published plug-ins ------------------------------------------------------------------------------


def distribution(folder: Path, name: str, points: dict[str, str]) -> None:
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {value}\n" for point, value in points.items()]
    (about / "entry_points.txt").write_text("".join(["[bapps.metrics]\n", *lines]))
    importlib.invalidate_caches()


def test_a_published_metric_is_found_by_its_name(search_path: Path, module: str) -> None:
    distribution(search_path, "threes", {"three": f"{module}:far"})
    metric = load("three")
    assert metric.name == "three"
    assert metric.description == "Always three."
    assert metric(A, B).tolist() == [3, 3, 3]
    with pytest.raises(MetricError, match="did you mean three"):
        load("thre")


def test_a_published_metric_object_goes_by_its_published_name(search_path: Path, module: str) -> None:
    distribution(search_path, "wholes", {"published": f"{module}:whole"})
    metric = load("published")
    assert metric(A, B).tolist() == [3, 3, 3]
    assert metric.name == "published"


@pytest.mark.parametrize("value", ["absent_module_x:f", "user_metrics_a:absent"])
def test_a_published_metric_that_does_not_load_names_its_distribution(
    search_path: Path, module: str, value: str
) -> None:
    distribution(search_path, "brokenthing", {"broken": value})
    with pytest.raises(MetricError, match=r"^metric 'broken' of brokenthing does not load: .*absent"):
        load("broken")


def test_a_published_metric_does_not_replace_one_of_ours(search_path: Path, module: str) -> None:
    distribution(search_path, "thief", {"l2": f"{module}:far"})
    assert load("l2")(A, A).tolist() == [0, 0, 0]


def test_two_distributions_that_publish_one_name_are_refused(search_path: Path, module: str) -> None:
    distribution(search_path, "first", {"twice": f"{module}:far"})
    distribution(search_path, "second", {"twice": f"{module}:Kept.inside"})
    with pytest.raises(MetricError, match=r"twice.*(first.*second|second.*first)"):
        load("twice")


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
