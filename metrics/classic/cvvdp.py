"""ColorVideoVDP on still images: Mantiuk, Hanji, Ashraf, Asano and Chapiro, SIGGRAPH 2024, doi 10.1145/3658144.

Quality in just-objectionable-difference units (JOD: 10 for equal images, less for worse, under 0 for
unrelated ones) from a model of contrast sensitivity and masking. Computed by the authors' own package, cvvdp
0.5.3 or later (MIT; `pip install "bapps[cvvdp]"`), so this file only adapts it. The settings that change a
number:

distance    10 - JOD
display     the package's standard_4k by default: 30 inches, 3840x2160, 200 cd/m², 250 lux, seen from 0.75 m,
            75 pixels per degree; `cvvdp@standard_fhd` and the other variants name its other displays for
            standard range; a patch is taken to fill its own few pixels of that display
precision   float32, on the device of the setup

It is not symmetric: the first image is the reference. The smallest side is 4 pixels, the fewest that give
the package's pyramid a band. Large images are not shrunk first.
"""

import importlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bapps_builder.errors import MetricError
from metrics.metric import Images, Metric, Setup
from metrics.registry import Entry, register

DEFAULT_DISPLAY = "standard_4k"
DISPLAYS = (DEFAULT_DISPLAY, "standard_fhd", "standard_phone", "standard_hmd")
SMALLEST_SIDE = 4


class _Model:
    """The package's metric object as the middle step of a metric on uint8 images."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @torch.inference_mode()
    def distances(self, reference: Images, test: Images) -> NDArray[np.float64]:
        """10 - JOD of N pairs."""
        quality, _ = self.model.predict(test, reference, dim_order="BHWC")  # no axis for a single pair
        return 10 - torch.as_tensor(quality).double().reshape(len(reference)).cpu().numpy()


def _make(variant: str, setup: Setup) -> Metric:
    try:
        package = importlib.import_module("pycvvdp")
    except Exception as error:  # torchvision, which it imports, fails in ways of its own beside another torch
        reason = f"{type(error).__name__}: {error}"
        raise MetricError(f'metric cvvdp needs the package cvvdp ({reason}): pip install "bapps[cvvdp]"') from error
    display = variant or DEFAULT_DISPLAY
    model = package.cvvdp(display_name=display, heatmap=None, quiet=True, device=torch.device(setup.device))
    return Metric(
        name=f"cvvdp@{variant}" if variant else "cvvdp",
        description=f"10 - JOD of ColorVideoVDP, display {display}, by cvvdp; first image is reference",
        contrast=_Model(model).distances,
        smallest_side=SMALLEST_SIDE,
    )


register(
    Entry(
        name="cvvdp",
        summary=f"ColorVideoVDP, 10 - JOD on display {DEFAULT_DISPLAY}; @DISPLAY: another one",
        make=_make,
        variants=DISPLAYS,
        default=DEFAULT_DISPLAY,
    )
)
