"""The learned weights of LPIPS metrics, for the figure of them (the paper's Figure 10)."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.weights.readers import read_tensors, weight_file
from metrics.weights.store import WeightStore

_NAME = re.compile(r"lpips-(?P<net>alex|vgg|squeeze)(?:@(?P<version>[0-9.]+))?")
_KEY = re.compile(r"lin(?P<layer>\d+)\.model\.1\.weight")


def learned_weights(
    names: Sequence[str], folder: Path | None
) -> tuple[dict[str, list[NDArray[np.floating]]], list[str]]:
    """Weights of each layer of the metrics that have some, and the names of those whose file is not here.

    Nothing is fetched: a report must not depend on a network.
    """
    store = WeightStore(folder)
    of_metrics, absent = {}, []
    for name in dict.fromkeys(names):
        if match := _NAME.fullmatch(name):
            record = f"lpips-{match['net']}-{match['version'] or '0.1'}"
            if store.locate(record) is None:
                absent.append(name)
            else:
                of_metrics[name] = _layers(store.load(record).tensors)
        elif name.startswith("lpips:"):
            path = weight_file(Path(name.removeprefix("lpips:")).expanduser())
            if path.is_file():
                of_metrics[name] = _layers(read_tensors(path))
            else:
                absent.append(name)
    return {name: layers for name, layers in of_metrics.items() if layers}, absent


def _layers(tensors: Mapping[str, NDArray[np.floating]]) -> list[NDArray[np.floating]]:
    layers = {int(match["layer"]): value for key, value in tensors.items() if (match := _KEY.fullmatch(key))}
    return [layers[layer].ravel() for layer in sorted(layers)]
