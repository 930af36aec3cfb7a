"""How simulated people look at three pictures: side by side where a usual window has room, else in place, in turn."""

from collections.abc import Mapping
from typing import Any

from collection_app.studies.picture_sizes import fit_abreast

# Shares of the time that an answer takes.
_SHARES = {"reference": 0.4, "left": 0.3, "right": 0.3}


def how_looked(display: Mapping[str, Any], trial: Mapping[str, Any], reaction_ms: float) -> dict[str, Any]:
    """The columns of an answer that say how its pictures were looked at, of somebody who looks at all of them."""
    layout = display["layout"]
    if layout == "auto":
        layout = "side-by-side" if fit_abreast((trial["width"], trial["height"])) else "in-place"
    if layout == "side-by-side":
        return {"layout": layout}
    counts = {f"{name}_looks": 2 if name == "reference" else 1 for name in _SHARES}
    return {"layout": layout, **counts, **{f"{name}_look_ms": share * reaction_ms for name, share in _SHARES.items()}}
