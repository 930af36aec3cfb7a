"""What study files and messages may say of tasks, as types: known once every task has been found."""

from typing import TYPE_CHECKING, Literal

from collection_app.tasks import tasks

if TYPE_CHECKING:
    TaskName = Choice = SentinelName = str
else:
    TaskName = Literal[tuple(tasks())]
    Choice = Literal[tuple(word for task in tasks().values() for word in task.choices)]
    SentinelName = Literal[tuple(check.name for task in tasks().values() for check in task.checks if check.sentinel)]


def sentinel_meanings() -> str:
    """What each check is as a sentinel, for who writes a study file."""
    return "; ".join(
        f"{check.name} ({name.upper()}): {check.sentinel}"
        for name, task in tasks().items()
        for check in task.checks
        if check.sentinel
    )


def training_settings() -> dict[str, str]:
    """The settings that say how many training items of a check there are, with what each means."""
    return {check.training: check.trained for task in tasks().values() for check in task.checks if check.training}
