"""Perceptual similarity from Python: metrics, losses, scores against people's judgments, distortions, datasets.

>>> import bapps
>>> bapps.load_metric("ssim").name
'ssim'

Names are imported when they are first used, so `import bapps` takes no time. All else, in the packages `bapps_builder`,
`metrics`, `distortions`, `collection_app` and `analysis`, is internal and may change without notice.
"""

import importlib.metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Somebody's file of the name of one of our packages would fail an import with a riddle, so this comes first.
_home, _base = Path(__file__).resolve().parents[1], find_spec("bapps_builder")
if _base is None or _base.origin is None or _home not in Path(_base.origin).resolve().parents:
    raise ImportError(
        f"the package 'bapps_builder' is loaded from {_base.origin if _base else 'nowhere'}, not from {_home}: rename "
        "it, or keep the folder it is in off the search path, as `python -P` does for that of a script"
    )

from bapps_builder.packages import check_packages  # noqa: E402

check_packages()

# Where each name is defined.
_PLACES = {
    **dict.fromkeys(("build", "consistency", "read_dataset", "score", "verify"), "bapps.datasets"),
    **dict.fromkeys(
        ("distance", "distort", "generate", "list_distortions", "list_metrics", "load_metric", "loss"), "bapps.images"
    ),
    "BappsError": "bapps_builder.errors",
    "LPIPS": "metrics.deep.lpips",
    "Metric": "metrics.metric",
    "parse_recipe": "distortions.recipes:parse",
}

# Type checkers see plain imports, a running program the function below.
if TYPE_CHECKING:
    from bapps.datasets import build, consistency, read_dataset, score, verify
    from bapps.images import distance, distort, generate, list_distortions, list_metrics, load_metric, loss
    from bapps_builder.errors import BappsError
    from distortions.recipes import parse as parse_recipe
    from metrics.deep.lpips import LPIPS
    from metrics.metric import Metric

    __version__: str
else:

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return importlib.metadata.version("bapps")
        if name not in _PLACES:
            raise AttributeError(f"module 'bapps' has no attribute {name!r}; it has {', '.join(__all__)}")
        module, _, other = _PLACES[name].partition(":")
        globals()[name] = value = getattr(importlib.import_module(module), other or name)
        return value


__all__ = [
    "LPIPS",
    "BappsError",
    "Metric",
    "__version__",
    "build",
    "consistency",
    "distance",
    "distort",
    "generate",
    "list_distortions",
    "list_metrics",
    "load_metric",
    "loss",
    "parse_recipe",
    "read_dataset",
    "score",
    "verify",
]


def __dir__() -> list[str]:
    return sorted(__all__)
