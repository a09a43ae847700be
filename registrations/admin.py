"""The people and their mails, for organizers."""

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.dateformat import format as date_format
from django.utils.html import format_html

from events.models import Event
from events.timezones import offered_time_zones

from . import signup
from .forms import validate_address
from .models import OutgoingMail, Registration, Seat, email_key


def moment(when: dt.datetime, event: Event) -> str:
    """Nov 22, 2026, 4:51 AM PST: as the event's clock shows it."""
    local = when.astimezone(event.zone)
    return f"{date_format(local, 'M j, Y, g:i A')} {local.tzname()}"


class RegistrationChangeForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # Whoever may only look has no fields.
        if fields:
            fields["time_zone"].widget = forms.Select(
                choices=offered_time_zones(self.instance.time_zone)
            )
            fields["strategies"].queryset = self.instance.event.tracks.all()

    def clean_email(self) -> str:
        email = self.cleaned_data["email"]
        validate_address(email)
        others = Registration.objects.live().filter(
            event=self.instance.event, email_key=email_key(email)
        )
        if not self.instance.cancelled_at and others.exclude(pk=self.instance.pk).exists():
            raise ValidationError("Someone else is registered with this address.")
        return email


class SeatInline(admin.TabularInline):
    model = Seat
    extra = 0
    fields = ["session"]
    readonly_fields = ["session"]
    can_delete = False
    verbose_name_plural = "sessions"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MailTimes:
    """When a mail was queued and sent, and is tried next, as the event's clock shows it."""

    @admin.display(description="queued", ordering="created_at")
    def queued(self, mail: OutgoingMail) -> str:
        return moment(mail.created_at, mail.registration.event)

    @admin.display(description="next attempt")
    def next(self, mail: OutgoingMail) -> str:
        waiting = mail.state == OutgoingMail.State.WAITING
        return moment(mail.due_at, mail.registration.event) if waiting else "none"

    @admin.display(description="sent", ordering="sent_at")
    def sent(self, mail: OutgoingMail) -> str:
        return moment(mail.sent_at, mail.registration.event) if mail.sent_at else "no"


class MailInline(MailTimes, admin.TabularInline):
    model = OutgoingMail
    extra = 0
    fields = ["kind", "state", "last_error", "attempts", "queued", "next", "sent"]
    readonly_fields = ["kind", "state", "last_error", "attempts", "queued", "next", "sent"]
    can_delete = False
    verbose_name_plural = "mails to this person"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LinksFilter(admin.SimpleListFilter):
    title = "links"
    parameter_name = "links"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failed", "Failed: the newest mail did not arrive")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Registration]
    ) -> QuerySet[Registration]:
        if self.value() is None:
            return queryset
        mails = OutgoingMail.objects.filter(registration=OuterRef("pk"))
        newest = mails.order_by("-created_at", "-pk").values("state")[:1]
        return queryset.alias(newest=Subquery(newest)).filter(newest=OutgoingMail.State.FAILED)


class CancelledFilter(admin.SimpleListFilter):
    title = "registration"
    parameter_name = "cancelled"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Coming"), ("yes", "Cancelled")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Registration]
    ) -> QuerySet[Registration]:
        if self.value() is None:
            return queryset
        return queryset.filter(cancelled_at__isnull=self.value() == "no")


