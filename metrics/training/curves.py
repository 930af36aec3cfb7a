"""The picture of a run: loss and 2AFC score over epochs."""

from pathlib import Path

from bapps_builder.files.atomic import replaced_whole
from metrics.training.loop import Epoch


def draw_curves(log: tuple[Epoch, ...], val: tuple[str, ...], target: Path) -> None:
    """Write the curves of a run as a PNG.

    Parameters
    ----------
    log : epochs done
    val : labels of the validation sets
    target : Path
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no display, and no state shared with the caller
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    loss, score = figure.subplots(1, 2)
    epochs = [each.number for each in log]
    loss.plot(epochs, [each.loss for each in log], marker="o", color="0.3")
    loss.set(xlabel="epoch", ylabel="cross entropy", title="loss on the training items")
    score.plot(epochs, [100 * each.train for each in log], marker="o", color="0.3", linestyle=":", label="training")
    for k, label in enumerate(val):
        score.plot(epochs, [100 * each.val[k] for each in log], marker="o", label=label)
    score.set(xlabel="epoch", ylabel="2AFC (%)", title="agreement with people")
    score.legend(frameon=False, fontsize="small")
    for axes in (loss, score):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    with replaced_whole(target) as temporary:
        canvas.print_png(str(temporary))
