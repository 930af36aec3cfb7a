"""Who may import whom, and where outside libraries stop: the arrows and fences of the design.

Every file is read with `ast`; nothing is imported.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

# Package to the packages it may import besides itself; arrows may be skipped over.
ARROWS: dict[str, set[str]] = {
    "bapps_builder": set(),
    "metrics": {"bapps_builder"},
    "distortions": {"bapps_builder", "metrics"},
    "collection_app": {"bapps_builder", "metrics", "distortions"},
    "analysis": {"bapps_builder", "metrics"},
    "bapps": {"bapps_builder", "metrics", "distortions", "analysis"},
}

# Wings and files of a package's root, from top to bottom: each may import those below it in its package, and itself.
LAYERS: dict[str, tuple[str, ...]] = {
    "bapps_builder": (
        "commands",
        "building",
        "checking",
        "releasing",
        "official_download",
        "datasets",
        "patch_sets",
        "answers",
        "images",
        "files",
        "layout",
        "tasks",
        "packages",
        "errors",
        "__init__",
    ),
    "metrics": (
        "commands",
        "training",
        "losses",
        "deep",
        "classic",
        "registry",
        "image_inputs",
        "image_math",
        "metric",
        "weights",
        "__init__",
    ),
    "distortions": (
        "commands",
        "patch_sets",
        "recipes",
        "cnn",
        "traditional",
        "workers",
        "crops",
        "photos",
        "sizes",
        "registry",
        "distortion",
        "source",
        "__init__",
    ),
    "collection_app": (
        "wsgi",
        "commands",
        "rehearsal",
        "server",
        "__init__",
        "participants",
        "operations",
        "admin",
        "web",
        "reporting",
        "payments",
        "sessions",
        "studies",
        "tasks",
        "migrations",
        "database",
        "platforms",
        "signing",
        "settings",
        "errors",
    ),
    "analysis": ("commands", "whole_report", "people", "report", "scoring", "statistics", "__init__"),
    "bapps": ("__init__", "datasets", "images"),
}

# A folder with more source files than this is split by task; tables of the database only ever grow.
MOST_FILES = 15
UNCOUNTED = ("collection_app/migrations/versions",)

# Library to the files and folders (with a slash) of the five packages that may import it.
FENCES: dict[str, tuple[str, ...]] = {
    "torch": ("metrics/", "distortions/cnn/", "analysis/scoring/evaluate.py"),
    "numba": ("bapps_builder/images/compiled.py",),
    "isal": ("bapps_builder/images/png_decoding.py",),
    "flask": ("collection_app/",),
    "sqlalchemy": ("collection_app/",),
    "matplotlib": ("analysis/report/", "distortions/", "metrics/training/curves.py"),
}
# Within distortions only the networks use metrics, and the count of hard pairs, which a command imports when it
# prints it; the package itself must not import them.
METRICS_IN_DISTORTIONS = ("distortions/cnn/", "distortions/patch_sets/hardness.py")

CODECS = {"imread", "imreadmulti", "imdecode", "imdecodemulti", "imwrite", "imwritemulti", "imencode"}
# Patches strictly, and photographs as collections hold them.
CODEC_FILES = ("bapps_builder/images/image_files.py", "bapps_builder/images/formats/")
VAGUE_NAMES = {"utils", "helpers", "common", "misc", "core"}


def within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


def module_name(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def targets(node: ast.AST, path: str) -> Iterator[tuple[str, str]]:
    """What a node imports, as (module, name in it or "")."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, ""
    elif isinstance(node, ast.ImportFrom):
        package = PurePosixPath(path).parts[:-1]
        base = package[: len(package) - node.level + 1] if node.level else ()
        module = ".".join((*base, *filter(None, [node.module])))
        for alias in node.names:
            yield module, alias.name
    elif isinstance(node, ast.Call) and node.args:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        if (
            called in ("import_module", "__import__")
            and isinstance(first, ast.Constant)
            and isinstance(first.value, str)
        ):
            yield first.value, ""


def violations(path: str, source: str) -> list[str]:
    """Every import or call in a file that the design forbids, wherever in the file it stands."""
    package = path.partition("/")[0]
    found = []
    for node in ast.walk(ast.parse(source)):
        for module, name in targets(node, path):
            top = module.partition(".")[0]
            if top in ARROWS and top != package and top not in ARROWS[package]:
                found.append(f"{path}: {package} imports {top}")
            if package == "distortions" and top == "metrics" and not within(path, METRICS_IN_DISTORTIONS):
                found.append(f"{path}: metrics outside {METRICS_IN_DISTORTIONS}")
            if path == "distortions/__init__.py" and f"{module}.{name}".startswith("distortions.cnn"):
                found.append(f"{path}: imports distortions.cnn")
            if top in FENCES and not within(path, FENCES[top]):
                found.append(f"{path}: {top} outside {FENCES[top]}")
            if not within(path, CODEC_FILES) and (name in CODECS or (module, name) == ("PIL.Image", "open")):
                found.append(f"{path}: {name} outside {CODEC_FILES}")
        if not within(path, CODEC_FILES) and isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
            of_pillow = (owner, node.attr) == ("Image", "open")
            if node.attr in CODECS or of_pillow:
                found.append(f"{path}: {node.attr} outside {CODEC_FILES}")
    return found


