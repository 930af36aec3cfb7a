"""What the figures of a report draw, read back from matplotlib: numbers at their places, names as they are."""

import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.report import figures
from analysis.report.figures import Bar, Panel

NAN = math.nan


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def ends(axes: Axes) -> list[tuple[float, float]]:
    """Where each bar begins and ends."""
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]  # pyrefly: ignore[missing-attribute]


def lines(axes: Axes, style: str) -> list[list[float]]:
    return [np.asarray(line.get_xdata(), float).tolist() for line in axes.lines if line.get_linestyle() == style]


@pytest.mark.parametrize(("chance", "start"), [(0.5, 50), (None, 0)])
def test_a_bar_goes_from_chance_to_the_score_and_has_its_interval(chance: float | None, start: float) -> None:
    panel = Panel("val/cnn", [Bar("a", 0.8, 0.75, 0.85), Bar("b", 0.4, NAN, NAN)], {"two people": 0.82})
    axes = drawn(figures.bars([panel], chance=chance, axis="score")).axes[0]
    assert ends(axes) == [pytest.approx((start, 80)), pytest.approx((start, 40))]
    assert lines(axes, "-") == [pytest.approx([75, 85])]  # none without an interval
    assert lines(axes, "None") == [pytest.approx([75, 85])]  # the marks at its ends
    assert lines(axes, "--") == [pytest.approx([82, 82])]
    assert axes.get_xlim() == pytest.approx((min(start, 40), 86))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [bar.get_y() + bar.get_height() / 2 for bar in axes.patches] == [0, 1]  # pyrefly: ignore[missing-attribute]
    top, bottom = axes.get_ylim()[::-1]
    assert top < 0 < 1 < bottom


@pytest.mark.parametrize(
    ("count", "down", "across"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 2), (5, 2, 3), (6, 2, 3), (7, 3, 3)]
)
def test_panels_stand_in_rows_and_share_their_axis(count: int, down: int, across: int) -> None:
    panels = [Panel(f"set {k}", [Bar("a", 0.5 + 0.05 * k, NAN, NAN)], {}) for k in range(count)]
    figure = drawn(figures.bars(panels, chance=0.5, axis="score"))
    grid = figure.axes[0].get_subplotspec()
    assert grid is not None
    assert grid.get_gridspec().get_geometry() == (down, across)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown] == [f"set {k}" for k in range(count)]
    widest = max(51, 100 * (0.5 + 0.05 * (count - 1))) + 1
    assert [axes.get_xlim() for axes in shown] == [pytest.approx((50, widest))] * count


def test_tasks_are_points_whose_names_stand_inside() -> None:
    pairs = [("left", 0.6, 0.5), ("m" * 10 + "x" * 10 + "n" * 12, 0.7, 0.55), ("right", 0.8, 0.4)]
    axes = drawn(figures.tasks(pairs, correlation=0.8765)).axes[0]
    points = np.asarray(axes.collections[0].get_offsets(), float)
    np.testing.assert_allclose(points, [(60, 50), (70, 55), (80, 40)])
    assert axes.get_title(loc="left") == "r = 0.876 over 3 metrics"
    texts = {text.get_text(): text for text in axes.texts}
    assert list(texts) == ["left", "m" * 10 + "…" + "n" * 12, "right"]
    inverse = axes.transData.inverted()
    boxes = [text.get_window_extent().transformed(inverse) for text in texts.values()]
    assert boxes[0].x0 > 60  # beside its point, on the side where there is room
    assert boxes[2].x1 < 80


def test_weights_are_sorted_layer_by_layer() -> None:
    figure = drawn(figures.weights([np.array([0.1, 0.5, 0.0]), np.array([[0.2], [0.7]])], title="mine"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["layer 1", "layer 2"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["3 channels\n2 above 0", "2 channels\n2 above 0"]
    [area] = figure.axes[0].collections[0].get_paths()
    for channel, weight in enumerate([0.5, 0.1]):
        assert area.contains_point((channel + 0.1, weight - 0.01))
        assert not area.contains_point((channel + 0.1, weight + 0.01))


@pytest.mark.parametrize(
    ("name", "shown"), [("n" * 24, "n" * 24), ("n" * 25, "n" * 10 + "…" + "n" * 12), ("a$b", r"a\$b")]
)
def test_long_names_are_cut_and_none_is_mathematics(name: str, shown: str) -> None:
    axes = drawn(figures.bars([Panel("x", [Bar(name, 0.6, NAN, NAN)], {})], chance=None, axis="score")).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [shown]


@pytest.mark.parametrize(
    ("sets", "metrics", "size"),
    [(1, 1, (4.2, 1.94)), (2, 2, (7.5, 1.94)), (3, 10, (10.8, 4.1)), (4, 10, (7.5, 7.8)), (7, 3, (10.8, 5.83))],
)
def test_bars_have_room_for_every_set_and_metric(sets: int, metrics: int, size: tuple[float, float]) -> None:
    """In inches: .27 a metric, at least two, and 1.4 for titles and the axis."""
    panels = [Panel(f"{k}", [Bar(f"m{m}", 0.6, NAN, NAN) for m in range(metrics)], {}) for k in range(sets)]
    figure = figures.bars(panels, chance=0.5, axis="score")
    assert tuple(figure.get_size_inches()) == pytest.approx(size)


def test_the_other_figures_are_as_large_as_a_page_has_room_for() -> None:
    tasks = figures.tasks([("a", 0.6, 0.5), ("b", 0.7, 0.6)], correlation=1)
    assert tuple(tasks.get_size_inches()) == pytest.approx((5.2, 4))
    five = figures.weights([np.ones(3)] * 5, title="mine")
    assert tuple(five.get_size_inches()) == pytest.approx((9.35, 2.2))
