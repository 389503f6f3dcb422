from itertools import islice

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction
from django.utils import timezone

from ... import database
from ...content import content_of, to_text
from ...sessions import SessionStore, principal_of

BATCH = 500
REFUSED = ("22", "54")  # classes of SQLSTATE: something about one session, and not about the connection

# The call that binds has to come after the one that saves, and only where that saved.
IMPORT = """
WITH found AS MATERIALIZED (
    SELECT * FROM unnest(%(sids)s::text[], %(data)s::text[], %(deadlines)s::timestamptz[], %(principals)s::text[])
        AS f (sid, data, deadline, principal)
), saved AS MATERIALIZED (
    SELECT sid, principal, session_save(sid, data, 0, '0', deadline) AS version FROM found
)
SELECT count(version),
    count(CASE WHEN version IS NOT NULL AND principal IS NOT NULL THEN session_bind(sid, principal) END)
FROM saved
"""


class Command(BaseCommand):
    help = (
        "Imports the live sessions of the database engine (the table django_session), so that nobody is logged out. "
        "Sessions that are there already stay as they are."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, help='Where the old table is. Defaults to the "default" database.'
        )
        parser.add_argument(
            "--model", default="sessions.Session", help='Its model. Defaults to "sessions.Session", Django\'s own.'
        )

    def handle(self, **options):
        model = apps.get_model(options["model"])
        live = model.objects.using(options["database"]).filter(expire_date__gt=timezone.now())
        sessions = live.order_by("session_key").iterator(chunk_size=BATCH)
        self.failed = read = imported = 0
        while batch := list(islice(sessions, BATCH)):
            read += len(batch)
            imported += self.save(self.prepare(batch))
        if options["verbosity"] > 0:
            self.stdout.write(f"{imported} of {read} sessions imported.")
        if self.failed:
            raise CommandError(f"{self.failed} sessions could not be imported.")

    def prepare(self, batch):
        content = content_of(SessionStore().serializer)
        rows = []
        for session in batch:
            values = session.get_decoded()
            if not values:  # also a wrong signature, which the old engine would not have known either
                continue
            try:
                data = to_text(content.dump(values))
            except (TypeError, ValueError) as error:
                self.fail(error)
            else:
                rows.append((session.session_key, data, session.expire_date, principal_of(values)))
        return rows

    def save(self, rows):
        """How many are new. What is refused keeps the others from nothing."""
        names = ("sids", "data", "deadlines", "principals")
        parameters = {name: [row[n] for row in rows] for n, name in enumerate(names)}
        try:
            with transaction.atomic(using=database.alias()):
                return database.value(IMPORT, **parameters)
        except DatabaseError as error:
            if (getattr(error.__cause__, "sqlstate", None) or "")[:2] not in REFUSED:
                raise
            if len(rows) > 1:
                return sum(self.save([row]) for row in rows)
            self.fail(error)
            return 0

    def fail(self, error):
        self.failed += 1
        self.stderr.write(f"A session cannot be imported: {error}")
