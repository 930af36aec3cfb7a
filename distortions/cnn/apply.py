"""Patches through trained networks, in batches of one size, so that nothing depends on who is in a batch.

A convolution may be computed otherwise in a batch of another size and then differ in its last bits. So every batch
of patches has BATCH places, the last one filled up with zeros; what stands in the other places changes nothing. An
image larger than 256x256 pixels goes alone.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch

from bapps_builder.errors import DistortionError
from distortions.cnn.corruptions import corrupt
from distortions.cnn.generator import Generator, placed, to_patches, to_tensor
from distortions.cnn.memory import enough_memory
from distortions.cnn.plan import MULTIPLE
from distortions.cnn.zoo import Entry, Zoo
from distortions.distortion import Patch

BATCH = 8
_LARGE = 256 * 256  # pixels, above which an image goes alone
_SMALLEST = 2 * MULTIPLE  # the deepest layer keeps more than one pixel, which instance normalization needs


class Network:
    """A trained variant that patches can be put through.

    Raises
    ------
    DistortionError
        If the file is damaged or its tensors are not those of its row.
    """

    def __init__(self, entry: Entry) -> None:
        torch.set_num_threads(1)  # there is a process for each core
        self.variant = entry.variant
        tensors = {name: torch.from_numpy(array) for name, array in entry.tensors().items()}
        generator = Generator(entry.variant)
        counters = {name: x for name, x in generator.state_dict().items() if name.endswith("num_batches_tracked")}
        try:
            generator.load_state_dict({**tensors, **counters}, strict=True)
        except RuntimeError as error:
            raise DistortionError(
                f"{entry.path}: its tensors are not those of {entry.variant.name}; train it again: {error}"
            ) from error
        self.generator = placed(generator.eval().requires_grad_(False), "cpu")

    def __call__(self, patches: Sequence[Patch], rngs: Sequence[np.random.Generator]) -> list[Patch]:
        """Corrupt patches as in training and give what the network makes of them.

        Parameters
        ----------
        patches : sequence of uint8 arrays of shape (H, W, 3)
            All of one size. One that is no multiple of 16 or below 32 is mirrored at its edges up to the next.
        rngs : sequence of numpy Generator
            One for each patch; gives its corruption.

        Returns
        -------
        list of uint8 arrays of shape (H, W, 3)
        """
        height, width = patches[0].shape[:2]
        inputs = [
            _enlarged(corrupt(patch, self.variant.corruption, rng)) for patch, rng in zip(patches, rngs, strict=True)
        ]
        places = BATCH if height * width <= _LARGE else 1
        outputs: list[Patch] = []
        with enough_memory(DistortionError, f"{self.variant.name} on a patch of {width}x{height}"):
            for start in range(0, len(inputs), places):
                outputs += self._batch(inputs[start : start + places], places)
        return [patch[:height, :width] for patch in outputs]

    @torch.inference_mode()
    def _batch(self, inputs: Sequence[Patch], places: int) -> list[Patch]:
        filled = [*inputs, *[np.zeros_like(inputs[0])] * (places - len(inputs))]
        return list(to_patches(self.generator(to_tensor(filled)))[: len(inputs)])


def through_network(
    name: str, patches: Sequence[Patch], rngs: Sequence[np.random.Generator], *, zoo: Zoo, margin: int = 0
) -> list[Patch]:
    """Put patches of any sizes through a variant of a zoo.

    Parameters
    ----------
    name : str
    patches : sequence of uint8 arrays of shape (H, W, 3)
    rngs : sequence of numpy Generator, one for each
    zoo : Zoo
    margin : int
        Pixels at each side that belong to the photo around the patch. The network sees the patch without them, at
        the size it was trained for, as in the paper; afterwards its output is mirrored into them.
    """
    network = _network(zoo[name])
    outputs: dict[int, Patch] = {}
    for shape in dict.fromkeys(patch.shape for patch in patches):
        alike = [k for k, patch in enumerate(patches) if patch.shape == shape]
        inner = [_without(patches[k], margin) for k in alike]
        outputs.update(zip(alike, network(inner, [rngs[k] for k in alike]), strict=True))
    return [_mirrored(outputs[k], margin, margin, margin, margin) for k in range(len(patches))]


@lru_cache(maxsize=96)
def _network(entry: Entry) -> Network:
    return Network(entry)


def _without(patch: Patch, margin: int) -> Patch:
    height, width = patch.shape[:2]
    return patch[margin : height - margin, margin : width - margin]


def _enlarged(patch: Patch) -> Patch:
    """Mirrored beyond its right and lower edge to a size that every generator takes."""
    height, width = (max(_SMALLEST, -(-side // MULTIPLE) * MULTIPLE) for side in patch.shape[:2])
    return _mirrored(patch, 0, height - patch.shape[0], 0, width - patch.shape[1])


def _mirrored(patch: Patch, top: int, bottom: int, left: int, right: int) -> Patch:
    if not (top or bottom or left or right):
        return np.ascontiguousarray(patch)
    return np.asarray(cv2.copyMakeBorder(patch, top, bottom, left, right, cv2.BORDER_REFLECT_101), np.uint8)
