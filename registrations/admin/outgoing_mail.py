"""The outbox: what waits, what was sent, what failed, and whether sending works."""

import zoneinfo
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.admin.archive import EventFilter
from events.admin.shared import by_id_or_404, counted, show_result, warning
from events.models import Event, Session
from registrations import monitoring
from registrations.admin.shared import (
    ChangeOnlyAdmin,
    admin_path,
    log_bulk_action,
    page_response,
    preview_language,
    preview_languages,
)
from registrations.formatting import current_zone, moment
from registrations.mail import change_notices, previews
from registrations.models import UNREACHED_STATES, OutgoingMail
from registrations.outbox import mail_queue


def event_zone(mail: OutgoingMail) -> zoneinfo.ZoneInfo:
    """Return the event's zone. Emails of accounts belong to no event."""
    return (mail.registration.event if mail.registration else Event()).zone


@admin.display(description=gettext_lazy("status"), ordering="state")
def status(mail: OutgoingMail) -> str:
    text = mail.get_state_display()
    return warning(text) if mail.state in UNREACHED_STATES else text


@admin.display(description=gettext_lazy("queued"), ordering="created_at")
def queued(mail: OutgoingMail) -> str:
    return moment(mail.created_at, event_zone(mail))


@admin.display(description=gettext_lazy("next try"))
def next_attempt(mail: OutgoingMail) -> str:
    is_waiting = mail.state == OutgoingMail.State.WAITING
    return moment(mail.due_at, event_zone(mail)) if is_waiting else _("None")


@admin.display(description=gettext_lazy("sent"), ordering="sent_at")
def sent(mail: OutgoingMail) -> str:
    return moment(mail.sent_at, event_zone(mail)) if mail.sent_at else _("No")


@admin.action(description=gettext_lazy("Resend the selected failed emails"), permissions=["resend"])
def send_again(model_admin: ModelAdmin, request: HttpRequest, queryset: Any) -> None:
    chosen = len(queryset)
    event_ids = {*queryset.values_list("registration__event", flat=True)}
    with transaction.atomic():
        again = mail_queue.resend(queryset)
    if again:
        for event_id in event_ids:
            log = _("Resent emails that had failed or come back.")
            log_bulk_action(request, OutgoingMail, log, event_id)
    text = counted(
        again,
        "%(count)s email will be sent again within seconds.",
        "%(count)s emails will be sent again within seconds.",
    )
    reason = _(
        "only emails that failed or came back can be resent, and none from a stopped announcement."
    )
    show_result(request, again, text, left=chosen - again, reason=reason)


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ChangeOnlyAdmin):
    """Read-only, but organizers can send failed emails again."""

    other_filters = ("announcement", "created_at")

    list_display = [
        *("recipient", status, "last_error", "kind", "session"),
        *("attempts", queued, sent),
    ]
    fields: ClassVar[Any] = [
        *("registration", "kind", "session", "announcement"),
        *(status, "last_error", "attempts", queued, next_attempt, sent),
    ]
    list_filter = ["state", "kind", ("registration__event", EventFilter)]
    list_select_related = ["registration__event", "session"]
    search_fields = [
        *("registration__search_key__contains", "message__search_key__icontains"),
        "last_error__icontains",
    ]
    actions = [send_again]

    def get_urls(self) -> list[Any]:
        url = "notice/<str:session_id>/"
        return [
            admin_path(self, "status/", status_page, "status"),
            admin_path(self, url, notice_page, "notice"),
            admin_path(self, f"{url}html/", notice_html, "notice_html"),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("to"), ordering="registration__email")
    def recipient(self, mail: OutgoingMail) -> str:
        return mail.recipient

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("registrations.change_registration")


def status_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Show whether emails are being sent, and if not, why."""
    now = timezone.now()
    status = monitoring.mail_status(now)
    processes = [
        (process.label, status.is_alive(process), at) for process, at in status.seen.items()
    ]
    return page_response(
        model_admin,
        request,
        "outgoingmail/status.html",
        title=_("Email status"),
        status=status,
        processes=processes,
        zone=current_zone(now),
        days=monitoring.FAILED_WITHIN.days,
        pending=change_notices.all_pending_notices(now),
        may_see_pending=request.user.has_perm("events.view_session"),
    )


def notice_page(model_admin: ModelAdmin, request: HttpRequest, session_id: str) -> HttpResponse:
    """Show the pending email about a session as one of the people would get it."""
    session = _session_or_404(session_id)
    example = change_notices.example(session, timezone.now())
    mail, language = None, preview_language(request, example.person.language if example else "")
    if example:
        with translation.override(language):
            mail = previews.notice_preview(session, example, timezone.now())
    return page_response(
        model_admin,
        request,
        "outgoingmail/notice.html",
        title=_("The email about “%(session)s”") % {"session": session},
        session=session,
        person=example.person if example else None,
        mail=mail,
        html_url=f"{reverse('admin:registrations_outgoingmail_notice_html', args=[session.pk])}"
        f"?in={language}",
        language=language,
        languages=preview_languages(),
    )


def notice_html(model_admin: ModelAdmin, request: HttpRequest, session_id: str) -> HttpResponse:
    """Return the email itself, for the frame in the page."""
    session, now = _session_or_404(session_id), timezone.now()
    example = change_notices.example(session, now)
    if example is None:
        raise Http404
    with translation.override(preview_language(request, example.person.language)):
        mail = previews.notice_preview(session, example, now)
    if mail is None:
        raise Http404
    return previews.preview_response(str(mail.alternatives[0][0]))


def _session_or_404(session_id: str) -> Session:
    session: Session = by_id_or_404(Session.objects.with_details(), pk=session_id)
    return session
