"""Adapts django-allauth: attendees sign in by a code or another site, organizers by password.

An account belongs to the person who has verified its email address: with an emailed code, or at
another site. An account with an unverified address gives access to nothing.
"""

import datetime as dt
import functools
import logging
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.forms import (
    LoginForm,
    RequestLoginCodeForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
)
from allauth.account.internal.flows.email_verification_by_code import (
    EMAIL_VERIFICATION_CODE_SESSION_KEY as CODE_SESSION_KEY,
)
from allauth.account.internal.stagekit import LOGIN_SESSION_KEY, clear_login
from allauth.account.internal.userkit import filter_users_by_email
from allauth.account.models import EmailAddress
from allauth.account.utils import url_str_to_user_pk
from allauth.core import context
from allauth.core.internal import ratelimit
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.links import absolute
from registrations.forms import AddressField
from registrations.mail import stored_messages
from registrations.models import OutgoingMail
from registrations.outbox import mailbox_limit
from registrations.validators import validate_address
from strategyweek.accounts.passwords import accounts_named

View = Callable[..., HttpResponse]
logger = logging.getLogger(__name__)

WRONG_PASSWORD = gettext_lazy("Wrong email, username, or password. Please try again.")


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "incorrect_code": gettext_lazy("That's not the code. Use the one in our latest email."),
        "email_password_mismatch": WRONG_PASSWORD,
        "username_password_mismatch": WRONG_PASSWORD,
        "too_many_login_attempts": gettext_lazy("Too many tries. Wait a few minutes."),
    }

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        is_organizer = request.user.is_authenticated and request.user.is_staff
        return resolve_url("admin:index" if is_organizer else settings.LOGIN_REDIRECT_URL)

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Require a password for organizers, because their account opens the admin."""
        methods = {record["method"] for record in get_authentication_records(request, user)}
        if user.is_staff and "password" not in methods:
            clear_login(request)
            messages.error(request, _("Organizers sign in with their password."))
            return redirect("account_login")
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong passwords for a visitor and an account together.

        So no stranger can lock an organizer out. The user name and the email address of an account
        count together, whatever the Host header is.
        """
        accounts = accounts_named(credentials)
        login = credentials.get("email") or credentials.get("username") or ""
        return f"{ratelimit.get_ip(request)}/{accounts[0].pk if accounts else login.lower()}"

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        numbers = [user.pk for user in accounts_named(credentials)]
        visitor = ratelimit.get_ip(request)
        logger.warning("Wrong password for account %s, from %s", numbers or "unknown", visitor)

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        methods = {record["method"] for record in get_authentication_records(request, user)}
        visitor = ratelimit.get_ip(request)
        logger.info("Account %s signed in by %s, from %s", user.pk, sorted(methods), visitor)

    def generate_unique_username(self, txts: list[str | None], regex: str | None = None) -> str:
        """A random value: no one sees it, and two concurrent sign-ups must not collide."""
        return str(uuid.uuid4())

    def clean_email(self, email: str) -> str:
        validate_address(email)
        cleaned: str = super().clean_email(email)
        return cleaned

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> str:
        """Queue an email that a visitor asked for. Returns its key, "" at the mailbox's limit."""
        is_allowed = mailbox_limit.allow(email)
        return self.queue_mail(template_prefix, email, context) if is_allowed else ""

    def queue_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> str:
        """Queue the email, so that the response takes the same time either way. Returns its key."""
        context = {"email": email, "site_url": settings.SITE_URL, **context}
        message = self.render_mail(template_prefix, email, context)
        seconds = settings.CODE_TIMEOUT if "code" in context else settings.PASSWORD_RESET_TIMEOUT
        return stored_messages.queue(
            recipient=email,
            subject=message.subject,
            text=str(message.body),
            valid_for=dt.timedelta(seconds=seconds),
        )

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Send it only to people who have a password.

        For others, it's deleted before any worker sees it: the time that the response takes must
        not reveal who has an account, so the work is the same.
        """
        with transaction.atomic():
            key = self.send_mail("account/email/password_reset_key", email, context)
            unwanted = "" if user.has_usable_password() else key
            OutgoingMail.objects.filter(key=unwanted).delete()

    # allauth builds links from the request's Host header, which the visitor chooses.

    def get_reset_password_from_key_url(self, key: str) -> str:
        return absolute(urlsplit(super().get_reset_password_from_key_url(key)).path)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        url: str = super().get_email_confirmation_url(request, emailconfirmation)
        return absolute(urlsplit(url).path)

    def send_account_already_exists_mail(self, email: str) -> None:
        url = absolute(reverse("account_request_login_code"))
        self.send_mail("account/email/account_already_exists", email, {"sign_in_url": url})


class SocialAdapter(DefaultSocialAccountAdapter):
    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        """Keep only the email address of what the other site sends."""
        sociallogin.account.extra_data = {}
        user: User = super().populate_user(request, sociallogin, {"email": data.get("email")})
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Delete an account from an unused code, so that it does not block this sign-in."""
        verified = [each.email.lower() for each in sociallogin.email_addresses if each.verified]
        _unused_code_accounts().filter(email__in=verified).delete()

    def authenticate_by_email(self, sociallogin: Any) -> tuple[User, str] | None:
        """The account that has verified the address, if the other site has verified it too."""
        found: tuple[User, str] | None = super().authenticate_by_email(sociallogin)
        return found if found and verified_owner(found[1]) == found[0] else None


