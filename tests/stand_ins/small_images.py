"""Small images of noise in files, and commands that take them."""

from pathlib import Path

import click
import numpy as np
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from bapps_builder.images.image_files import encode_png

Pixels = NDArray[np.uint8]


def noise(seed: int, height: int = 16, width: int = 16) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path: Path, image: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(image))
    return path


def run(command: click.Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])
