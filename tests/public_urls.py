"""Every public URL, the forms there, and the people who may visit them."""

import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from importlib.util import module_from_spec
from types import ModuleType
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.socialaccount.providers import registry
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.test import Client, override_settings
from django.urls import URLResolver, get_resolver, include, path

from events.models import StoredImage
from registrations import models
from registrations.mail.unsubscribe import unsubscribe_url
from strategyweek import urls
from strategyweek.accounts import urls as account_urls
from strategyweek.settings import MAIL_PROVIDERS, sign_in_providers
from tests.people import sign_up

SITES = ("GOOGLE", "FACEBOOK", "X", "WORDPRESS", "GITHUB", "MICROSOFT")
# What an email provider's views demand, for all of them.
ANYMAIL = {
    "WEBHOOK_SECRET": "provider:secret",
    "MAILGUN_WEBHOOK_SIGNING_KEY": "key",
    "MAILERSEND_SIGNING_SECRET": "key",
    "MANDRILL_WEBHOOK_KEY": "key",
    "POSTAL_WEBHOOK_KEY": "key",
    "UNISENDER_GO_API_KEY": "key",
}
PARAMETER = re.compile(r"\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>")

VISITORS = ("stranger", "halfway", "attendee", "organizer")


@contextmanager
def other_sites() -> Iterator[None]:
    """Configure sign-in with each other site, and add its URLs to ours."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SITES:
            patch.setenv(f"{name}_CLIENT_ID", f"{name}-id")
            patch.setenv(f"{name}_CLIENT_SECRET", f"{name}-secret")
        providers = list(sign_in_providers())
        with override_settings(
            INSTALLED_APPS=[*settings.INSTALLED_APPS, *(app for app, *_rest in providers)],
            SOCIALACCOUNT_PROVIDERS={name: keys for _app, name, keys, _origins in providers},
            SIGN_IN_ORIGINS=[origin for *_rest, origins in providers for origin in origins],
        ):
            registry.provider_map.clear()
            registry.loaded = False
            try:
                # A copy: the module itself is for settings without other sites.
                spec = account_urls.__spec__
                copy = module_from_spec(spec)
                spec.loader.exec_module(copy)
                accounts = path("accounts/", include(copy.urlpatterns))
                with more_urls(patch, "urls_with_other_sites", [accounts]):
                    yield
            finally:
                registry.provider_map.clear()
                registry.loaded = False


@contextmanager
def more_urls(patch: pytest.MonkeyPatch, name: str, patterns: list) -> Iterator[None]:
    """Put these before the site's own. The pages for errors stay."""
    module = ModuleType(name)
    vars(module).update(vars(importlib.import_module(settings.ROOT_URLCONF)))
    module.urlpatterns = [*patterns, *module.urlpatterns]  # type: ignore[attr-defined]
    patch.setitem(sys.modules, name, module)
    with override_settings(ROOT_URLCONF=name):
        yield


@contextmanager
def everything_configured() -> Iterator[None]:
    """Add the URLs that exist only with settings: other sites, email providers, Zoom's webhook."""
    bounces = [each for name in MAIL_PROVIDERS for each in urls.bounce_urls(name)]
    webhooks = path("webhooks/mail/", include((bounces, "anymail")))
    with (
        other_sites(),
        pytest.MonkeyPatch.context() as patch,
        more_urls(patch, "urls_with_everything", [webhooks]),
        override_settings(ANYMAIL=ANYMAIL, ZOOM_WEBHOOK_SECRET="secret"),
    ):
        yield


def public_routes() -> list[str]:
    """Each URL of the site except the admin's, such as "/me/{token}/change/"."""
    routes = {*_routes(get_resolver().url_patterns, "/")}
    return sorted(route for route in routes if not route.startswith("/admin/"))


def _routes(patterns: Iterable, prefix: str) -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            yield PARAMETER.sub(lambda found: f"{{{found[1] or found[2]}}}", route)


def parameters(week) -> dict[str, str]:
    """Values for the parameters of all public URLs: those of someone who is registered."""
    person = sign_up(week, "Alice Adams")
    user = User.objects.create_user("alice", "alice@example.org", "correct horse")
    return {
        "event_slug": week.slug,
        "session_slug": week.sessions.first().slug,
        "token": person.token,
        "signed": urlsplit(unsubscribe_url(person)).path.split("/")[2],
        "uidb36": user_pk_to_url_str(user),
        "key": PasswordResetTokenGenerator().make_token(user),
        "mark": "bars",
        "colors": "harbor",
        "test_token": models.TestEmail.objects.create(user=user, address=user.email).token,
        "image": StoredImage.objects.create(content=b"RIFF", width=1, height=1).key,
    }


def filled(route: str, values: dict[str, str]) -> str:
    """The URL of a route. A KeyError names a parameter that parameters() doesn't know yet."""
    is_session = "{event_slug}" in route
    slug = values["session_slug"] if is_session else values["event_slug"]
    return route.format(**values, slug=slug)


class FormFields(HTMLParser):
    """Collects the fields of all forms on a page, with the values that a browser would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._select = self._textarea = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "select":
            self._select = name
        if name and tag in {"input", "select", "textarea", "button"}:
            sent = self.values.setdefault(name, [])
            is_box = given.get("type") in {"checkbox", "radio"}
            if tag == "textarea" or (tag == "input" and ("checked" in given or not is_box)):
                sent.append(value)
        self._textarea = name if tag == "textarea" else ""
        if tag == "option" and self._select and "selected" in given:
            self.values[self._select].append(value)

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._textarea = ""


class Visitors:
    """The cookies of people at various points: signed in, or with a code or a reset begun."""

    def __init__(self, values: dict[str, str]) -> None:
        self.clients = {name: Client() for name in VISITORS}
        halfway = self.clients["halfway"]
        halfway.post("/accounts/login/code/", {"email": "bob@example.org"})
        halfway.get(filled("/accounts/password/reset/key/{uidb36}-{key}/", values))
        attendee = User.objects.get(email="alice@example.org")
        EmailAddress.objects.create(user=attendee, email=attendee.email, verified=True)
        self.clients["attendee"].force_login(attendee)
        organizer = User.objects.create_superuser("olga", "olga@example.org", "correct horse")
        self.clients["organizer"].force_login(organizer)

    def client(self, name: str, *, has_csrf_checks: bool = False) -> Client:
        """A client with that visitor's cookies, which no other request changes."""
        client = Client(enforce_csrf_checks=has_csrf_checks, raise_request_exception=False)
        client.cookies.load(self.clients[name].cookies.output(header="", sep=";"))
        return client

    def fields(self, url: str) -> dict[str, list[str]]:
        """The fields of the forms that anyone sees at this URL."""
        found: dict[str, list[str]] = {}
        for name in self.clients:
            page = self.client(name).get(url).content.decode(errors="replace")
            found = FormFields(page).values | found
        return found
