"""The official release of BAPPS: how many items and answers its sets have.

Source: Zhang et al., CVPR 2018, arXiv 1801.03924, Table 2 and appendix. Training sets and JND are given there to
the hundred.
"""

from dataclasses import dataclass

# Sides of the official files: patches of 64x64 enlarged, and a few of 63x63.
FILE_SIDE, SMALLER_FILE_SIDE = 256, 252


@dataclass(frozen=True)
class OfficialSet:
    """A set of the paper.

    Attributes
    ----------
    items : int
    to_the_hundred : bool
        Whether `items` is rounded.
    answers : int
        An item.
    """

    items: int
    to_the_hundred: bool
    answers: int

    def has(self, items: int) -> bool:
        """Whether a number of items is the paper's."""
        return abs(items - self.items) <= (50 if self.to_the_hundred else 0)


OFFICIAL_SETS = {
    "2afc/train/traditional": OfficialSet(56_600, True, 2),
    "2afc/train/cnn": OfficialSet(38_100, True, 2),
    "2afc/train/mix": OfficialSet(56_600, True, 2),
    "2afc/val/traditional": OfficialSet(4_720, False, 5),
    "2afc/val/cnn": OfficialSet(4_720, False, 5),
    "2afc/val/superres": OfficialSet(10_856, False, 5),
    "2afc/val/deblur": OfficialSet(9_440, False, 5),
    "2afc/val/color": OfficialSet(4_720, False, 5),
    "2afc/val/frameinterp": OfficialSet(1_888, False, 5),
    "jnd/val/traditional": OfficialSet(4_800, True, 3),
    "jnd/val/cnn": OfficialSet(4_800, True, 3),
}
