"""Studies of patches that the pages cannot draw: simulated, and not served."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bapps_builder.images.image_files import encode_png
from collection_app.commands.bapps_collect import collect
from collection_app.errors import StudyError
from collection_app.server.app_from_file import app_of
from collection_app.settings import Settings
from distortions.patch_sets.generate import generate
from distortions.patch_sets.sampling import Settings as PatchSettings
from distortions.sizes import PatchSize


def run(*words: object) -> None:
    made = CliRunner().invoke(collect, [str(word) for word in words])
    assert made.exit_code == 0, made.output


@pytest.mark.parametrize("size", [(64, 64), (96, 80)])
def test_only_sizes_that_the_pages_draw_are_served(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    photo = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    (tmp_path / "photos" / "a.png").write_bytes(encode_png(photo))
    settings = PatchSettings(8, "2afc", "traditional", "val", seed=1, size=PatchSize(*size))
    generate(settings, photos=[tmp_path / "photos"], folder=tmp_path / "set")
    study = tmp_path / "study.toml"
    run("init", study, "--patches", tmp_path / "set", "--preset", "paper-2afc")
    if size == (64, 64):
        assert app_of(study, Settings(rehearsal=True)).test_client().get("/healthz").status_code == 200
    else:
        message = r"\.png: is 96x80; the pages show patches of 64x64 so far, and would resample others"
        with pytest.raises(StudyError, match=message):
            app_of(study, Settings(rehearsal=True))
