"""What the README and the pages in docs/ show is what happens: the SQL of a page runs as printed, in order, in one psql;
the reference is complete; links lead somewhere; the site builds.

A block fenced `sql` or `python` is run. A block fenced `text` right after it is what is printed, where … stands for
anything within a line. An error must be shown. A block after <!-- not run: reason --> is left out.
"""

import re
import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

import psycopg
import pytest
from conftest import OWNER, clean_environment

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
RUN = r"(?P<skip><!-- not run: [^\n]+ -->\n)?^```(?P<language>sql|python)\n(?P<script>.*?)^```$\n?"
PRINTED = r"(?:```text\n(?P<printed>.*?)^```$\n?)?"
BLOCK = re.compile(RUN + PRINTED, re.M | re.S)
MARK = "-- block"
FROM_NOTHING = ("README.md", "index.md", "install.md")  # the others begin with what index.md shows
ELSEWHERE = {"write-your-own.md": "python"}  # in test_write_your_own.py


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks_of(page, language="sql"):
    blocks = [
        block for block in BLOCK.finditer(page.read_text()) if not block["skip"] and block["language"] == language
    ]
    return blocks if ELSEWHERE.get(page.name) != language else []


WITH_SQL = [page for page in PAGES if blocks_of(page)]
WITH_PYTHON = [page for page in PAGES if blocks_of(page, "python")]


def test_most_pages_have_examples():
    assert len(WITH_SQL) > 8
    assert sum(len(blocks_of(page)) for page in WITH_SQL) > 40
    assert WITH_PYTHON


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=name_of)
def test_every_block_is_run_or_says_why_not(page):
    text = page.read_text()
    run = [block.span() for block in BLOCK.finditer(text)]  # with what is printed
    for fence in re.finditer(r"^ *```+(\S*).*?^ *```+$", text, re.M | re.S):
        before = text[: fence.start()].splitlines()[-1:]
        known = any(start <= fence.start() < end for start, end in run)
        assert known or re.fullmatch(r"<!-- not run: .+ -->", before[0] if before else ""), fence[0]


# What connect-pg-simple makes: the first steps work beside it, and nothing on the pages takes it for the extension's.
ANOTHER_STORE = """
    CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL);
    INSERT INTO session VALUES ('a', '{}', now());
"""


def roles_of(server):
    with server.connect() as owner:
        return {name for (name,) in owner.execute("SELECT rolname FROM pg_roles")}


@pytest.fixture
def shop(server, new_server, page):
    """The database that docs/index.md begins with, in which there is another store.

    What a page does to the server is undone, or done to one of its own.
    """
    if "ALTER SYSTEM" in page.read_text():
        server = new_server()
    roles, database = roles_of(server), server.create_database("shop")
    database.psql(ANOTHER_STORE)
    yield database
    assert database.connect().execute("SELECT sid, sess FROM public.session").fetchall() == [("a", {})]
    database.drop()
    with server.connect() as owner:
        for role in roles_of(server) - roles:
            owner.execute(f"DROP ROLE {role}")


def beginning():
    """What docs/index.md has its readers do first."""
    return BLOCK.search((ROOT / "docs/index.md").read_text())["script"]


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


@pytest.mark.parametrize("page", WITH_SQL, ids=name_of)
def test_the_sql_runs_as_printed(shop, page):
    blocks = blocks_of(page)
    script = "".join(f"\\echo '{MARK} {number}'\n{block['script']}" for number, block in enumerate(blocks))
    if page.name not in FROM_NOTHING:
        script = beginning() + script
    # Into a pipe psql asks for no confirmation and prints no prompt; far from UTC, so that a leaking time zone shows.
    output = shop.psql(script, PGTZ="America/New_York").stdout
    parts = re.split(rf"^{MARK} \d+\n", output, flags=re.M)
    assert len(parts) == len(blocks) + 1, output

    compare(page, blocks, parts[1:])


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_python_runs_as_printed(shop, page):
    """Each block alone, where PGHOST and PGPORT lead to the server."""
    shop.psql(beginning())
    where = clean_environment(PGHOST=str(shop.server.directory), PGPORT=str(shop.server.port), PYTHONIOENCODING="utf-8")
    everything = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    blocks = blocks_of(page, "python")
    runs = [subprocess.run([sys.executable, "-c", block["script"]], env=where, **everything) for block in blocks]
    compare(page, blocks, [run.stdout for run in runs])


def compare(page, blocks, outputs):
    text, wrong = page.read_text(), []
    for block, printed in zip(blocks, outputs, strict=True):
        where = f"{name_of(page)}, line {text.count(chr(10), 0, block.start('script'))}:"
        if block["printed"] is not None:
            if diff := difference(block["printed"], printed):
                wrong.append(f"{where}\n{diff}")
        elif re.search(r"^(ERROR|FATAL|PANIC|WARNING|invalid|\\|psql:|unterminated|Traceback)", printed, re.M):
            wrong.append(f"{where}\n{printed}")
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


def table_rows(page):
    """The cells of the tables on a page, without their heads."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    rows = [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in lines if line.startswith("|")]
    return [row for row in rows if row[0].startswith("`")]


def in_short(signature):
    """A signature as the reference writes it."""
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
    listed = {call.strip("`"): re.match(r"`([^`]+)`", result)[1] for call, result, *_ in table_rows("functions.md")}
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
    listed = {row[0].strip("`"): (in_base_units(row[1].strip("`")), row[3]) for row in table_rows("settings.md")}
    assert listed == real


def test_the_columns_of_the_table_are_listed(database):
    rows = database.connect(OWNER).execute(
        """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
           WHERE attrelid = 'session'::regclass AND attnum > 0 AND NOT attisdropped"""
    )
    real = {name: kind.replace("timestamp with time zone", "timestamptz") for name, kind in rows}
    assert {name.strip("`"): kind.strip("`") for name, kind, *_ in table_rows("table.md")} == real


def test_the_sqlstates_are_listed_with_their_names():
    listed = dict(re.findall(r"^\| (\w{5}) `(\w+)` \|", (ROOT / "docs/troubleshooting.md").read_text(), re.M))
    raised = re.findall(r"\bERRCODE_(?:T_R_)?(\w+)", (ROOT / "src/error.rs").read_text())
    assert {name.lower() for name in raised} <= set(listed.values())
    for code, name in listed.items():
        assert psycopg.errors.lookup(code).__name__.lower().strip("_") == name.replace("_", ""), code


def is_installed(page):
    return any(part.startswith(".") or part in ("node_modules", "target") for part in page.relative_to(ROOT).parts)


ALL_PAGES = [page for page in ROOT.rglob("*.md") if not is_installed(page)]


def prose_of(page):
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def anchors_of(page):
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_lead_to_a_heading_or_a_file(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        to = page.parent.joinpath(path) if path else page
        assert to.exists(), target
        assert not anchor or anchor in anchors_of(to), target


def test_the_readme_is_short_and_every_page_is_in_the_index():
    assert len(README.read_bytes()) <= 9_000
    index = (ROOT / "docs/index.md").read_text()
    for page in PAGES[1:]:
        assert page.name == "index.md" or f"]({page.name})" in index, page.name


def test_the_site_builds_without_a_warning(server):
    """All links of the pages, and of those that they lead to; it says what it cannot make sense of."""
    if server.connect().info.server_version // 10_000 != 15:
        pytest.skip("is the same with any server")
    build = subprocess.run([ROOT / "docs/build.sh"], capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    assert Path(build.stdout.splitlines()[-1]).exists()


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
