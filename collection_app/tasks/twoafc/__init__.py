"""2AFC: which of two patches is closer to the reference?"""

from collection_app.tasks.task_module import TaskModule
from collection_app.tasks.twoafc.checks import CHECKS
from collection_app.tasks.twoafc.people import by_names, by_pixels, p_left
from collection_app.tasks.twoafc.presets import OPEN_TO, PRESETS

TASK = TaskModule(
    name="2afc",
    package=__name__,
    question="which is closer to the reference?",
    patch_sets="2afc",
    choices=("left", "right"),
    sided=True,
    timed=False,
    quotas={"train": "train", "val": "val"},
    checks=CHECKS,
    presets=PRESETS,
    p_first=p_left,
    by_pixels=by_pixels,
    by_names=by_names,
    open_to=OPEN_TO,
    looked=True,
)
