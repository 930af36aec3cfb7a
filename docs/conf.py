"""How the documentation is built: `make docs`. Strict: whatever Sphinx warns of is an error.

Nothing is fetched: the theme brings its own files, and the fonts are the reader's.
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
import generated

project = "bapps"
author = "the authors of bapps"
html_title = "bapps"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
highlight_language = "none"  # a block without a language is not code

# Docstrings: NumPy form, single backticks for code.
default_role = "code"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "exclude-members": "metadata, registry"}  # SQLAlchemy's own
# Several classes are called Settings; in a signature the one of the same file is meant.
suppress_warnings = ["ref.python"]
python_maximum_signature_line_length = 88
toc_object_entries = False  # the contents of a page are its modules

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "tango"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """Write the pages that follow from the code, and read docstrings as the plain text that they are."""
    app.connect("builder-inited", lambda _: generated.write_pages(Path(app.srcdir)))
    app.connect("autodoc-process-docstring", generated.as_text, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", generated.plain_signature)
