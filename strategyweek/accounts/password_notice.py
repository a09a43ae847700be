"""Tells people by email that their password was changed."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from events.links import absolute
from strategyweek.accounts.adapters import AccountAdapter


class PasswordNotice:
    """Listed among the password validators, because Django tells them of every new password.

    That includes the admin, the link in an email and commands.
    """

    def validate(self, password: str, user: Any = None) -> None:
        """Accept every password."""

    def get_help_text(self) -> str:
        return _("We'll email you when your password is changed.")

    def password_changed(self, password: str, user: Any = None) -> None:
        """Send the email, except for a new account, which no one has used yet."""
        if user and user.email and user.last_login:
            url = absolute(reverse("account_reset_password"))
            AccountAdapter().queue_mail(
                "account/email/password_changed", user.email, {"reset_url": url}
            )
