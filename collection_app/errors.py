"""The error of everything that has to do with a study."""

from bapps_builder.errors import BappsError


class StudyError(BappsError):
    """A study file, or a study in a database, that cannot be worked with."""
