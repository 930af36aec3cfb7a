"""Compression: through a real codec and back.

Name and family are of Zhang et al., CVPR 2018, Table 2; the strengths are this project's. No rng is used.
"""

import numpy as np

from bapps_builder.images.image_files import through_jpeg
from distortions.distortion import Parameter, Patch, Ramp, distortion

# From this quality up chroma is kept whole (4:4:4), as common encoders do; below, it is halved (4:2:0).
_WHOLE_CHROMA = 90


@distortion(
    ramp=Ramp(90, 0.65),
    draw=lambda strength, rng: {"quality": round(100 - strength)},
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
        In [1, 100]. Severity s gives 100 - 90 s^.65, rounded: JPEG knows no finer steps.

    References
    ----------
    ITU-T Recommendation T.81; the scale of quality is that of the Independent JPEG Group's libjpeg.
    """
    return through_jpeg(patch, quality=quality, chroma_subsampling=quality < _WHOLE_CHROMA)
