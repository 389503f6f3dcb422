"""Runs a command beside a throwaway server that has the extension: with_server.py COMMAND [ARGUMENT...]

Its environment has what every PostgreSQL driver reads (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE), for the role
that an application would use, and DATABASE_URL, the same in one line. OWNER_URL is for what a test prepares or looks up
in the table. Needs the programs that adapters/test.sh offers.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from conftest import APP, Server, clean_environment  # noqa: E402


def serve(command):
    server = Server().start()
    try:
        server.create_roles()
        with server.connect() as owner:
            owner.execute("CREATE EXTENSION session_store")
            owner.execute("SELECT session_store_grant('app')")
            owner.execute("GRANT CREATE ON SCHEMA public TO app")
        return subprocess.run(command, env=clean_environment(**environment(server))).returncode
    finally:
        server.stop("immediate")


def environment(server):
    """How a client is told of the server."""
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": APP,
        "PGPASSWORD": server.password,
        "PGDATABASE": "postgres",
        "DATABASE_URL": server.uri(user=APP),
        "OWNER_URL": server.uri(),
    }


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
