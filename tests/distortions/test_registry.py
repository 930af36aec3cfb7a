"""The registry: names, checks of values and patches, and the table in the docs."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bapps_builder.errors import DistortionError
from distortions import distortion as distortion_module
from distortions import traditional
from distortions.distortion import Distortion, Parameter, Patch, Ramp, distortion
from distortions.registry import distortions, find

# Zhang et al., CVPR 2018: the families of Table 2, spelled as recipes spell them.
PAPER = {
    "photometric": ["lightness-shift", "color-shift", "contrast", "saturation"],
    "noise": [
        "uniform-white-noise",
        "gaussian-white-noise",
        "gaussian-pink-noise",
        "gaussian-blue-noise",
        "gaussian-colored-noise",
        "checkerboard",
    ],
    "blur": ["gaussian-blur", "bilateral-filter"],
    "spatial": [
        "shift",
        "affine-warp",
        "homography",
        "linear-warp",
        "cubic-warp",
        "ghosting",
        "chromatic-aberration",
    ],
    "compression": ["jpeg"],
}
GREY = np.full((4, 5, 3), 128, np.uint8)


def test_the_20_of_the_paper_are_there_and_come_first() -> None:
    found = distortions()
    assert {family: list(names) for family, names in traditional.PAPER.items()} == PAPER
    assert list(found)[:20] == [name for names in PAPER.values() for name in names] == list(traditional.TWENTY)
    assert all(found[name].family == family for family, names in PAPER.items() for name in names)


def test_the_given_dictionary_is_the_callers_own() -> None:
    distortions().clear()
    assert distortions()


@pytest.mark.parametrize("name", distortions())
def test_docstrings_hold_every_parameter(name: str) -> None:
    found = find(name)
    text = found.function.__doc__ or ""
    # The corners of the homography are listed from the first to the last.
    named = found.parameters if name != "homography" else ("x0, y0", "x3, y3")
    assert found.summary.endswith(".")
    assert [parameter for parameter in named if parameter not in text] == []


def documented_row(found: Distortion) -> str:
    ranges = ", ".join(
        f"`{name}` {parameter.low:g} to {parameter.high:g}{parameter.unit and f' {parameter.unit}'}"
        + (f", by default {found.defaults[name]}" if name in found.defaults else "")
        for name, parameter in found.parameters.items()
    )
    return f"| `{found.name}` | {ranges} | {found.ramp} | {found.border} |"


def test_the_table_in_the_docs_is_that_of_the_registry(repository: Path) -> None:
    lines = (repository / "docs" / "distortions.md").read_text().splitlines()
    rows = [documented_row(find(name)) for name in traditional.TWENTY]
    assert [line for line in lines if line.startswith("| `") and line.count("|") == 5] == rows


@pytest.mark.parametrize(
    ("ramp", "text", "at_half"),
    [(Ramp(3, 1), "3 s", 1.5), (Ramp(0.16, 2), "0.16 s^2", 0.04), (Ramp(2, 0.5), "2 s^0.5", 2**0.5)],
)
def test_ramp(ramp: Ramp, text: str, at_half: float) -> None:
    assert str(ramp) == text
    assert [ramp(0), ramp(0.5), ramp(1)] == pytest.approx([0, at_half, ramp.top])


@pytest.mark.parametrize("name", distortions())
def test_directions_stay_and_strength_grows(name: str) -> None:
    found = find(name)
    weak, strong = (found.at(severity, np.random.default_rng(3)) for severity in (0.4, 0.8))
    assert list(weak) == [parameter for parameter in found.parameters if parameter not in found.defaults]
    factor = found.ramp(0.8) / found.ramp(0.4)
    for parameter, value in strong.items():
        if parameter in ("hue", "slope", "phase_x", "phase_y") or (name == "ghosting" and parameter != "opacity"):
            assert value == weak[parameter]
        elif name in ("contrast", "saturation"):
            assert np.log(value) == pytest.approx(factor * np.log(weak[parameter]), rel=1e-4)
        elif name == "jpeg":
            # Percent of the standard's tables, by libjpeg's jpeg_quality_scaling; the quality is a whole number.
            assert 5000 / value == pytest.approx(factor * (200 - 2 * weak[parameter]), rel=0.04)
        else:
            assert value == pytest.approx(factor * weak[parameter], rel=1e-4)


def test_drawn_values_are_short_and_never_minus_zero() -> None:
    for found in distortions().values():
        for seed in range(20):
            for severity in (0.0, 0.123):
                for value in found.at(severity, np.random.default_rng(seed)).values():
                    assert float(f"{value:.6g}") == value
                    assert str(value) != "-0.0"


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_severity_is_checked(severity: float) -> None:
    with pytest.raises(DistortionError, match=r"severity must be in \[0, 1\], got"):
        find("shift").at(severity, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gausian-blur", "unknown distortion 'gausian-blur'; did you mean gaussian-blur"),
        ("warp", "unknown distortion 'warp'; did you mean cubic-warp or "),
        ("xyz", "unknown distortion 'xyz'; known are lightness-shift, color-shift"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(DistortionError) as raised:
        find(name)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "jpeg needs quality, but quality is missing"),
        ({"quality": 0}, "jpeg: quality must be in [1, 100], got 0"),
        ({"quality": float("nan")}, "jpeg: quality must be in [1, 100], got nan"),
        ({"quality": 20.5}, "jpeg: quality must be a whole number, got 20.5"),
        ({"quality": 20, "speed": 1}, "jpeg has no parameter 'speed'; it has quality"),
    ],
)
def test_values_are_checked(values: dict[str, float], message: str) -> None:
    with pytest.raises(DistortionError) as raised:
        find("jpeg").apply(GREY, np.random.default_rng(0), values)
    assert str(raised.value) == message


def test_a_range_is_told_with_its_unit() -> None:
    with pytest.raises(DistortionError, match=r"sigma must be in \[0, 100\] pixels, got inf"):
        find("gaussian-blur").checked({"sigma": float("inf")})


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (GREY.astype(np.float32), r"got shape \(4, 5, 3\) and type float32"),
        (GREY[..., 0], r"got shape \(4, 5\) and type uint8"),
        (np.zeros((2, 2, 4), np.uint8), r"got shape \(2, 2, 4\)"),
        (np.zeros((0, 2, 3), np.uint8), r"must not be empty, got shape \(0, 2, 3\)"),
        ([[[1, 2, 3]]], "got shape None and type list"),
    ],
)
def test_patches_are_checked(patch: Patch, message: str) -> None:
    with pytest.raises(DistortionError, match=message):
        find("shift").apply(patch, np.random.default_rng(0), {"dx": 0, "dy": 0})


def test_an_image_too_large_for_opencv_is_one_line() -> None:
    with pytest.raises(DistortionError, match=r"^linear-warp: OpenCV refuses an image of shape \(2, 40000, 3\): .+$"):
        find("linear-warp").apply(np.zeros((2, 40000, 3), np.uint8), np.random.default_rng(0), {"amplitude": 1})


def test_a_function_must_take_its_parameters() -> None:
    wanted = Parameter(0, 1, "", "")

    def swirl(patch: Patch, rng: np.random.Generator, *, angle: float) -> Patch:
        return patch

    with pytest.raises(ValueError, match=r"swirl must take \(patch, rng, \*, turns\)"):
        distortion(ramp=Ramp(1, 1), draw=lambda s, rng: {}, border="", turns=wanted)(swirl)


def test_a_name_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def jpeg(patch: Patch, rng: np.random.Generator) -> Patch:
        return patch

    distortions()
    monkeypatch.setattr(distortion_module, "_DECLARED", dict(distortion_module._DECLARED))
    jpeg.__module__ = "distortions.traditional.noise"
    distortion(ramp=Ramp(1, 1), draw=lambda s, rng: {}, border="")(jpeg)
    with pytest.raises(ValueError, match=r"two distortions have the name 'jpeg'; rename the one in noise\.py"):
        distortion_module.declared_here()


@pytest.mark.parametrize("bounds", [(1, 0), (2, 2), (0, float("inf")), (float("nan"), 1)])
def test_bounds_of_a_parameter_are_finite_and_in_order(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a parameter needs two finite bounds, low < high; got"):
        Parameter(*bounds, "", "")


def test_a_ramp_and_parameters_are_of_their_types() -> None:
    def swirl(patch: Patch, rng: np.random.Generator, *, angle: float) -> Patch:
        return patch

    for wrong in ({"ramp": lambda s: s, "angle": Parameter(0, 1, "", "")}, {"ramp": Ramp(1, 1), "angle": (0, 1)}):
        declare: Any = distortion
        with pytest.raises(ValueError, match=r"swirl: ramp must be a Ramp\(top, power\), and each parameter a"):
            declare(draw=lambda s, rng: {}, border="", **wrong)(swirl)


def test_mirrored_means_opencvs_reflect_101() -> None:
    row = np.array([[[10] * 3, [20] * 3, [30] * 3]], np.uint8)
    assert cv2.copyMakeBorder(row, 0, 0, 2, 0, cv2.BORDER_REFLECT_101)[0, :, 0].tolist() == [30, 20, 10, 20, 30]
    moved = find("shift").apply(row, np.random.default_rng(0), {"dx": 2, "dy": 0})
    assert moved[0, :, 0].tolist() == [30, 20, 10]
