"""Settings of a site that uses the engine, on the database that the environment names."""

import os

SECRET_KEY = "tests"
USE_TZ = True
STATIC_URL = "static/"  # LiveServerTestCase wants one
ROOT_URLCONF = "tests.urls"
ALLOWED_HOSTS = ["*"]
SESSION_ENGINE = "django_session_store"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_session_store",
    "sessions_tests",  # of Django's source distribution
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASE = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": os.environ["PGHOST"],
    "PORT": os.environ["PGPORT"],
    "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ["PGPASSWORD"],
    "NAME": os.environ["PGDATABASE"],
    # The one that has the extension: an ordinary role cannot create another one.
    "TEST": {"NAME": os.environ["PGDATABASE"]},
}
# The second way is for tests of the connection, and has the parameters apart from the statement.
DATABASES = {"default": DATABASE, "sessions": {**DATABASE, "OPTIONS": {"server_side_binding": True}}}
