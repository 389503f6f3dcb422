"""A site with the session engine that STORE names."""

import os

SECRET_KEY = "of the benchmark"
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "site_urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
SESSION_ENGINE = os.environ["STORE"]
SESSION_COOKIE_AGE = 3600
if SESSION_ENGINE == "django_session_store":
    INSTALLED_APPS.append(SESSION_ENGINE)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "NAME": os.environ["PGDATABASE"],
        "CONN_MAX_AGE": None,
    }
}
