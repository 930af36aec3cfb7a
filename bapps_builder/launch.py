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


distance = _launcher("metrics.cli", "distance")
score = _launcher("analysis.cli", "score")
weights = _launcher("metrics.cli", "weights")
