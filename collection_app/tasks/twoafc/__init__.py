"""2AFC: which of two patches is closer to the reference?"""

from collection_app.tasks.task_module import TaskModule
from collection_app.tasks.twoafc.checks import CHECKS
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
    open_to=OPEN_TO,
)
