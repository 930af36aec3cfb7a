"""Compression: through a real codec and back.

Name and family are of Zhang et al., CVPR 2018, Table 2; the strengths are this project's. No rng is used.
"""

import numpy as np

from bapps_builder.images.image_files import through_jpeg
from distortions.distortion import Parameter, Patch, Ramp, distortion

# From this quality up chroma is kept whole (4:4:4), as common encoders do; below, it is halved (4:2:0).
_WHOLE_CHROMA = 90


def _quality(coarseness: float) -> int:
    """The quality at which libjpeg takes so many percent of the quantisation tables of the standard."""
    return round(100 - coarseness / 2 if coarseness < 100 else 5000 / coarseness)


@distortion(
    ramp=Ramp(520, 1.7),
    draw=lambda strength, rng: {"quality": _quality(strength)},
    border="the encoder fills up its last blocks",
    quality=Parameter(1, 100, "", "of the encoder", whole=True),
)
def jpeg(patch: Patch, rng: np.random.Generator, *, quality: int) -> Patch:
    """Compress as JPEG (libjpeg-turbo; 4:4:4 from quality 90 up, 4:2:0 below) and decompress.

    Parameters
    ----------
    patch : uint8 array of shape (H, W, 3)
    rng : numpy Generator
    quality : int
        In [1, 100]. The strength is a share of the standard's quantisation tables, in percent, of which
        this is the quality, rounded: JPEG knows no finer steps.

    References
    ----------
    ITU-T Recommendation T.81; the scale of quality is that of the Independent JPEG Group's libjpeg.
    """
    return through_jpeg(patch, quality=quality, chroma_subsampling=quality < _WHOLE_CHROMA)
