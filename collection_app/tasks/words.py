"""What study files and messages may say of tasks, as types: known once every task has been found."""

from typing import TYPE_CHECKING, Literal

from collection_app.tasks import tasks

if TYPE_CHECKING:
    TaskName = Choice = str
else:
    TaskName = Literal[tuple(tasks())]
    Choice = Literal[tuple(word for task in tasks().values() for word in task.choices)]
