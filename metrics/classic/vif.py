"""Visual information fidelity: Sheikh and Bovik, IEEE TIP 2006, doi 10.1109/TIP.2005.859378.

This is the authors' pixel-domain form (VIFp, their `vifp_mscale`), not the wavelet form of the paper. The
settings that change a number:

input       luma 0.299 R + 0.587 G + 0.114 B (BT.601, not rounded), values in 0 to 255
scales      4; from the second on, the image is windowed and every second pixel kept
window      Gaussian of side N = 17, 9, 5, 3 and sigma N / 5, windows inside the image only
noise       variance of the visual noise 2
guard       variances under 1e-10 count as none; the noise of the distortion is at least 1e-10

It is not symmetric: the first image is the reference, and VIF is the share of the information in it that
the second still carries. It is blind to a constant added to an image, and a rise in contrast takes it over
1, so that the distance 1 - VIF is negative there. A reference without any variance carries no information,
and the authors' quotient is 0 / 0: here VIF is 1 if the other image has no variance either, and 0 if it has.
The smallest side is 41 pixels: fewer leave no window at the fourth scale. Large images are not shrunk first.
All arithmetic is in float64.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metrics.image_math.channels import LUMA, in_levels
from metrics.image_math.tensors import check_unit_pair
from metrics.image_math.torch_threads import contrast, embedding
from metrics.image_math.windows import gaussian_window, windowed
from metrics.metric import Metric
from metrics.registry import register_metric

SMALLEST_SIDE = 41
NOISE = 2.0
_NONE = 1e-10
_WINDOWS = tuple(gaussian_window(side, side / 5).taps for side in (17, 9, 5, 3))


class Scale(NamedTuple):
    """One scale of N images: the images (N, h, w) and their local means and variances (N, h', w')."""

    images: Tensor
    means: Tensor
    variances: Tensor


def vif_similarity(reference: Tensor, distorted: Tensor) -> Tensor:
    """VIFp per image, differentiable; not symmetric.

    Parameters
    ----------
    reference, distorted : float tensors of shape (N, 3, H, W), RGB in [0, 1]
        H and W at least 41.

    Returns
    -------
    float64 tensor of shape (N,), at least 0, 1 for equal images

    Raises
    ------
    MetricError
        If the two are no such pair.
    """
    check_unit_pair("vif", reference, distorted, smallest_side=SMALLEST_SIDE)
    return shared_information(scales(reference), scales(distorted))


def vif_distance(reference: Tensor, distorted: Tensor) -> Tensor:
    """1 - `vif_similarity`."""
    return 1 - vif_similarity(reference, distorted)


def scales(images: Tensor) -> list[Scale]:
    """The four scales of images (N, 3, H, W) in [0, 1]."""
    planes = in_levels(images.double(), [LUMA])[:, 0]
    # Neither variance nor covariance knows the mean, and they round better without it.
    planes = planes - planes.mean((1, 2), keepdim=True)
    result = []
    for taps in _WINDOWS:
        if result:
            planes = windowed(planes, taps)[:, ::2, ::2]
        means, squares = windowed(torch.stack((planes, planes**2)), taps)
        result.append(Scale(planes, means, (squares - means**2).clamp(min=0)))
    return result


def shared_information(reference: list[Scale], distorted: list[Scale]) -> Tensor:
    """VIFp from the scales of reference and distorted images: (N,)."""
    information = torch.zeros((), dtype=torch.float64)
    available = torch.zeros((), dtype=torch.float64)
    varies = torch.zeros((), dtype=torch.bool)
    for x, y, taps in zip(reference, distorted, _WINDOWS, strict=True):
        covariance = windowed(x.images * y.images, taps) - x.means * y.means
        # The distortion is modelled as y = gain x + noise; a negative gain carries nothing.
        explained = (covariance > 0) & (x.variances >= _NONE) & (y.variances >= _NONE)
        gain = torch.where(explained, covariance / (x.variances + _NONE), 0.0)
        noise = (y.variances - gain * covariance).clamp(min=_NONE)
        signal = torch.where(x.variances >= _NONE, x.variances, 0.0)
        information = information + torch.log1p(gain**2 * signal / (noise + NOISE)).sum((1, 2))
        available = available + torch.log1p(signal / NOISE).sum((1, 2))
        varies = varies | (y.variances >= _NONE).any(2).any(1)
    informative = available > 0
    quotient = information / torch.where(informative, available, 1.0)
    return torch.where(informative, quotient, (~varies).double())


VIF = register_metric(
    Metric(
        concurrent=True,
        name="vif",
        description="1 - VIF, pixel domain, 4 scales, noise variance 2, BT.601 luma 0 to 255; first image is reference",
        embed=embedding(scales),
        contrast=contrast(shared_information),
        head=lambda similarity: 1 - similarity,
        smallest_side=SMALLEST_SIDE,
        make_loss=lambda: vif_distance,
    )
)
