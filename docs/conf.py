"""The documents as a site: `make docs` writes site/ with Sphinx, from the Markdown that also reads on GitHub.

Its root is that of the project, so that a relative link leads to the same file here and there. Where the two differ,
GitHub's way is turned into the site's: `without_folders`, `without_badges`, `with_title`.
"""

import re
from pathlib import Path
from runpy import run_path

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[1]

project = "understudy"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [str(path.relative_to(ROOT)) for path in run_path(ROOT / "scripts/check_links.py")["documents"]()]
exclude_patterns = [".*", "site", "results", "runs", "src", "tests"]
myst_heading_anchors = 6  # GitHub's, of headings of all levels
default_role = "code"
nitpick_ignore_regex = [("py:.*", ".*")]  # a type is a link where its document is here; most are not

html_theme = "furo"
html_title = "understudy"
html_static_path = ["static"]
html_css_files = ["site.css"]
smartquotes = False  # text stays as it is on GitHub
html_show_search_summary = False  # a page that is opened from a disk may not read another one
html_copy_source = html_show_copyright = html_use_index = html_domain_indices = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
FIRST_PAGE = (
    '<!doctype html>\n<title>understudy</title>\n<meta http-equiv="refresh" content="0; url=docs/index.html">\n'
)


def with_title(app, document: str, source: list[str]) -> None:
    """Of a measured table, where it has none: its file's name. Others link to it; it is in no menu."""
    folder, _, name = document.rpartition("/")
    if folder == "benchmarks" and name != "README":
        title = "" if source[0].startswith("#") else f"# {name.replace('_', ' ').capitalize()}\n\n"
        source[0] = f"---\norphan: true\n---\n{title}{source[0]}"


def without_folders(app, tree: nodes.document) -> None:
    """A link to a folder of the project is plain text: a site shows no folders."""
    for link in list(tree.findall(addnodes.pending_xref)):
        if link["reftype"] == "myst" and Path(app.srcdir, link["refdoc"]).parent.joinpath(link["reftarget"]).is_dir():
            link.replace_self(link.children)


def without_badges(app, tree: nodes.document) -> None:
    """An image of another host is its text: a page asks nobody for anything."""
    for image in list(tree.findall(nodes.image)):
        if "://" in image["uri"]:
            image.replace_self(nodes.Text(image["alt"]))


def escape_docstring(app, kind: str, name: str, thing, options, lines: list[str]) -> None:
    """Docstrings are plain text with `code` in it: outside of that, |A| and *.py are no markup."""
    lines[:] = [re.sub(r"(`[^`]*`)|([|*])", lambda found: found[1] or rf"\{found[2]}", line) for line in lines]


def write_first_page(app, error: Exception | None) -> None:
    if error is None:
        Path(app.outdir, "index.html").write_text(FIRST_PAGE)


def setup(app) -> None:
    app.add_lexer("mermaid", TextLexer)  # GitHub draws it; here it is text
    app.connect("source-read", with_title)
    app.connect("doctree-read", without_folders)
    app.connect("doctree-read", without_badges)
    app.connect("autodoc-process-docstring", escape_docstring)
    app.connect("build-finished", write_first_page)
