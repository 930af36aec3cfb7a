"""Print how many mutants were killed, and each survivor with the reason why it changes nothing, if one is known."""

import sys
import tomllib
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome

REASONS = Path(__file__).with_name("survivors.toml")


def main(config: str, session: str) -> int:
    """Print the report; 1 if too few were killed, or one survived without a reason."""
    settings = tomllib.loads(Path(config).read_text())["cosmic-ray"]["sample"]
    known = {(one["file"], one["was"], one["is"]): one["why"] for one in tomllib.loads(REASONS.read_text())["survivor"]}
    with use_db(session, WorkDB.Mode.open) as work:
        done = work.completed_work_items
        left = work.num_work_items - work.num_results
    survivors = [(item.mutations[0], result) for item, result in done if result.test_outcome == TestOutcome.SURVIVED]
    killed = len(done) - len(survivors)
    unexplained = 0
    for mutation, result in sorted(survivors, key=lambda one: (one[0].module_path, one[0].start_pos)):
        was, became = _change(result.diff or "")
        why = known.get((str(mutation.module_path), was, became))
        unexplained += why is None
        print(f"{mutation.module_path}:{mutation.start_pos[0]}\n    - {was}\n    + {became}\n    {why or 'NOT KNOWN'}")
    share = killed / len(done)
    print(f"killed {killed}, survived {len(survivors)}, not tried {left}: {share:.1%} killed")
    print(f"survivors without a reason: {unexplained}")
    return int(share < settings["least"] or unexplained > 0 or left > 0)


def _change(diff: str) -> tuple[str, str]:
    """The line that was, and what it became."""
    lines = [line for line in diff.splitlines() if line[:3] not in ("---", "+++")]
    was, became = (next((line[1:].strip() for line in lines if line.startswith(sign)), "") for sign in "-+")
    return was, became


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
