"""What people are asked: one folder a task, found by itself.

A task's folder holds all that is its own: what it is (`TASK`, a `TaskModule`), its page, script and texts.
"""

import importlib
import pkgutil
from functools import cache

from collection_app.tasks.task_module import TaskModule


@cache
def tasks() -> dict[str, TaskModule]:
    """Every task by its name: the `TASK` of each folder in this one."""
    folders = [module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.") if module.ispkg]
    tasks_of_folders = [importlib.import_module(folder).TASK for folder in folders]
    return {task.name: task for task in sorted(tasks_of_folders, key=lambda task: task.name)}


def task_of(name: str) -> TaskModule:
    """The task of a name; KeyError if there is none."""
    return tasks()[name]