@admin.register(Registration)
class RegistrationAdmin(admin.ModelAdmin):
    form = RegistrationChangeForm
    list_display = ["name", "email", "organization", "state", "access", "coming", "registered"]
    list_filter = [
        "event",
        CancelledFilter,
        LinksFilter,
        "needs_captions",
        "needs_asl",
        "needs_interpretation",
        "needs_dial_in",
        ("state", admin.AllValuesFieldListFilter),
    ]
    list_select_related = ["event"]
    search_fields = ["name", "email", "organization"]
    readonly_fields = ["event", "own_page", "registered", "cancelled"]
    formfield_overrides = {models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}
    view_on_site = False
    inlines = [SeatInline, MailInline]
    actions = ["send_links_again", "cancel"]
    fieldsets = [
        (
            None,
            {
                "fields": ["event", "name", "email", "organization", "state", "time_zone"],
                "description": "A new email address gets the links at once. "
                "People register on the public page, or you do it there for them.",
            },
        ),
        (
            "Access needs",
            {
                "fields": [
                    "needs_captions",
                    "needs_asl",
                    "needs_interpretation",
                    "needs_dial_in",
                ]
            },
        ),
        ("More", {"fields": ["strategies", "own_page", "registered", "cancelled"]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """To cancel is enough, and it can be looked up later who was there."""
        return False

    def save_model(self, request: HttpRequest, obj: Registration, form: Any, change: bool) -> None:
        email, before = obj.email, form.initial["email"]
        obj.email = before
        super().save_model(request, obj, form, change)
        if email == before:
            return
        try:
            signup.correct_email(registration=obj, email=email)
        except signup.AddressTaken:
            messages.error(request, f"Someone else has just registered as {email}.")
        else:
            if not obj.cancelled_at:
                messages.info(request, f"New links go to {email}; the old ones have ended.")

    @admin.display(description="registered", ordering="created_at")
    def registered(self, registration: Registration) -> str:
        return moment(registration.created_at, registration.event)

    @admin.display(description="cancelled")
    def cancelled(self, registration: Registration) -> str:
        when = registration.cancelled_at
        return moment(when, registration.event) if when else "no"

    @admin.display(description="access needs")
    def access(self, registration: Registration) -> str:
        return ", ".join(
            word
            for word, needed in (
                ("captions", registration.needs_captions),
                ("ASL", registration.needs_asl),
                ("interpretation", registration.needs_interpretation),
                ("dial-in", registration.needs_dial_in),
            )
            if needed
        )

    @admin.display(description="coming", boolean=True, ordering="cancelled_at")
    def coming(self, registration: Registration) -> bool:
        return registration.cancelled_at is None

    @admin.display(description="own page")
    def own_page(self, registration: Registration) -> str:
        return format_html(
            '<a href="{}">Open it</a> (secret: whoever has this address can join as this person)',
            registration.get_absolute_url(),
        )

    @admin.action(description="Mail the links again")
    def send_links_again(self, request: HttpRequest, queryset: QuerySet[Registration]) -> None:
        sent = signup.resend_links(registrations=queryset)
        mails = "mail is" if sent == 1 else "mails are"
        messages.success(request, f"{sent} {mails} on the way.")
        if sent < len(queryset):
            messages.warning(
                request,
                f"{len(queryset) - sent} were left out: cancelled, or mailed within ten minutes.",
            )

    @admin.action(description="Cancel the selected registrations")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Registration]) -> None:
        for registration in queryset.filter(cancelled_at=None):
            signup.cancel(registration=registration)
        messages.success(request, "Cancelled. Their links no longer work.")


@admin.register(OutgoingMail)
class OutgoingMailAdmin(MailTimes, admin.ModelAdmin):
    """What is owed, what was sent, and what went wrong. To look at only."""

    list_display = ["recipient", "status", "last_error", "kind", "attempts", "queued", "sent"]
    fields = ["registration", "kind", "status", "last_error", "attempts", "queued", "next", "sent"]
    list_filter = ["state", "kind", "registration__event"]
    list_select_related = ["registration__event"]
    search_fields = ["registration__name", "registration__email", "last_error"]

    @admin.display(description="to", ordering="registration__email")
    def recipient(self, mail: OutgoingMail) -> str:
        return mail.registration.email

    @admin.display(description="state", ordering="state")
    def status(self, mail: OutgoingMail) -> str:
        if mail.state == OutgoingMail.State.FAILED:
            return format_html('<b class="warning">{}</b>', "Failed")
        return mail.get_state_display()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
