"""How fast the distortions are, beside those that albumentations also has.

    pip install 'bapps[bench]' && python benchmarks/against_albumentations.py

One core, one uint8 patch of 96x96 (64 and its margin) at a time, the same kind of damage at about the
same strength, bilinear sampling and mirrored borders on both sides. Ours and theirs take turns in one
process; a time has everything that a call does, drawing values at random included, and the ratio is the
median over rounds, because machines are noisy.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else it looks for a newer version of itself

import albumentations as A
from severity import PHOTOS, random_crops

from distortions.distortion import Distortion, Patch
from distortions.registry import distortions

FLOOR = 0.9
SEVERITY = 0.5
# Calls in a turn; short turns see the same machine.
CALLS = 50

_SAMPLING: dict[str, Any] = {"interpolation": cv2.INTER_LINEAR, "border_mode": cv2.BORDER_REFLECT_101, "p": 1}
THEIRS: dict[str, A.BasicTransform] = {
    "lightness-shift": A.RandomBrightnessContrast((-0.25, 0.25), (0, 0), p=1),
    "color-shift": A.RGBShift((-22, 22), (-22, 22), (-22, 22), p=1),
    "contrast": A.RandomBrightnessContrast((0, 0), (-0.3, 0.3), p=1),
    "saturation": A.ColorJitter((1, 1), (1, 1), (0.2, 3), (0, 0), p=1),
    "uniform-white-noise": A.AdditiveNoise("uniform", "per_pixel", {"ranges": [(-0.045, 0.045)] * 3}, p=1),
    "gaussian-white-noise": A.GaussNoise((0.026, 0.027), p=1),
    "gaussian-blur": A.GaussianBlur(0, (0.65, 0.67), p=1),
    "shift": A.Affine(translate_px={"x": (-6, 6), "y": (-6, 6)}, **_SAMPLING),
    "affine-warp": A.Affine((0.9, 1.1), rotate=(-6, 6), shear=(-6, 6), **_SAMPLING),
    "homography": A.Perspective((0.04, 0.06), **_SAMPLING),
    "linear-warp": A.GridDistortion(6, 0.2, **_SAMPLING),
    "cubic-warp": A.ElasticTransform(120, 8, **_SAMPLING),
    "chromatic-aberration": A.ChromaticAberration(0.2, 0.2, "red_blue", cv2.INTER_LINEAR, p=1),
    "jpeg": A.ImageCompression("jpeg", (42, 44), p=1),
}


def seconds(action: Callable[[Patch], Patch], patches: list[Patch]) -> float:
    start = time.perf_counter()
    for patch in patches:
        action(patch)
    return (time.perf_counter() - start) / len(patches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds

    cv2.setNumThreads(1)
    patches = list(random_crops(PHOTOS, count=CALLS))
    rng = np.random.default_rng(0)
    print(f"albumentations {A.__version__}, OpenCV {cv2.__version__}, one thread, patches of 96x96")
    print(f"{'':22} {'theirs':<26} {'change, levels':>16} {'microseconds':>18} {'theirs / ours':>14}")
    print(f"{'':22} {'':<26} {'theirs':>8} {'ours':>7} {'theirs':>10} {'ours':>7} {f'floor {FLOOR}':>14}")
    slow = []
    for name, found in distortions().items():
        ours = our_call(found, rng)
        if name not in THEIRS:
            times = [seconds(ours, patches) for _ in range(rounds)]
            typical = statistics.median(times)
            print(f"{name:22} {'-':<26} {'':8} {change(ours, patches):7.1f} {'':10} {1e6 * typical:7.0f}")
            continue
        theirs = their_call(THEIRS[name])
        turns = [(seconds(theirs, patches), seconds(ours, patches)) for _ in range(rounds)]
        ratio = statistics.median(a / b for a, b in turns)
        base, speed = (statistics.median(column) for column in zip(*turns, strict=True))
        slow += [name] if ratio < FLOOR else []
        print(
            f"{name:22} {type(THEIRS[name]).__name__:<26} {change(theirs, patches):8.1f} {change(ours, patches):7.1f} "
            f"{1e6 * base:10.0f} {1e6 * speed:7.0f} {ratio:14.2f}",
            flush=True,
        )
    print(f"slower than {FLOOR} of albumentations: {', '.join(slow) or 'none'}")


def our_call(found: Distortion, rng: np.random.Generator) -> Callable[[Patch], Patch]:
    return lambda patch: found.apply(patch, rng, found.at(SEVERITY, rng))


def their_call(transform: A.BasicTransform) -> Callable[[Patch], Patch]:
    return lambda patch: transform(image=patch)["image"]


def change(action: Callable[[Patch], Patch], patches: list[Patch]) -> float:
    """Mean absolute change of a level, to see that both do much the same."""
    return float(np.mean([np.abs(action(patch).astype(int) - patch).mean() for patch in patches]))


if __name__ == "__main__":
    main()
