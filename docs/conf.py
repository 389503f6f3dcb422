"""The site that docs/build.sh makes, with Sphinx: these pages, and those of the repository that they lead to."""

import re

from pygments.lexers import PostgresLexer

project = "session_store"
html_title = "session_store"
html_theme = "furo"
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
    """The side bar's: the pages in the order of the index."""
    if name == root_doc:
        pages = re.findall(r"^\| \[.+?\]\(([\w-]+)\.md\)", source[0], re.M)
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", "", *pages, "```", ""])


def setup(app):
    app.add_lexer("sql", PostgresLexer)
    app.connect("source-read", add_tree)
