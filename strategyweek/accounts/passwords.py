"""Signing in with a password."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.userkit import filter_users_by_email, get_user_by_username
from django.contrib.auth.models import User
from django.http import HttpRequest


def accounts_named(credentials: dict[str, Any]) -> list[User]:
    """The accounts that these credentials name by user name or email address, each once."""
    login = credentials.get("email") or credentials.get("username") or ""
    # `prefer_verified` would run fewer queries for a verified address.
    accounts = filter_users_by_email(login, for_login=True)
    accounts.append(get_user_by_username(login))
    return sorted({user for user in accounts if user}, key=lambda user: user.pk)


class PasswordBackend(AuthenticationBackend):
    """Checks one password for each account, so that the time doesn't reveal who has an account.

    allauth's own checks it twice for a known email address: also as a user name. If there is no
    account, allauth hashes a password all the same.
    """

    def _authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        password = credentials["password"]
        accounts = accounts_named(credentials)
        return next((user for user in accounts if self._check_password(user, password)), None)
