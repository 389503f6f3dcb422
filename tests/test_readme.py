"""What the README shows is what happens: its SQL runs as printed, in order, in one psql; its reference is complete.

A block fenced `sql` is run. A block fenced `text` right after it is what psql prints, where … stands for anything
within a line. An error must be shown. A block after <!-- not run: reason --> is left out.
"""

import re
from difflib import unified_diff
from itertools import takewhile
from pathlib import Path

import pytest
from conftest import OWNER

README = (Path(__file__).parent.parent / "README.md").read_text()
SQL = r"(?P<skip><!-- not run: [^\n]+ -->\n)?^```sql\n(?P<script>.*?)^```\n"
PRINTED = r"(?:```text\n(?P<printed>.*?)^```\n)?"
BLOCK = re.compile(SQL + PRINTED, re.M | re.S)
RUN = [block for block in BLOCK.finditer(README) if not block["skip"]]
MARK = "-- block"


def line_number(block):
    return README.count("\n", 0, block.start("script"))


@pytest.fixture
def shop(new_server):
    """The database of the README on a server of its own, since it creates roles and changes the server's settings."""
    return new_server().create_database("shop")


def lines_of(text, exact):
    """Where a value is left open, the width of its column is, too."""
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return lines if exact else [re.sub(r"-+", "-", re.sub(r" +", " ", line)).strip() for line in lines]


def agrees(shown, printed):
    pattern = ".*".join(map(re.escape, shown.split("…")))
    return re.fullmatch(pattern, printed) is not None


def difference(shown, printed):
    """None if psql printed what is shown."""
    exact = "…" not in shown
    shown, printed = lines_of(shown, exact), lines_of(printed, exact)
    if len(shown) == len(printed) and all(map(agrees, shown, printed)):
        return None
    return "\n".join(unified_diff(shown, printed, "shown", "printed", lineterm=""))


def test_the_sql_runs_as_printed(shop):
    assert len(RUN) > 15
    script = "".join(f"\\echo '{MARK} {number}'\n{block['script']}" for number, block in enumerate(RUN))
    # Into a pipe psql asks for no confirmation and prints no prompt; far from UTC, so that a leaking time zone shows.
    output = shop.psql(script, PGTZ="America/New_York").stdout
    parts = re.split(rf"^{MARK} \d+\n", output, flags=re.M)
    assert parts[0] == ""
    assert len(parts) == len(RUN) + 1, output

    wrong = []
    for block, printed in zip(RUN, parts[1:], strict=True):
        where = f"README.md, line {line_number(block)}:"
        if block["printed"] is not None:
            if diff := difference(block["printed"], printed):
                wrong.append(f"{where}\n{diff}")
        elif re.search(r"^(ERROR|FATAL|PANIC|WARNING|invalid|\\|psql:|unterminated)", printed, re.M):
            wrong.append(f"{where}\n{printed}")
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


def section(title):
    """The lines below a heading, up to the next one of its level."""
    lines = iter(README.splitlines())
    level = next(line for line in lines if line.lstrip("#") == f" {title}").split()[0]
    return list(takewhile(lambda line: line.split(" ")[0] not in {"#", "##", level}, lines))


def table_rows(title):
    """The cells of the tables in a section, without their heads."""
    rows = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in section(title) if line.startswith("|")]
    return [row for row in rows if row[0].startswith("`")]


def in_short(signature):
    """A signature as the README writes it."""
    life = "lifetime interval DEFAULT NULL, deadline timestamptz DEFAULT NULL"
    plain = re.sub(r"::\w+(\[\])?", "", signature.replace("timestamp with time zone", "timestamptz"))
    return plain.replace(life, "…life")


def test_the_reference_lists_every_function_as_it_is(database):
    rows = database.connect(OWNER).execute(
        """SELECT proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid) FROM pg_depend
           JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
           JOIN pg_extension e ON e.oid = refobjid AND deptype = 'e' WHERE extname = 'session_store'"""
    )
    real = {f"{name}({in_short(arguments)})": in_short(result) for name, arguments, result in rows}
    listed = {call.strip("`"): re.match(r"`([^`]+)`", result)[1] for call, result, *_ in table_rows("Functions")}
    assert listed == real


UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "B": 1, "kB": 1_024, "MB": 1_048_576}


def in_base_units(value):
    """A value of a setting as pg_settings shows it: 1h is 3600."""
    number, unit = re.fullmatch(r"(\d*)(.*)", value).groups()
    return str(int(number) * UNITS.get(unit, 1)) if number else value


def test_the_settings_are_listed_with_their_defaults_and_who_may_set_them(database):
    owner = database.connect(OWNER)
    owner.execute("SELECT session_new_id()")  # loads the library
    rows = owner.execute("SELECT name, boot_val, context FROM pg_settings WHERE name LIKE 'session_store.%'")
    who = {"user": "anyone", "superuser": "superuser", "sighup": "reload"}
    real = {name: (value, who[context]) for name, value, context in rows}
    listed = {row[0].strip("`"): (in_base_units(row[1].strip("`")), row[3]) for row in table_rows("Settings")}
    assert listed == real


def test_the_columns_of_the_table_are_listed(database):
    rows = database.connect(OWNER).execute(
        """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
           WHERE attrelid = 'session'::regclass AND attnum > 0 AND NOT attisdropped"""
    )
    real = {name: kind.replace("timestamp with time zone", "timestamptz") for name, kind in rows}
    assert {name.strip("`"): kind.strip("`") for name, kind, *_ in table_rows("The table")} == real


ROOT = Path(__file__).parent.parent


def is_installed(page):
    return any(part.startswith(".") or part in ("node_modules", "target") for part in page.relative_to(ROOT).parts)


PAGES = [page for page in ROOT.rglob("*.md") if not is_installed(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_heading_or_a_file(page):
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    anchors = {"#" + re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
        if target.startswith("#"):
            assert target in anchors
        elif not target.startswith("https://"):
            assert page.parent.joinpath(target).exists(), target


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (" a | b \n---+---\n … | 1\n", "  a  | b \n-----+---\n xyz | 1\n", True),
        (" a \n---\n 1\n", " a \n---\n 1\n", True),
        (" a \n---\n 1\n", " a \n---\n 2\n", False),
        (" a | b \n---+---\n … | 1\n", " a | b \n---+---\n 1 | 2\n", False),
        (" a \n---\n 1\n", " a \n---\n 1\n(1 row)\nERROR:  no\n", False),
        ("done", "", False),
    ],
)
def test_the_comparison_notices_what_differs(shown, printed, same):
    assert (difference(shown, printed) is None) == same
