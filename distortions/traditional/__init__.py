"""The paper's twenty traditional distortions: one family a file.

More may be defined beside them. What `--family traditional` draws is these, whatever else there is.
"""

# The families and names of Table 2 of Zhang et al., CVPR 2018, in its order. Frozen: patch sets are drawn by place.
PAPER: dict[str, tuple[str, ...]] = {
    "photometric": ("lightness-shift", "color-shift", "contrast", "saturation"),
    "noise": (
        "uniform-white-noise",
        "gaussian-white-noise",
        "gaussian-pink-noise",
        "gaussian-blue-noise",
        "gaussian-colored-noise",
        "checkerboard",
    ),
    "blur": ("gaussian-blur", "bilateral-filter"),
    "spatial": (
        "shift",
        "affine-warp",
        "homography",
        "linear-warp",
        "cubic-warp",
        "ghosting",
        "chromatic-aberration",
    ),
    "compression": ("jpeg",),
}
TWENTY = tuple(name for names in PAPER.values() for name in names)
