"""Smaller planes stand where MATLAB's functions put them."""

import pytest
import torch

from metrics.image_math.channels import block_means, shrunk


def test_block_means_stand_where_a_same_convolution_puts_them() -> None:
    plane = torch.arange(7.0).expand(1, 1, 7, 7)
    # MATLAB: conv2([0 1 2 3 4 5 6], [1 1] / 2, 'same') is .5 1.5 2.5 3.5 4.5 5.5 3, of which every second stays.
    assert block_means(plane, 2)[0, 0, 0].tolist() == [0.5, 2.5, 4.5, 3.0]
    # conv2(..., [1 1 1] / 3, 'same') is 1/3 1 2 3 4 5 11/3.
    assert block_means(plane, 3)[0, 0, 1].tolist() == pytest.approx([1 / 3, 3, 11 / 3])


@pytest.mark.parametrize(("side", "expected"), [(64, 64), (383, 383), (384, 192), (513, 257), (640, 214)])
def test_shrinks_from_384_pixels(side: int, expected: int) -> None:
    assert shrunk(torch.zeros(1, 1, side, side + 10)).shape[2] == expected