def layer(package: str, module: str, name: str) -> str:
    """The wing or root file of a package that an imported module, or name in it, belongs to."""
    parts = [*module.split(".")[1:], name]
    return parts[0] if parts[0] in LAYERS[package] else "__init__"


def climbs(path: str, source: str) -> list[str]:
    """Every import of a layer above the file's own, in its package, wherever in the file it stands."""
    package, _, rest = path.partition("/")
    order = LAYERS[package]
    own = PurePosixPath(rest).parts[0].removesuffix(".py")
    found = []
    for node in ast.walk(ast.parse(source)):
        for module, name in targets(node, path):
            if module.partition(".")[0] == package:
                other = layer(package, module, name)
                if order.index(other) < order.index(own):
                    found.append(f"{path}: {own} imports {other}, which lies above it")
    return found


def at_module_level(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported, without those for type checkers alone."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield other
                yield from at_module_level(other)
            continue
        yield child
        yield from at_module_level(child)


def cycle(sources: Mapping[str, str]) -> list[str]:
    """One cycle of module-level imports between files, or nothing. `sources`: path to text."""
    modules = {module_name(path) for path in sources}
    graph: dict[str, set[str]] = {}
    for path, source in sources.items():
        edges = graph.setdefault(module_name(path), set())
        for node in at_module_level(ast.parse(source)):
            for module, name in targets(node, path):
                whole = f"{module}.{name}"
                edges.update({whole} & modules or {module} & modules)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def sources(repository: Path) -> dict[str, str]:
    found = {
        path.relative_to(repository).as_posix(): path.read_text()
        for package in ARROWS
        for path in sorted((repository / package).rglob("*.py"))
    }
    # An empty list would pass every check below.
    assert {path.partition("/")[0] for path in found} == set(ARROWS)
    assert len(found) >= 30
    return found


def test_the_packages_keep_arrows_and_fences(sources: dict[str, str]) -> None:
    assert [line for path, source in sources.items() for line in violations(path, source)] == []


def test_wings_import_only_what_lies_below_them(sources: dict[str, str]) -> None:
    assert [line for path, source in sources.items() for line in climbs(path, source)] == []


def test_every_wing_and_root_file_has_its_layer(sources: dict[str, str]) -> None:
    for package, order in LAYERS.items():
        there = {PurePosixPath(path).parts[1].removesuffix(".py") for path in sources if path.startswith(f"{package}/")}
        assert there == set(order)
        assert len(order) == len(set(order))


def crowded(paths: Iterable[str]) -> dict[str, int]:
    """Folders with more source files than may lie in one; a package's `__init__` is not something to look for."""
    counted = [path for path in map(PurePosixPath, paths) if path.suffix in (".py", ".js") and path.stem != "__init__"]
    count = Counter(path.parent.as_posix() for path in counted)
    return {folder: n for folder, n in count.items() if n > MOST_FILES and folder not in UNCOUNTED}


def test_no_folder_holds_more_files_than_one_can_look_over(repository: Path) -> None:
    roots = [*ARROWS, "tests", "benchmarks"]
    paths = [path.relative_to(repository).as_posix() for root in roots for path in (repository / root).rglob("*.*")]
    assert len(paths) > 300
    assert crowded(paths) == {}


def test_the_count_of_files_sees_a_crowded_folder() -> None:
    files = [f"metrics/classic/{k}.py" for k in range(16)]
    assert crowded([*files, "metrics/deep/__init__.py"]) == {"metrics/classic": 16}
    assert crowded(files[1:]) == {}


@pytest.mark.parametrize(
    ("path", "source", "wanted"),
    [
        ("metrics/classic/x.py", "from metrics.deep.lpips import LPIPS", "classic imports deep"),
        ("metrics/registry.py", "from metrics import classic", "registry imports classic"),
        ("distortions/cnn/x.py", "from distortions.recipes import parse", "cnn imports recipes"),
        ("bapps_builder/files/x.py", "def f():\n    import bapps_builder.images.image_files", "files imports images"),
        ("collection_app/web/x.py", "from collection_app import create_app", "web imports __init__"),
        ("analysis/scoring/x.py", "from ..report import page", "scoring imports report"),
    ],
)
def test_the_check_of_wings_sees_a_planted_import(path: str, source: str, wanted: str) -> None:
    assert climbs(path, source) == [f"{path}: {wanted}, which lies above it"]


def test_no_files_import_each_other_in_a_circle(sources: dict[str, str]) -> None:
    assert cycle(sources) == []


def test_the_files_of_codecs_are_there(sources: dict[str, str]) -> None:
    for place in CODEC_FILES:
        assert any("cv2.imdecode" in source for path, source in sources.items() if within(path, (place,)))
    assert any("Image.open" in source for path, source in sources.items() if within(path, CODEC_FILES))


def vague(paths: list[str]) -> list[str]:
    return [path for path in paths if VAGUE_NAMES & {PurePosixPath(part).stem for part in PurePosixPath(path).parts}]


def test_no_file_or_folder_has_a_name_that_says_nothing(repository: Path) -> None:
    roots = [*ARROWS, "tests", "benchmarks", "examples"]
    paths = [path.relative_to(repository).as_posix() for root in roots for path in (repository / root).rglob("*")]
    assert len(paths) > 30
    assert vague(paths) == []


@pytest.mark.parametrize("path", ["metrics/utils.py", "analysis/core/x.py", "tests/helpers/test_x.py"])
def test_the_name_check_sees_a_planted_name(path: str) -> None:
    assert vague(["metrics/pixel.py", path]) == [path]


@pytest.mark.parametrize(
    ("path", "source", "wanted"),
    [
        ("bapps_builder/x.py", "import metrics.lpips", "bapps_builder imports metrics"),
        ("metrics/x.py", "from analysis import jnd", "metrics imports analysis"),
        ("metrics/x.py", "from distortions.noise import f", "metrics imports distortions"),
        ("analysis/x.py", "def f():\n    import collection_app", "analysis imports collection_app"),
        ("analysis/x.py", "if TYPE_CHECKING:\n    from distortions import f", "analysis imports distortions"),
        ("collection_app/x.py", "import analysis.cli as a", "collection_app imports analysis"),
        ("metrics/x.py", "import importlib\nimportlib.import_module('analysis.cli')", "metrics imports analysis"),
        ("distortions/traditional/blur.py", "from metrics.lpips import LPIPS", "metrics outside"),
        ("distortions/__init__.py", "from distortions import cnn", "imports distortions.cnn"),
        ("distortions/__init__.py", "from .cnn import train", "imports distortions.cnn"),
        ("analysis/cli.py", "import torch", "torch outside"),
        ("analysis/cli.py", "def f():\n    from torch.nn import Conv2d", "torch outside"),
        ("bapps_builder/datasets/reader.py", "import torch", "torch outside"),
        ("metrics/cli.py", "import flask", "flask outside"),
        ("metrics/ssim.py", "from numba import njit", "numba outside"),
        ("bapps_builder/images/image_files.py", "from isal import isal_zlib", "isal outside"),
        ("analysis/people.py", "from sqlalchemy.orm import Session", "sqlalchemy outside"),
        ("analysis/jnd.py", "import matplotlib.pyplot as plt", "matplotlib outside"),
        ("metrics/x.py", "import cv2\ncv2.imread('a.png')", "imread outside"),
        ("metrics/x.py", "from cv2 import imencode", "imencode outside"),
        ("distortions/traditional/compression.py", "cv2.imdecode(data, 1)", "imdecode outside"),
        ("metrics/x.py", "from PIL import Image\nImage.open(p)", "open outside"),
        ("metrics/x.py", "import PIL.Image\nPIL.Image.open(p)", "open outside"),
        ("metrics/x.py", "from PIL.Image import open", "open outside"),
    ],
)
def test_the_checker_sees_a_planted_violation(path: str, source: str, wanted: str) -> None:
    found = violations(path, source)
    assert len(found) == 1
    assert found[0].startswith(f"{path}: ")
    assert wanted in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("analysis/x.py", "from metrics.metric import Metric\nfrom bapps_builder.layout import TASKS"),
        ("analysis/scoring/evaluate.py", "import torch"),
        ("collection_app/x.py", "import flask, sqlalchemy\nimport distortions.noise\nimport bapps_builder"),
        ("distortions/cnn/train.py", "import torch\nfrom metrics.lpips import LPIPS"),
        ("metrics/trunks/alexnet.py", "from torch import nn\nfrom . import TrunkSpec"),
        ("bapps_builder/images/image_files.py", "cv2.imdecode(data, 1)\nImage.open(f)"),
        ("bapps_builder/images/formats/tiff.py", "cv2.imdecode(data, 1)\nImage.open(f)"),
        ("bapps_builder/files/atomic.py", "path.open()"),
    ],
)
def test_the_checker_allows_what_the_design_allows(path: str, source: str) -> None:
    assert violations(path, source) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"metrics/a.py": "import metrics.b", "metrics/b.py": "from metrics import a"},
        {"metrics/__init__.py": "from metrics.a import f", "metrics/a.py": "from metrics import g"},
        {
            "metrics/a.py": "from .b import f",
            "metrics/b.py": "try:\n    from metrics.c import g\nexcept ImportError:\n    pass",
            "metrics/c.py": "class C:\n    from metrics.a import h",
        },
    ],
)
def test_the_cycle_check_sees_a_planted_cycle(sources: dict[str, str]) -> None:
    found = cycle(sources)
    assert set(found) <= {module_name(path) for path in sources}
    assert found[0] == found[-1]


@pytest.mark.parametrize(
    "back",
    ["def f():\n    import metrics.a", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import metrics.a"],
)
def test_the_cycle_check_allows_late_imports_and_those_for_types(back: str) -> None:
    assert cycle({"metrics/a.py": "import metrics.b", "metrics/b.py": back}) == []
