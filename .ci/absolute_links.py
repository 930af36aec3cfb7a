"""Give the README the addresses that the package index needs: there, a link into the repository leads nowhere.

    python .ci/absolute_links.py README.md OWNER/NAME TAG

Changes the file. Links lead to the files of that tag on GitHub, pictures to what they hold.
"""

import re
import sys
from pathlib import Path

RELATIVE = r"(?!https?:|mailto:|#)"
LINK = re.compile(rf"(\]\(){RELATIVE}([^)\s]+)")
PICTURE = re.compile(rf'(\b(?:src|srcset)="){RELATIVE}([^"]+)')


def with_addresses(text: str, repository: str, tag: str) -> str:
    """The text, its links and pictures with addresses that hold anywhere."""
    text = LINK.sub(rf"\1https://github.com/{repository}/blob/{tag}/\2", text)
    return PICTURE.sub(rf"\1https://raw.githubusercontent.com/{repository}/{tag}/\2", text)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: absolute_links.py FILE OWNER/NAME TAG")
    file = Path(sys.argv[1])
    file.write_text(with_addresses(file.read_text(), *sys.argv[2:]))