class PasswordForm(LoginForm):
    """Signs organizers in without verifying their address: another organizer invited them."""

    def _setup_password_field(self) -> None:
        """Keep the field, which allauth removes if sign-up has no password."""

    def _clean_with_password(self, credentials: dict[str, str]) -> dict[str, Any]:
        cleaned: dict[str, Any] = super()._clean_with_password(credentials)
        self._login.email_verification = app_settings.EmailVerificationMethod.NONE
        return cleaned


class PasswordResetForm(ResetPasswordForm):
    """Does the same work for an address without an account."""

    def clean_email(self) -> str:
        """Like allauth's, but that one runs a query less for a verified address."""
        email: str = self.cleaned_data["email"]
        address = AccountAdapter().clean_email(email.lower())
        self.users = filter_users_by_email(address, is_active=True, for_login=True)
        return email

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        nobody = User(pk=0)
        nobody.set_unusable_password()
        self.users = self.users or [nobody]
        email: str = super().save(request, **kwargs)
        return email


class NewPasswordForm(ResetPasswordKeyForm):
    """Its labels are written as those of our other fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = _("New password")
        self.fields["password2"].label = _("New password again")


class CodeForm(RequestLoginCodeForm):
    """Signs in or up: a new address gets an account along with its code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The same field as on the registration page; allauth's knows the label and the widget.
        known = self.fields["email"]
        self.fields["email"] = AddressField(label=known.label, widget=known.widget)

    def clean_email(self) -> str:
        validate_address(self.cleaned_data["email"])
        email: str = super().clean_email()
        self._user = account_for(email)
        return email


def verified_owner(email: str) -> User | None:
    """The user who has verified this address."""
    email = email.lower()
    return User.objects.filter(emailaddress__email=email, emailaddress__verified=True).first()


@transaction.atomic
def account_for(email: str) -> User:
    """The account that a code sent to this address signs in to. Created if there is none.

    Never an account with this address unverified that can be opened in another way: someone else
    may have created it.
    """
    email = email.lower()
    found = User.objects.filter(email__iexact=email, is_staff=True, is_active=True)
    # PostgreSQL's `iexact` takes gıthub.com for github.com.
    organizers = [each for each in found if each.email.lower() == email]
    unused = _unused_code_accounts().filter(email=email)
    user = verified_owner(email) or next(iter(organizers), None) or unused.first()
    if user is None:
        user = User(email=email)
        user.set_unusable_password()
        AccountAdapter().populate_username(context.request, user)
        user.save()
    EmailAddress.objects.get_or_create(user=user, email=email)
    return user


def _unverified_accounts() -> Any:
    """Accounts without a password, a sign-in or a verified address."""
    unused = User.objects.filter(last_login=None, is_staff=False, password__startswith="!")  # noqa: S106
    return unused.exclude(emailaddress__verified=True)


def _unused_code_accounts() -> Any:
    """Unverified accounts that only a code can open."""
    return _unverified_accounts().filter(socialaccount=None)


def delete_unverified() -> None:
    """Delete accounts whose address was not verified within a day."""
    yesterday = timezone.now() - dt.timedelta(days=1)
    _unverified_accounts().filter(date_joined__lt=yesterday).delete()


def require_existing_account(view: View) -> View:
    """Start over if the account that someone is signing in to was deleted meanwhile."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        session, ids = request.session, set()
        if pk := (session.get(LOGIN_SESSION_KEY) or {}).get("user_pk"):
            ids.add(url_str_to_user_pk(pk))
        if pk := (session.get(CODE_SESSION_KEY) or {}).get("user_id"):
            ids.add(int(pk))
        if User.objects.filter(pk__in=ids).count() == len(ids):
            return view(request, *args, **kwargs)
        clear_login(request)
        session.pop(CODE_SESSION_KEY, None)
        messages.error(request, _("That code no longer works. Enter your email to get a new one."))
        return redirect("account_request_login_code")

    return wrapped
