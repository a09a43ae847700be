"""The forms of the page “Set up”. What the server's environment sets is shown, but disabled.

Secrets are never shown again. An empty field keeps the stored one, but only for the same server or
app: otherwise someone could have a secret sent to a server of theirs, or sent unencrypted.
"""

from email.utils import parseaddr
from typing import Any

import idna
from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import site_settings
from events.site_settings import EmailServer, ZoomCredentials
from events.text.addresses import ascii_address
from registrations.validators import validate_address, validate_plain_line

KEEP = gettext_lazy("One is saved, but we don't show it. Leave this empty to keep it.")


def validate_ascii(text: str) -> None:
    """SMTP and HTTP Basic send nothing else."""
    if not (text.isascii() and text.isprintable()):
        raise ValidationError(_("Use only plain letters, numbers and symbols, without accents."))


def validate_no_quotes(text: str) -> None:
    if '"' in text or "\\" in text:
        raise ValidationError(_("Remove quotation marks and backslashes."))


class HostField(forms.CharField):
    """A host name in its ASCII form, or an IP address."""

    def clean(self, value: Any) -> str:
        host: str = super().clean(value)
        try:
            ascii_host = host if host.isascii() else idna.encode(host, uts46=True).decode()
        except UnicodeError as error:
            raise ValidationError(_("Enter a name like smtp.example.org.")) from error
        if set("/@ \t:") & set(ascii_host) or "" in ascii_host.rstrip(".").split("."):
            raise ValidationError(_("Enter a name like smtp.example.org."))
        return ascii_host


def text_field(label: Any, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=options.pop("max_length", 200),
        widget=AdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        validators=[validate_ascii],
        **options,
    )


def secret_field(label: Any) -> forms.CharField:
    """It's empty whenever it's shown."""
    attrs = {"class": "vTextField", "autocomplete": "new-password"}
    return forms.CharField(
        label=label,
        max_length=500,
        required=False,
        # Of some providers it may start or end with a space.
        strip=False,
        widget=forms.PasswordInput(attrs=attrs),
        validators=[validate_ascii],
    )


class SetUpForm(forms.Form):
    """A part of the page. `initial` is what counts now."""

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, initial=self.current(), use_required_attribute=False)
        if self.is_from_environment:
            for field in self.fields.values():
                field.disabled = True
                field.help_text = _("This is set on the server, so you can't change it here.")

    @property
    def is_from_environment(self) -> bool:
        raise NotImplementedError

    def current(self) -> dict[str, Any]:
        raise NotImplementedError

    def save(self) -> None:
        raise NotImplementedError


class ServerForm(SetUpForm):
    host = HostField(
        label=gettext_lazy("Server"),
        max_length=253,
        widget=AdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("Your email provider calls it the SMTP server or outgoing server."),
    )
    security = forms.ChoiceField(
        label=gettext_lazy("Security"),
        choices=[
            ("tls", gettext_lazy("STARTTLS (usually port 587)")),
            ("ssl", gettext_lazy("TLS or SSL (usually port 465)")),
            ("none", gettext_lazy("None, for a server on your own network")),
        ],
    )
    port = forms.IntegerField(
        label=gettext_lazy("Port"),
        widget=forms.NumberInput(attrs={"class": "vTextField"}),
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
    )
    user = text_field(gettext_lazy("Username"), required=False)
    password = secret_field(gettext_lazy("Password"))

    def __init__(self, data: Any = None) -> None:
        self.stored = site_settings.stored_email_server()
        super().__init__(data)
        if self.stored and self.stored.password and self.stored.security != "none":
            self.fields["password"].help_text = KEEP

    @property
    def is_from_environment(self) -> bool:
        return bool(settings.EMAIL_URL)

    def current(self) -> dict[str, Any]:
        if self.is_from_environment:
            security = "tls" if settings.EMAIL_USE_TLS else "ssl"
            is_open = not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL)
            provider = settings.EMAIL_URL.removeprefix("anymail://")
            is_provider = provider != settings.EMAIL_URL
            return {
                "host": provider if is_provider else settings.EMAIL_HOST,
                "port": None if is_provider else settings.EMAIL_PORT,
                "security": "none" if is_open and not is_provider else security,
                "user": settings.EMAIL_HOST_USER,
            }
        if self.stored is None:
            return {"port": 587, "security": "tls"}
        names = ("host", "port", "security", "user")
        return {name: getattr(self.stored, name) for name in names}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("user"):
            cleaned["password"] = ""
        elif not cleaned.get("password") and "password" not in self.errors:
            old, names = self.stored, ("host", "port", "security", "user")
            same = old and all(cleaned.get(name) == getattr(old, name) for name in names)
            # Without encryption, anyone on the way can read it: that should be meant each time.
            is_kept = same and cleaned.get("security") != "none"
            cleaned["password"] = old.password if old and is_kept else ""
            if not cleaned["password"]:
                self.add_error("password", _("Enter the password that goes with this."))
        return cleaned

    def save(self) -> None:
        site_settings.save_email_server(server=EmailServer(**self.cleaned_data))


class SenderForm(SetUpForm):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=60,
        widget=AdminTextInputWidget,
        validators=[validate_plain_line, validate_no_quotes],
        help_text=gettext_lazy(
            "People see it in their inbox. For example: Drop LWOP Strategy Week."
        ),
    )
    address = forms.EmailField(
        label=gettext_lazy("Address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"class": "vTextField"}),
        validators=[validate_address],
        help_text=gettext_lazy("Your email server must be allowed to send from this address."),
    )

    @property
    def is_from_environment(self) -> bool:
        return bool(settings.DEFAULT_FROM_EMAIL)

    def current(self) -> dict[str, Any]:
        name, address = parseaddr(settings.DEFAULT_FROM_EMAIL or site_settings.load().sender)
        return {"name": name, "address": address}

    def save(self) -> None:
        name, address = self.cleaned_data["name"], ascii_address(self.cleaned_data["address"])
        site_settings.save_sender(sender=f'"{name}" <{address}>')


class ZoomForm(SetUpForm):
    account_id = text_field(gettext_lazy("Account ID"))
    client_id = text_field(gettext_lazy("Client ID"))
    client_secret = secret_field(gettext_lazy("Client secret"))

    def __init__(self, data: Any = None) -> None:
        self.stored = site_settings.zoom_credentials()
        super().__init__(data)
        if self.stored and not self.is_from_environment:
            self.fields["client_secret"].help_text = KEEP

    @property
    def is_from_environment(self) -> bool:
        return site_settings.environment_zoom() is not None

    def current(self) -> dict[str, Any]:
        if self.stored is None:
            return {}
        return {"account_id": self.stored.account_id, "client_id": self.stored.client_id}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("client_secret") and "client_secret" not in self.errors:
            old, names = self.stored, ("account_id", "client_id")
            same = old and all(cleaned.get(name) == getattr(old, name) for name in names)
            cleaned["client_secret"] = old.client_secret if old and same else ""
            if not cleaned["client_secret"]:
                self.add_error("client_secret", _("Enter the client secret that goes with this."))
        return cleaned

    def save(self) -> None:
        site_settings.save_zoom_credentials(credentials=ZoomCredentials(**self.cleaned_data))
