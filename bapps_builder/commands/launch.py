"""Where the installed commands start: check that the packages are ours, then run the command.

A foreign package of the same name would fail an import with a riddle, so nothing but this floor is
imported before the check. The commands are named, not imported: this floor knows no other.
"""

import importlib
import sys
from collections.abc import Callable

import click

from bapps_builder.commands.console import BadInput
from bapps_builder.packages import ForeignPackage, check_packages

# Name of each command's function here: where its click command is.
COMMANDS = {
    "build": ("bapps_builder.commands.bapps_build", "build"),
    "collect": ("collection_app.commands.bapps_collect", "collect"),
    "consistency": ("analysis.commands.consistency", "consistency"),
    "distance": ("metrics.commands.distance", "distance"),
    "distort": ("distortions.commands.bapps_distort", "distort"),
    "mos": ("analysis.commands.mos", "mos"),
    "report": ("analysis.commands.report", "report"),
    "score": ("analysis.commands.score", "score"),
    "train": ("metrics.commands.train", "train"),
    "weights": ("metrics.commands.weights", "weights"),
}


def _launcher(name: str) -> Callable[[], None]:
    def launch() -> None:
        try:
            check_packages()
        except ForeignPackage as error:
            BadInput(str(error)).show()
            sys.exit(BadInput.exit_code)
        module, attribute = COMMANDS[name]
        command = getattr(importlib.import_module(module), attribute)
        click.version_option(package_name="bapps", prog_name=f"bapps-{name}")(command)()

    return launch


build = _launcher("build")
collect = _launcher("collect")
consistency = _launcher("consistency")
distance = _launcher("distance")
distort = _launcher("distort")
mos = _launcher("mos")
report = _launcher("report")
score = _launcher("score")
train = _launcher("train")
weights = _launcher("weights")
