"""The site that docs/build.sh makes, with Sphinx: these pages, and those of the repository that they lead to."""

import re

from pygments.lexers import PostgresLexer

project = "session_store"
html_title = "session_store"
html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sourcelink = False
extensions = ["myst_parser"]
include_patterns = [
    "*.md",
    "docs/*.md",
    "bench/README.md",
    "bench/results/*.md",
    "sql/released/README.md",
    "adapters/*/*.md",
    "adapters/*/*/*.md",
]
exclude_patterns = ["**/node_modules", "**/target", "**/.*", "**/vendor"]
root_doc = "docs/index"
# Headings are linked to as on a page of the repository.
myst_heading_anchors = 4
suppress_warnings = [
    "toc.not_included",  # the index has a table of the pages
    "misc.highlighting_failure",  # of psql's commands and variables
]


def add_tree(_app, name, source):
    """The side bar's: the pages in the order of the index, then those for who changes it."""
    if name == root_doc:
        pages = re.findall(r"^\| \[.+?\]\(([\w-]+)\.md\)", source[0], re.M)
        [others] = re.findall(r"^For those who change it: .+", source[0], re.M)
        for caption, listed in ("Use it", pages), ("Change it", re.findall(r"\(([\w./-]+)\.md\)", others)):
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {caption}", "", *listed, "```", ""])


def setup(app):
    app.add_lexer("sql", PostgresLexer)
    app.connect("source-read", add_tree)
