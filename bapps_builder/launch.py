"""Where the installed commands start: check that the packages are ours, then run the command.

A foreign package of the same name would fail an import with a riddle, so nothing but this floor is
imported before the check. The commands are named, not imported: this floor knows no other.
"""

import importlib
import sys
from collections.abc import Callable

from bapps_builder.console import BadInput, check_packages


def _launcher(module: str, command: str) -> Callable[[], None]:
    def launch() -> None:
        try:
            check_packages()
        except BadInput as error:
            error.show()
            sys.exit(error.exit_code)
        getattr(importlib.import_module(module), command)()

    return launch


build = _launcher("bapps_builder.cli", "build")
collect = _launcher("collection_app.cli", "collect")
consistency = _launcher("analysis.consistency_cli", "consistency")
distance = _launcher("metrics.cli", "distance")
distort = _launcher("distortions.cli", "distort")
mos = _launcher("analysis.mos_cli", "mos")
report = _launcher("analysis.report_cli", "report")
score = _launcher("analysis.cli", "score")
train = _launcher("metrics.training.cli", "train")
weights = _launcher("metrics.cli", "weights")
