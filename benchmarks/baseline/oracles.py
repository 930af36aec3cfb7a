"""Other packages' versions of the low-level metrics, one pair at a time, to check ours against and time them.

piq cannot stand in the development environment, as it asks for torchvision. Only files of it are imported that
do without, so `pip install --no-deps` is enough.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metrics.classic.ms_ssim import WEIGHTS
from metrics.image_math.channels import LUMA

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Oracle:
    """A metric of another package.

    Attributes
    ----------
    metric : str
        Our name of it.
    package : str
    distance : callable
        Two prepared images, the reference first, to a number that compares with our distance.
    prepare : callable
        What turns an image into what `distance` takes; not part of its time.
    within : float
        How near the two distances must come.
    differs : str
        What their definition has different from ours; nothing if it is the same.
    """

    metric: str
    package: str
    distance: Callable[[Any, Any], float]
    prepare: Callable[[Image], Any]
    within: float
    differs: str = ""


def oracles(repository: Path) -> dict[str, Callable[[], Oracle]]:
    """By the name of our metric; making one raises ImportError where its package is absent."""
    return {
        "fsim": lambda: _piq(
            "fsim",
            "fsim",
            within=2e-4,
            differs="lower of two medians; the rest untraced",
            similarity=True,
            chromatic=False,
        ),
        "fsimc": lambda: _piq(
            "fsimc",
            "fsim",
            within=2e-3,
            differs="as fsim; absolute value of negative colour similarity",
            similarity=True,
        ),
        "gmsd": lambda: _piq("gmsd", "gmsd", within=5e-4, differs="deviation over n, not n - 1"),
        "vsi": lambda: _piq("vsi", "vsi", within=3e-2, differs="resizing and white point of saliency", similarity=True),
        "mdsi": lambda: _piq("mdsi", "mdsi", within=1e-4, differs="the distorted image comes first", swapped=True),
        "haarpsi": lambda: _piq("haarpsi", "haarpsi", within=2e-3, differs="YIQ with a digit more", similarity=True),
        "ms-ssim-3": lambda: _piq(
            "ms-ssim-3",
            "ms_ssim",
            "multi_scale_ssim",
            within=1e-4,
            differs="float32; pytorch-msssim refuses images under 161 pixels",
            similarity=True,
            scale_weights=torch.tensor(WEIGHTS[3]),
        ),
        "vif": _sewar,
        "nlpd": lambda: _slow_nlpd(repository),
    }


def _piq(
    metric: str,
    module: str,
    function: str = "",
    *,
    within: float,
    differs: str = "",
    similarity: bool = False,
    swapped: bool = False,
    **settings: Any,
) -> Oracle:
    index = getattr(_module_of_piq(module), function or module)

    @torch.inference_mode()
    def distance(a: torch.Tensor, b: torch.Tensor) -> float:
        value = float(index(*((b, a) if swapped else (a, b)), data_range=1.0, **settings))
        return 1 - value if similarity else value

    return Oracle(metric, "piq", distance, _unit_tensor, within, differs)


def _module_of_piq(name: str) -> ModuleType:
    """A file of piq without the package's own `__init__`, which imports torchvision."""
    if "piq" not in sys.modules:
        spec = importlib.util.find_spec("piq")
        if spec is None:
            raise ImportError("no piq: pip install --no-deps piq==0.8.0")
        package = ModuleType("piq")
        package.__path__ = list(spec.submodule_search_locations or [])
        sys.modules["piq"] = package
    return importlib.import_module(f"piq.{name}")


def _unit_tensor(image: Image) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float().div(255).contiguous()[None]


def _sewar() -> Oracle:
    try:
        vifp = importlib.import_module("sewar").vifp
    except ImportError as error:
        raise ImportError("no sewar: pip install sewar==0.4.10") from error
    return Oracle("vif", "sewar", lambda a, b: 1 - float(vifp(a, b)), lambda image: image @ LUMA, within=1e-8)


def _slow_nlpd(repository: Path) -> Oracle:
    """No package offers it for 64 pixels: the plain convolutions of its test instead."""
    path = repository / "tests" / "metrics" / "test_nlpd.py"
    spec = importlib.util.spec_from_file_location("slow_nlpd", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Oracle("nlpd", "its test", module.by_hand, lambda image: image, within=1e-9, differs="no package has it")
