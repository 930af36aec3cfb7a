"""What is kept of a training: the generator with where it comes from, and a sheet of what it makes."""

import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import save

from bapps_builder.files.atomic import replaced_whole
from bapps_builder.images.image_files import encode_png
from distortions.cnn.streaming import Examples
from distortions.cnn.training import Learner, Quality
from distortions.cnn.zoo import KEY
from metrics.training.recipe import TrainingError
from metrics.weights.readers import tensors_digest

_ON_SHEET = 10  # patches
_COUNTER = "num_batches_tracked"  # of batch normalization, which uses it in training alone


class Diverged(TrainingError):
    """A training whose losses are not numbers any more, or which did not learn."""


def keep(
    learner: Learner, target: Path, about: Mapping[str, Any], *, first: Quality, first_step: int, test: Examples
) -> None:
    """Measure a trained generator on held-out examples, and write its file and its sheet.

    Parameters
    ----------
    learner : Learner
    target : Path
        The sheet lies beside it, as PNG.
    about : mapping
        What the file says besides.
    first : Quality
        As it was at an earlier step, `first_step`.
    test : Examples

    Raises
    ------
    Diverged
        If a weight is not a number, or the generator has not become better. Nothing is written.
    TrainingError
        If the files cannot be written.
    """
    name = learner.variant.name
    if learner.training.half:
        learner.round_to_half()
    if not learner.is_finite():
        raise Diverged(f"{name}: a weight is not a number; nothing of it is kept")
    last = learner.quality(test, with_lpips=True)
    if learner.training.steps > first_step and last.l1 >= first.l1:
        raise Diverged(
            f"{name}: learned nothing: held-out l1 is {last.l1:.4f} and was {first.l1:.4f} after {first_step} "
            "steps; nothing of it is kept"
        )
    held_out = {"after_step": first_step, "first": asdict(first), "last": asdict(last)}
    rows = (test.clean, test.corrupted, learner.outputs(test.corrupted))
    with writing(target), replaced_whole(target.with_suffix(".png")) as temporary:
        temporary.write_bytes(encode_png(sheet(rows)))
    write_generator(learner, target, {**about, "held_out": held_out})


def write_generator(learner: Learner, target: Path, about: Mapping[str, Any]) -> None:
    """Write a generator as a file of a zoo, with what it says about itself."""
    kind = torch.float16 if learner.training.half else torch.float32
    tensors = {
        name: value.detach().cpu().contiguous().to(kind)
        for name, value in learner.generator.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    content = {
        **about,
        "tensors_sha256": tensors_digest({name: value.float().numpy() for name, value in tensors.items()}),
        "vgg16_sha256": learner.features and learner.features.sha256,
        "versions": {
            "bapps": importlib.metadata.version("bapps"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
        "device": str(learner.device),
    }
    with writing(target), replaced_whole(target) as temporary:
        # One entry: safetensors writes several in an order that changes from call to call.
        temporary.write_bytes(save(tensors, {KEY: json.dumps(content, sort_keys=True)}))


def sheet(rows: Sequence[np.ndarray]) -> np.ndarray:
    """The first patches of some batches, uint8 (N, H, W, 3), a batch in a row, each pixel twice as large."""
    whole = np.concatenate([np.concatenate(list(row[:_ON_SHEET]), 1) for row in rows])
    return whole.repeat(2, 0).repeat(2, 1)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what is left when a file cannot be written, as on a full disk."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot be written: {error.strerror or error}; the last checkpoint stays, make room and give the "
            "same command again"
        ) from error
