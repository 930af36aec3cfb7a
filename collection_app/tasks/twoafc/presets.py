"""Ready studies of 2AFC: one for people whom nobody knows, and the paper's.

`paper-2afc` follows Zhang et al., CVPR 2018, arXiv 1801.03924, section 2.2. Where the paper prints no number it is
ours: 85 test items in a session and 5 training items before it.
"""

from typing import Any

# Of answers that nobody gives who looks; the same ask somebody to look before pay.
_CONDUCT = ["fast<=0.1", "side<=0.95", "away<=0.2"]
PRESETS: dict[str, dict[str, Any]] = {
    "2afc": {
        "task": "2afc",
        "items_per_session": 160,
        "sentinels": {
            "rules": [{"check": "graded", "count": 72, "at_least": 47}],
            "pool": 10,
            "apart": True,
            "as_often": True,
        },
        "training": {"graded": 5},
        # Whoever leaves early need not have had 47 right.
        "rules": {"use": _CONDUCT, "pay": ["sentinels>=0.63", *_CONDUCT]},
    },
    "paper-2afc": {
        "task": "2afc",
        "items_per_session": 85,
        "sentinels": {"rules": [{"check": "obvious", "count": 15, "at_least": 14}]},
        "training": {"obvious": 5},
    },
}
OPEN_TO = {
    "paper-2afc": "a program finds its 15 sentinels by their white noise, and who compares notes soon knows them all",
}
