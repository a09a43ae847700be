"""How django-allauth behaves here: people enter by a code or another site, organizers by password.

An account belongs to whoever has proven its address: by a code mailed to it, or by the word of
another site that has seen such a proof. An account that merely claims an address is nobody's.
"""

import datetime as dt
import uuid
from typing import Any

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.forms import LoginForm, RequestLoginCodeForm
from allauth.account.internal.stagekit import clear_login
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils import timezone

from events.links import absolute
from registrations.mail import stored_messages

# So long an account is kept whose address nobody has proven.
UNPROVEN_FOR = dt.timedelta(days=1)


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "incorrect_code": "That is not the code. Please use the one in our newest mail.",
    }

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        is_organizer = request.user.is_authenticated and request.user.is_staff
        return resolve_url("admin:index" if is_organizer else settings.LOGIN_REDIRECT_URL)

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """An organizer's account opens the admin: it takes a password, whoever else vouches."""
        methods = {record["method"] for record in get_authentication_records(request, user)}
        if user.is_staff and "password" not in methods:
            clear_login(request)
            messages.error(request, "Organizers sign in with their password.")
            return redirect("account_login")
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def generate_unique_username(self, txts: list[str | None], regex: str | None = None) -> str:
        """Nobody sees it or signs in with it; two made at the same moment are not the same."""
        return str(uuid.uuid4())

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Queue the email: the page responds the same whether or not there is one to send."""
        shared = {"email": email, "site_url": settings.SITE_URL}
        message = self.render_mail(template_prefix, email, {**shared, **context})
        is_code = "code" in context
        valid_for = settings.CODE_TIMEOUT if is_code else settings.PASSWORD_RESET_TIMEOUT
        stored_messages.queue(
            recipient=email,
            subject=message.subject,
            text=str(message.body),
            valid_for=dt.timedelta(seconds=valid_for),
        )

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Whoever enters by a code has no password to forget."""
        if user.has_usable_password():
            super().send_password_reset_mail(user, email, context)

    def send_account_already_exists_mail(self, email: str) -> None:
        url = absolute(reverse("account_request_login_code"))
        self.send_mail("account/email/account_already_exists", email, {"sign_in_url": url})


class SocialAdapter(DefaultSocialAccountAdapter):
    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        """Keep nothing of what the other site tells but the address."""
        sociallogin.account.extra_data = {}
        user: User = super().populate_user(request, sociallogin, {"email": data.get("email")})
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Asking for a code, and then not waiting for it, stands in nobody's way."""
        proven = [each.email.lower() for each in sociallogin.email_addresses if each.verified]
        _made_for_a_code().filter(email__in=proven).delete()

    def authenticate_by_email(self, sociallogin: Any) -> tuple[User, str] | None:
        """The account that has proven an address which the other site has seen proven too."""
        found: tuple[User, str] | None = super().authenticate_by_email(sociallogin)
        return found if found and proven_by(found[1]) == found[0] else None


class PasswordForm(LoginForm):
    """Organizers got their password from another organizer: their address needs no proof."""

    def _setup_password_field(self) -> None:
        """Keep it, although nobody signs up with one."""

    def _clean_with_password(self, credentials: dict[str, str]) -> dict[str, Any]:
        cleaned: dict[str, Any] = super()._clean_with_password(credentials)
        self._login.email_verification = app_settings.EmailVerificationMethod.NONE
        return cleaned


class CodeForm(RequestLoginCodeForm):
    """Signs in and up alike: an address that is new here gets its account with its code."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        self._user = account_for(email)
        return email


def proven_by(email: str) -> User | None:
    """Whose address this is beyond doubt."""
    proven = EmailAddress.objects.filter(email=email.lower(), verified=True)
    address = proven.select_related("user").first()
    return address.user if address else None


@transaction.atomic
def account_for(email: str) -> User:
    """The account that a code mailed to this address opens; if there is none, a new one.

    Never one that claims the address and can be entered otherwise: by whom, nobody knows.
    """
    email = email.lower()
    made_before = _made_for_a_code().filter(email=email).first()
    user = proven_by(email) or _organizer(email) or made_before
    if user is None:
        user = User(email=email)
        user.set_unusable_password()
        AccountAdapter().populate_username(context.request, user)
        user.save()
    EmailAddress.objects.get_or_create(user=user, email=email)
    return user


def _organizer(email: str) -> User | None:
    return User.objects.filter(email__iexact=email, is_staff=True, is_active=True).first()


def _unproven() -> Any:
    """Accounts that nobody has entered yet, because nobody has proven their address."""
    waiting = User.objects.filter(last_login=None, is_staff=False, password__startswith="!")  # noqa: S106
    return waiting.exclude(emailaddress__verified=True)


def _made_for_a_code() -> Any:
    """Those of them that nothing but a code can open."""
    return _unproven().filter(socialaccount=None)


def delete_unproven() -> None:
    """Delete accounts whose address nobody has proven in a day, however they were made."""
    _unproven().filter(date_joined__lt=timezone.now() - UNPROVEN_FOR).delete()
