"""2AFC: which of two patches is closer to the reference?"""

from collection_app.tasks.task_module import TaskModule

TASK = TaskModule(name="2afc", package=__name__)
