"""What can go wrong through the user's input, as one tree.

BappsError
├── ImageError      a file that is no readable image, or has the wrong size
├── DatasetError    a dataset, set or table that is missing, incomplete or out of range
├── MetricError     an unknown metric, or one that failed or returned what is no distance
├── WeightsError    weights that cannot be obtained, or are not the ones they should be
├── DistortionError an unknown distortion, a recipe that does not parse, or a value out of range
├── TrainingError   a training that cannot begin, or be continued (defined in metrics.training.recipe)
├── PatchSetError   a patch set that is missing, incomplete, or was made with other settings
└── DownloadError   a file that could not be fetched, or is not the one announced

Every message is one line: what, what was found, what was wanted, what to do. The commands print it
and end with exit status 2; anything else that is raised is a defect of ours.
"""


class BappsError(ValueError):
    """Input that cannot be worked with. The message is one line, made for the user.

    Examples
    --------
    >>> import bapps
    >>> try:
    ...     bapps.load_metric("lpips-vgg16")
    ... except bapps.BappsError as error:
    ...     print(error)
    unknown metric 'lpips-vgg16'; did you mean lpips-vgg, lpips-vgg@0.1, lpips-vgg@0.0?
    """


class ImageError(BappsError):
    """A file that is no readable image, or has the wrong size."""


class DatasetError(BappsError):
    """A dataset, set or table that is missing, incomplete or out of range."""


class MetricError(BappsError):
    """An unknown metric, or one that failed or returned what is no distance."""


class WeightsError(BappsError):
    """Weights that cannot be obtained, or are not the ones they should be."""


class DownloadError(BappsError):
    """A file that could not be fetched, or is not the one announced."""


class DistortionError(BappsError):
    """An unknown distortion, a recipe that does not parse, or a value out of range."""


class PatchSetError(BappsError):
    """A patch set that is missing, incomplete, or was made with other settings."""


class Notice(UserWarning):
    """What must be known about input that could be worked with, one line; commands print it, others see a warning."""
