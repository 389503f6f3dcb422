"""The sites that bench/adapters/compare.py compares: a framework's server with the store that STORE names."""

import os
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
RUN = Path(os.environ["SESSION_STORE_RUN"])  # where bench/adapters.sh builds
VENV = HERE.parent.parent / "adapters/acceptance/servers/django/.venv/bin"
OURS = "session_store"


class Framework(NamedTuple):
    directory: str
    cookie: str
    command: list
    stores: dict  # what STORE says, by the name of the store; ours is the first
    count: dict  # the statement that counts a store's sessions
    prepare: list = []  # a command, before the server
    load: list = [RUN / "load"]  # the load generator; without a command it needs no server
    environment: dict = {}
    slides: bool = True  # each use of a session moves its expiry, by the framework's rules


DJANGO = Framework(
    directory="django",
    cookie="sessionid",
    command=[
        VENV / "gunicorn",
        "--bind",
        "127.0.0.1:{port}",
        "--threads",
        "8",
        "--keep-alive",
        "60",
        "django.core.wsgi:get_wsgi_application()",
    ],
    stores={OURS: "django_session_store", "Django's db backend": "django.contrib.sessions.backends.db"},
    count={"Django's db backend": "SELECT count(*) FROM django_session"},
    prepare=[VENV / "django-admin", "migrate", "--verbosity", "0"],
    environment={"DJANGO_SETTINGS_MODULE": "site_settings", "PYTHONPATH": str(HERE / "django")},
    slides=False,
)
SCS = Framework(
    directory="scs",
    cookie="session",
    command=[RUN / "scs"],
    stores={OURS: OURS, "scs postgresstore": "postgresstore"},
    count={"scs postgresstore": "SELECT count(*) FROM sessions"},
    slides=False,
)
PHP = Framework(
    directory="php",
    cookie="PHPSESSID",
    command=[HERE / "php/run"],
    stores={OURS: OURS, "Symfony's PdoSessionHandler": "PdoSessionHandler"},
    count={"Symfony's PdoSessionHandler": "SELECT count(*) FROM sessions"},
    prepare=["php", "create_table.php"],
)
AXUM = Framework(
    directory="axum",
    cookie="id",
    command=[HERE.parent.parent / "adapters/rust/target/release/bench-axum"],
    stores={OURS: OURS, "tower-sessions-sqlx-store": "tower-sessions-sqlx-store"},
    count={"tower-sessions-sqlx-store": "SELECT count(*) FROM session"},
    slides=False,
)
FRAMEWORKS = {
    "express": Framework(
        directory="express",
        cookie="connect.sid",
        command=["node", "server.js"],
        stores={OURS: OURS, "connect-pg-simple": "connect-pg-simple", "connect-redis": "connect-redis"},
        count={"connect-pg-simple": "SELECT count(*) FROM session"},
        environment={"NODE_ENV": "production", "REDIS_SOCKET": str(RUN / "redis.sock")},
    ),
    "Django": DJANGO,
    "Django in process": DJANGO._replace(command=[], load=[VENV / "python", HERE / "django/in_process.py"]),
    "beego": Framework(
        directory="beego",
        cookie="beegosessionID",
        command=[RUN / "beego"],
        stores={OURS: OURS, "beego's postgresql provider": "postgresql"},
        count={"beego's postgresql provider": "SELECT count(*) FROM session"},
    ),
    "PHP": PHP,
    "Spring": Framework(
        directory="spring",
        cookie="SESSION",
        command=["java", "-XX:+UseSerialGC", "-jar", HERE / "spring/target/site.jar"],
        stores={OURS: OURS, "Spring Session JDBC": "jdbc"},
        count={"Spring Session JDBC": "SELECT count(*) FROM spring_session"},
    ),
    "scs": SCS,
    "scs with IdleTimeout": SCS._replace(environment={"IDLE_TIMEOUT": "20m"}, slides=True),
    "axum": AXUM,
    "axum with always_save": AXUM._replace(environment={"ALWAYS_SAVE": "yes"}, slides=True),
}
