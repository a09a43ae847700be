"""What is owed, what was sent, what went wrong, and whether mail flows."""

import zoneinfo
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html

from events.models import Event
from registrations import monitoring
from registrations.formatting import ago_and_when, current_zone, mails, moment
from registrations.models import UNREACHED_STATES, OutgoingMail
from registrations.outbox import mail_queue

NO_WORDS = "No reason was given."


def status_context() -> dict[str, Any]:
    now = timezone.now()
    zone = current_zone(now)
    found = monitoring.mail_status(now)
    return {
        "status": found,
        "days": monitoring.FAILED_WITHIN.days,
        "at": moment(now, zone),
        "parts": [
            (part.label, found.is_alive(part), ago_and_when(seen_at, now, zone))
            for part, seen_at in found.seen.items()
        ],
        "waiting": [
            (each.kind, mails(each.count), ago_and_when(each.since, now, zone))
            for each in found.waiting
        ],
        "failures": [(words or NO_WORDS, mails(count)) for words, count in found.failures],
        "troubles": [(words, mails(count)) for words, count in found.troubles],
        "counts": [(label, f"{count:,}") for label, count in found.counts.items()],
    }


def _zone(mail: OutgoingMail) -> zoneinfo.ZoneInfo:
    """Its event's; the accounts belong to none."""
    return (mail.registration.event if mail.registration else Event()).zone


class MailTimes:
    """A mail's state and moments, as the event's clock shows them."""

    @admin.display(description="state", ordering="state")
    def status(self, mail: OutgoingMail) -> str:
        if mail.state in UNREACHED_STATES:
            return format_html('<b class="warning">{}</b>', mail.get_state_display())
        return mail.get_state_display()

    @admin.display(description="queued", ordering="created_at")
    def queued(self, mail: OutgoingMail) -> str:
        return moment(mail.created_at, _zone(mail))

    @admin.display(description="next attempt")
    def next(self, mail: OutgoingMail) -> str:
        waiting = mail.state == OutgoingMail.State.WAITING
        return moment(mail.due_at, _zone(mail)) if waiting else "none"

    @admin.display(description="sent", ordering="sent_at")
    def sent(self, mail: OutgoingMail) -> str:
        return moment(mail.sent_at, _zone(mail)) if mail.sent_at else "no"


@admin.register(OutgoingMail)
class OutgoingMailAdmin(MailTimes, admin.ModelAdmin):
    """To look at only, but that what failed can be sent again."""

    list_display = [
        "recipient",
        "status",
        "last_error",
        "kind",
        "session",
        "attempts",
        "queued",
        "sent",
    ]
    fields = [
        "registration",
        "kind",
        "session",
        "announcement",
        "status",
        "last_error",
        "attempts",
        "queued",
        "next",
        "sent",
    ]
    list_filter = ["state", "kind", "registration__event"]
    list_select_related = ["registration__event", "session"]
    search_fields = [
        "registration__name",
        "registration__email",
        "message__recipient",
        "last_error",
    ]
    actions = ["send_again"]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.status_view)
        return [
            path("status/", view, name="registrations_outgoingmail_status"),
            *super().get_urls(),
        ]

    @admin.display(description="to", ordering="registration__email")
    def recipient(self, mail: OutgoingMail) -> str:
        return mail.recipient

    @admin.action(description="Send the selected failed ones again", permissions=["resend"])
    def send_again(self, request: HttpRequest, queryset: Any) -> None:
        chosen = len(queryset)
        with transaction.atomic():
            again = mail_queue.resend(queryset)
        if again:
            messages.success(request, f"{mails(again)} will be tried again within seconds.")
        if again < chosen:
            messages.warning(
                request,
                f"{chosen - again} left as they are: only what failed or came back is sent again, "
                "and nothing of a stopped announcement.",
            )

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("registrations.change_registration")

    def status_view(self, request: HttpRequest) -> HttpResponse:
        """Whether mail flows, and if not, why."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Does mail flow?",
            "opts": self.opts,
            **status_context(),
        }
        return TemplateResponse(request, "admin/registrations/outgoingmail/status.html", context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
