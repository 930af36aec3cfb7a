"""Ready studies of JND: one for people whom nobody knows, and the paper's.

`paper-jnd` follows Zhang et al., CVPR 2018, arXiv 1801.03924, section 2.2. Where the paper prints no number it is ours:
the rule that a session must pass.
"""

from typing import Any

# Of answers that nobody gives who looks; the same ask somebody to look before pay.
_CONDUCT = ["sentinels>=0.63", "fast<=0.1", "side<=0.98"]
PRESETS: dict[str, dict[str, Any]] = {
    "jnd": {
        "task": "jnd",
        "items_per_session": 160,
        "sentinels": {
            "rules": [
                {"check": "identical", "count": 42, "at_least": 21},
                {"check": "graded", "count": 42, "at_least": 21},
            ],
            "pool": 10,
            "apart": True,
            "as_often": True,
        },
        "training": {"same": 4, "graded": 6},
        "rules": {"use": _CONDUCT, "pay": _CONDUCT},
    },
    "paper-jnd": {
        "task": "jnd",
        "items_per_session": 160,
        "sentinels": {
            "rules": [
                {"check": "identical", "count": 32, "at_least": 20},
                {"check": "noise", "count": 8, "at_least": 7},
            ]
        },
        "training": {"same": 4, "different": 1, "distorted": 5},
        "exposure": {"first_ms": 1000, "gap_ms": 250, "second_ms": 1000},
    },
}
OPEN_TO = {
    "paper-jnd": "a program finds its sentinels by their white noise, and who compares notes soon knows them all",
}
