"""In place, the server counts an answer only if all three pictures were looked at."""

from typing import Any

import pytest

from collection_app.errors import StudyError
from collection_app.sessions.exposures import has_looked
from collection_app.studies.presets import preset
from collection_app.studies.study import Display

LOOKED = {"layout": "in-place", "reaction_ms": 1000.0}
LOOKED |= {f"{name}_looks": 1 for name in ("reference", "left", "right")}
LOOKED |= {f"{name}_look_ms": 300.0 for name in ("reference", "left", "right")}


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"left_looks": 0}, False),
        ({"right_looks": None}, False),
        ({"reference_look_ms": 199.0}, False),
        ({"reference_look_ms": 200.0}, True),
        ({"left_look_ms": None}, False),
        ({"reaction_ms": 600.0}, False),  # looked at for longer than the answer took
        ({"layout": "side-by-side"}, False),
        ({"layout": None}, False),
    ],
)
def test_all_three_must_be_looked_at(change: dict[str, Any], counts: bool) -> None:
    assert has_looked(LOOKED | change, Display(layout="in-place")) == counts


@pytest.mark.parametrize("layout", ["side-by-side", None])
def test_side_by_side_nothing_is_asked(layout: str | None) -> None:
    assert has_looked({"layout": layout, "reaction_ms": 1.0}, Display())
    assert not has_looked(LOOKED | {"left_looks": 0}, Display())


def test_jnd_has_one_layout() -> None:
    with pytest.raises(StudyError, match=r"the task jnd has one layout; leave display\.layout at auto"):
        preset("jnd", display={"layout": "in-place"})
