"""How the starter zoo was made: the photographs inside scikit-image that may be used for it, and the command.

    pip install "bapps[demo]"
    python benchmarks/starter_zoo/zoo_photographs.py photos          copies the photographs into a new folder
    bapps-distort train-cnn --photos photos …         as docs/cnn-distortions.md says

`STARTER` is the folder with what came of it.
"""

import shutil
import sys
from pathlib import Path

from bapps_builder.errors import DistortionError

# File inside skimage/data, and why it may be used: as scikit-image says in its documentation of `skimage.data`.
PHOTOS = {
    "astronaut.png": "NASA, public domain",
    "brick.png": "CC0Textures, CC0",
    "camera.png": "Lav Varshney, CC0",
    "chelsea.png": "Stefan van der Walt, CC0",
    "coffee.png": "Rachel Michetti, CC0",
    "grass.png": "linolafett, CC0",
    "gravel.png": "CC0Textures, CC0",
    "hubble_deep_field.jpg": "NASA, public domain",
    "retina.jpg": "Mikael Häggström, CC0",
    "rocket.jpg": "SpaceX, public domain",
}
# What `bapps-distort train-cnn` was told besides the photos and variants.
OPTIONS = ("--steps", "5000", "--side", "32", "--vgg-patches", "4", "--vgg-side", "16", "--half")


def copy_photos(folder: Path) -> None:
    """Copy the photographs into a new folder.

    Raises
    ------
    DistortionError
        If scikit-image is not installed, or has them no longer.
    FileExistsError
        If the folder is there.
    """
    try:
        import skimage
    except ImportError as error:
        raise DistortionError('the photographs come with scikit-image: pip install "bapps[demo]"') from error
    source = Path(skimage.__file__).parent / "data"
    if missing := [name for name in PHOTOS if not (source / name).is_file()]:
        raise DistortionError(f"{source}: no {', '.join(missing)}; scikit-image 0.26 has them all")
    folder.mkdir(parents=True)
    for name in PHOTOS:
        shutil.copyfile(source / name, folder / name)


if __name__ == "__main__":
    copy_photos(Path(sys.argv[1] if len(sys.argv) > 1 else "photos"))
