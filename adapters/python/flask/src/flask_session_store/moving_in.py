"""From Flask-Session's table to this store: flask import-flask-session."""

from __future__ import annotations

from typing import Any

import click
import psycopg
from flask import Flask, Request, current_app
from flask.cli import with_appcontext
from itsdangerous import Signer
from psycopg import sql
from psycopg.errors import ProgramLimitExceeded

from .sessions import SessionStoreInterface

# Flask-Session keeps the expiry in UTC, in a column without a time zone.
LIVE = "SELECT session_id, data FROM {} WHERE expiry > now() AT TIME ZONE 'UTC'"


@click.command("import-flask-session")
@click.option("--conninfo", default="", help="Where the table is, unless where the environment (PGHOST …) says.")
@click.option("--table", default="sessions", show_default=True, help="SESSION_SQLALCHEMY_TABLE, maybe SCHEMA.TABLE.")
@click.option("--prefix", default="session:", show_default=True, help="SESSION_KEY_PREFIX.")
@click.option("--principal", metavar="KEY", help="The key of the user's id in a session, which becomes that user's.")
@with_appcontext
def import_flask_session(conninfo: str, table: str, prefix: str, principal: str | None) -> None:
    """Take over the live sessions of Flask-Session's SQLAlchemy table.

    Browsers keep their cookies, signed ones too if SESSION_USE_SIGNER is set. Sessions that are here already stay as
    they are; a later run brings back those that were logged out since. Flask-Session has to be installed still.
    """
    from flask_session.base import MsgSpecSerializer  # type: ignore[import-untyped]

    serializer = MsgSpecSerializer(app=current_app, format="msgpack")  # reads its other formats, too
    imported, failed = 0, 0
    with psycopg.connect(conninfo) as connection, connection.cursor("flask_session") as rows:
        rows.execute(sql.SQL(LIVE).format(sql.Identifier(*table.split("."))))
        for session_id, data in rows:
            try:
                imported += _import(session_id.removeprefix(prefix), serializer.decode(bytes(data)), principal)
            except Exception as error:  # old sessions may be pickles, which raise whatever they like
                if isinstance(error, psycopg.OperationalError) and not isinstance(error, ProgramLimitExceeded):
                    raise  # the database is away; too large is only that session
                failed += 1
                click.echo(f"a session cannot be taken over: {type(error).__name__}: {error}", err=True)
    click.echo(f"imported {imported} sessions")
    if failed:
        raise click.ClickException(f"{failed} sessions could not be taken over")


def _import(sid: str, data: dict[str, Any], principal: str | None) -> bool:
    app: Flask = current_app
    interface = app.session_interface
    assert isinstance(interface, SessionStoreInterface)
    session = interface.open_session(app, Request({}))
    session.update(data)
    if app.config.get("SESSION_USE_SIGNER"):
        assert app.secret_key is not None
        sid = Signer(app.secret_key, salt="flask-session", key_derivation="hmac").sign(sid).decode()
    created = interface.store.create(sid, session.content.changes(), interface.get_lifetime(app, session))
    user = data.get(principal) if principal else None
    if created and user is not None:
        interface.store.bind(sid, str(user))
    return created
