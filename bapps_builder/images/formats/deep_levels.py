"""Levels of more than 8 bits, as OpenCV decodes them: TIFF, AVIF, JPEG 2000 and PPM.

Pillow would cut them to 8. What OpenCV is known to read wrongly is refused instead.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from bapps_builder.errors import ImageError
from bapps_builder.images.orientation import Levels

# To RGB from OpenCV's order, by the number of channels.
_ORDERS = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}
_opencv_settings = threading.Lock()


def deep_levels(data: bytes, *, channels: int, kind: type, name: str, what: str) -> Levels:
    """Decode to levels (H, W, channels) of type `kind`, as they are kept.

    Parameters
    ----------
    data : bytes
    channels : int
        1, 3 or 4: what the file's header says.
    kind : type
        np.uint16 or np.float32: the same.
    name, what : str
        What an error calls the file and its format.

    Raises
    ------
    ImageError
        If the file is damaged, or comes out in another form than its header says.
    """
    try:
        with _quiet():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{name}: not a readable image: {' '.join(error.err.split())}") from error
    if image is None:
        raise ImageError(f"{name}: not a readable image: {what} that is damaged, or of a kind that cannot be decoded")
    levels = np.asarray(image)[..., None] if image.ndim == 2 else np.asarray(image)
    if levels.dtype != kind or levels.shape[2] != channels:
        raise ImageError(f"{name}: {what} that cannot be decoded as it is; convert it to 8 bits first")
    return np.ascontiguousarray(levels[..., _ORDERS[channels]])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's lines on damaged files to ourselves; one thread at a time, since its level is shared."""
    logging = cv2.utils.logging
    with _opencv_settings:
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            logging.setLogLevel(level)
