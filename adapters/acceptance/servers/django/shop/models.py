from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class User(AbstractBaseUser):
    name = models.CharField(max_length=150, primary_key=True)
    last_login = None

    USERNAME_FIELD = "name"
    objects = BaseUserManager()

    def __str__(self):
        return self.name
