"""JND: two patches one after the other, each for a set time: are they the same or different?"""

from collection_app.tasks.jnd.checks import CHECKS
from collection_app.tasks.jnd.people import by_names, by_pixels, p_same
from collection_app.tasks.jnd.presets import OPEN_TO, PRESETS
from collection_app.tasks.task_module import TaskModule

TASK = TaskModule(
    name="jnd",
    package=__name__,
    question="same or different?",
    patch_sets="jnd",
    choices=("same", "different"),
    sided=False,
    timed=True,
    quotas={"train": "jnd", "val": "jnd"},
    checks=CHECKS,
    presets=PRESETS,
    p_first=p_same,
    by_pixels=by_pixels,
    by_names=by_names,
    open_to=OPEN_TO,
)
