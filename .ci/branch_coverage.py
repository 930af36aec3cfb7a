"""Print the share of branches that tests take, from a JSON report of coverage; below the least share is a failure."""

import json
import sys
from pathlib import Path


def main(report: str, least: str) -> int:
    totals = json.loads(Path(report).read_text())["totals"]
    taken, branches = totals["covered_branches"], totals["num_branches"]
    share = 100 * taken / branches
    print(f"{taken} of {branches} branches are taken: {share:.1f}%, at least {least}% are needed")
    return int(share < float(least))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
