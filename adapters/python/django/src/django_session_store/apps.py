from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class SessionStoreConfig(AppConfig):
    name = "django_session_store"
    verbose_name = "session_store"

    def ready(self) -> None:
        from .devices import describe_login

        user_logged_in.connect(describe_login, dispatch_uid="django_session_store")
