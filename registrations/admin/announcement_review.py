"""The page of an announcement before, during and after sending, and its buttons."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events import languages
from events.admin.shared import by_id, by_id_or_404, counted, render_now, show_result
from events.templatetags.times import zone_name
from registrations.admin.shared import (
    fingerprint,
    page_response,
    preview_language,
    preview_languages,
)
from registrations.formatting import moment
from registrations.mail import announcements, previews
from registrations.mail.announcements import SendingProgress
from registrations.models import UNREACHED_STATES, Announcement, Registration, RegistrationQuerySet
from registrations.outbox import mail_queue

EDITABLE_STATES = (Announcement.State.DRAFT, Announcement.State.SCHEDULED)
# The page reloads this often while emails are being sent.
REFRESH_SECONDS = 5
MAX_AHEAD = dt.timedelta(days=366)

Button = Callable[[admin.ModelAdmin, HttpRequest, Announcement], HttpResponse | None]

CHANGED_MEANWHILE = gettext_lazy(
    "Nothing was sent yet: someone just changed the text or the recipients. Please check it again."
)


class LaterForm(forms.Form):
    """When to send, in the current time zone."""

    send_at = forms.DateTimeField(
        label=gettext_lazy("Day and time"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={
            "required": gettext_lazy("Choose a day and time."),
            "invalid": gettext_lazy("Write it like 2026-10-16T09:00."),
        },
    )

    def clean_send_at(self) -> dt.datetime:
        send_at: dt.datetime = self.cleaned_data["send_at"]
        now = timezone.now()
        if send_at <= now:
            raise ValidationError(_("This time has passed. Choose a later one, or send it now."))
        if send_at > now + MAX_AHEAD:
            raise ValidationError(_("This is more than a year away. Is it the right year?"))
        return send_at


def to_whom(announcement: Announcement) -> str:
    """People in one session: Resentencing; organization: Families United; state: Ohio"""
    text = announcement.Audience(announcement.audience).label_for(announcement.event)
    if narrowed_to := announcement.session or announcement.track:
        text += f": {narrowed_to}"
    if announcement.organization:
        text += _("; organization: %(name)s") % {"name": announcement.organization}
    if announcement.us_state:
        text += _("; state: %(name)s") % {"name": announcement.get_us_state_display()}
    return text


def content_fingerprint(announcement: Announcement) -> str:
    """Return a text that differs when the content or the audience was edited."""
    with languages.in_main_language():
        return fingerprint(forms.model_to_dict(announcement))


def progress_text(announcement: Announcement, progress: SendingProgress, now: dt.datetime) -> str:
    """Describe the state. "Sent" means that no email is waiting."""
    values = {
        "sent": f"{progress.sent:,}",
        "total": f"{progress.total:,}",
        "failed": f"{progress.failed:,}",
    }
    match Announcement.State(announcement.state):
        case Announcement.State.SCHEDULED if announcement.send_at and announcement.send_at > now:
            when = moment(announcement.send_at, announcement.event.zone)
            return _("Scheduled for %(when)s") % {"when": when}
        case Announcement.State.SCHEDULED:
            return _("Starting")
        case Announcement.State.SENDING if progress.waiting:
            return _("Sending %(sent)s of %(total)s") % values
        case Announcement.State.SENDING if progress.failed and progress.sent:
            return _("Sent to %(sent)s, %(failed)s failed") % values
        case Announcement.State.SENDING if progress.failed:
            return _("Sent to no one, %(failed)s failed") % values
        case Announcement.State.SENDING:
            return _("Sent") if progress.sent else _("Sent to no one")
        case Announcement.State.PAUSED:
            return _("Paused at %(sent)s of %(total)s") % values
        case Announcement.State.STOPPED:
            return _("Stopped at %(sent)s of %(total)s") % values
        case Announcement.State.DRAFT:
            return _("Draft")


def went_wrong(announcement: Announcement, progress: SendingProgress) -> bool:
    """Whether sending is over and some people, or all, did not get it."""
    is_over = announcement.state == Announcement.State.SENDING and not progress.waiting
    return is_over and bool(progress.failed or not progress.sent)


def review_page(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    announcement = find_announcement(model_admin, request, object_id)
    with timezone.override(announcement.event.zone):
        if request.method != "POST":
            return review_response(model_admin, request, announcement)
        if not model_admin.has_change_permission(request):
            raise PermissionDenied
        button = BUTTONS.get(request.POST.get("do", ""))
        if button is None:
            raise BadRequest
        try:
            response = button(model_admin, request, announcement)
        except announcements.WrongState:
            messages.warning(
                request,
                _("Nothing was done: this announcement has just changed. Here's its status now."),
            )
            response = None
    return response or redirect("admin:registrations_announcement_review", announcement.pk)


def mail_html(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Return the email as one of the people gets it, for the frame in the page."""
    announcement = find_announcement(model_admin, request, object_id)
    person = preview_person(request, announcement, request.GET.get("person"))
    with translation.override(preview_language(request, person.language)):
        mail = previews.announcement_preview(announcement, person)
    return previews.preview_response(str(mail.alternatives[0][0]))


def find_announcement(
    model_admin: ModelAdmin, request: HttpRequest, object_id: str
) -> Announcement:
    announcement: Announcement = by_id_or_404(model_admin.get_queryset(request), pk=object_id)
    return announcement


def review_response(
    model_admin: ModelAdmin,
    request: HttpRequest,
    announcement: Announcement,
    later_form: LaterForm | None = None,
) -> HttpResponse:
    now, state, send_at = timezone.now(), announcement.state, announcement.send_at
    progress = announcements.progress(announcement, now)
    may_change = model_admin.has_change_permission(request)
    is_starting = state == Announcement.State.SCHEDULED and send_at is not None and send_at <= now
    is_sending = state == Announcement.State.SENDING and progress.waiting > 0
    may_stop = may_change and (is_sending or state == Announcement.State.PAUSED)
    # The page asks for confirmation. It must not reload meanwhile.
    stopping = may_stop and "stop" in request.GET
    context: dict[str, Any] = {
        "title": announcement.subject,
        "announcement": announcement,
        "progress": progress,
        "progress_text": progress_text(announcement, progress, now),
        "went_wrong": went_wrong(announcement, progress),
        "to_whom": to_whom(announcement),
        "may_change": may_change,
        "starting": is_starting,
        "is_sending": is_sending,
        "may_stop": may_stop,
        "stopping": stopping,
    }
    if state in EDITABLE_STATES:
        context |= context_before(request, announcement)
        context["later"] = later_form or LaterForm(initial={"send_at": send_at})
    else:
        context |= context_after(announcement, progress)
    response = page_response(model_admin, request, "announcement/review.html", **context)
    if request.method == "GET" and (is_starting or (is_sending and not stopping)):
        response["Refresh"] = str(REFRESH_SECONDS)
    return render_now(response)


def send_test(
    model_admin: ModelAdmin, request: HttpRequest, announcement: Announcement
) -> HttpResponse:
    person = preview_person(request, announcement, request.POST.get("person"))
    email = getattr(request.user, "email", "")
    if email:
        with translation.override(preview_language(request, person.language)):
            announcements.send_test(announcement=announcement, person=person, email=email)
        model_admin.log_change(request, announcement, _("Sent a test to their own address."))
        messages.success(request, _("A test is on its way to %(email)s.") % {"email": email})
    else:
        text: str = _("Your account has no email address to send a test to.")
        if request.user.has_perm("auth.change_user"):
            url = reverse("admin:auth_user_change", args=[request.user.pk])
            link = _('<a href="{url}#id_email">Enter it here</a>.')
            text = format_html("{} {}", text, format_html(link, url=url))
        else:
            advice = _("Ask the person who made your account to add one.")
            text = f"{text} {advice}"
        messages.error(request, text)
    language = preview_language(request, person.language)
    return redirect(f"{review_url(announcement)}?person={person.pk}&in={language}")


@transaction.atomic
def send_now(model_admin: ModelAdmin, request: HttpRequest, announcement: Announcement) -> None:
    announcement = lock_editable(announcement)
    count = announcements.audience(announcement).count()
    if request.POST.get("seen") != content_fingerprint(announcement):
        messages.warning(request, CHANGED_MEANWHILE)
    elif not count:
        messages.error(request, _("Nothing was sent: no one would get it right now."))
    elif request.POST.get("people") != str(count):
        text = counted(
            count,
            "Nothing was sent yet: it would now go to %(count)s person. If that's right, press the "
            "button again.",
            "Nothing was sent yet: it would now go to %(count)s people. If that's right, press the "
            "button again.",
        )
        messages.warning(request, text)
    else:
        announcements.send_now(announcement=announcement)
        log = counted(count, "Sent to %(count)s person.", "Sent to %(count)s people.")
        model_admin.log_change(request, announcement, log)
        text = counted(
            count,
            "We'll start sending it to %(count)s person within seconds.",
            "We'll start sending it to %(count)s people within seconds.",
        )
        messages.success(request, text)


@transaction.atomic
def send_later(
    model_admin: ModelAdmin, request: HttpRequest, announcement: Announcement
) -> HttpResponse | None:
    announcement = lock_editable(announcement)
    if request.POST.get("seen") != content_fingerprint(announcement):
        messages.warning(request, CHANGED_MEANWHILE)
        return None
    form = LaterForm(request.POST)
    if not form.is_valid():
        return review_response(model_admin, request, announcement, form)
    send_at = form.cleaned_data["send_at"]
    announcements.schedule(announcement=announcement, send_at=send_at)
    when = moment(send_at, announcement.event.zone)
    values = {"when": when}
    model_admin.log_change(request, announcement, _("Scheduled for %(when)s.") % values)
    text = _("We'll send it on %(when)s to everyone who matches then.")
    messages.success(request, text % values)
    return None


def simple_button(change: Callable[..., Any], log_text: Promise, message: Promise) -> Button:
    """Make a button that makes one change, logs it and shows a message."""

    def press(model_admin: ModelAdmin, request: HttpRequest, announcement: Announcement) -> None:
        change(announcement=announcement)
        model_admin.log_change(request, announcement, str(log_text))
        messages.success(request, str(message))

    return press


def resend_failed(
    model_admin: ModelAdmin, request: HttpRequest, announcement: Announcement
) -> None:
    again = announcements.resend_failed(announcement=announcement)
    log = counted(again, "Resent %(count)s email.", "Resent %(count)s emails.")
    model_admin.log_change(request, announcement, log)
    text = counted(
        again,
        "%(count)s email will be sent again within seconds.",
        "%(count)s emails will be sent again within seconds.",
    )
    show_result(request, again, text, otherwise=_("There are no failed emails to resend."))


# What each button does, by the value of `do`.
BUTTONS: dict[str, Button] = {
    "test": send_test,
    "now": send_now,
    "later": send_later,
    "take back": simple_button(
        announcements.unschedule,
        gettext_lazy("Set back to draft."),
        gettext_lazy("It's a draft again. No one got it."),
    ),
    "pause": simple_button(
        announcements.pause,
        gettext_lazy("Paused."),
        gettext_lazy("Paused. A few emails that were already on their way may still arrive."),
    ),
    "resume": simple_button(
        announcements.resume,
        gettext_lazy("Resumed."),
        gettext_lazy("Sending continues where it was paused."),
    ),
    "stop": simple_button(
        announcements.stop,
        gettext_lazy("Stopped."),
        gettext_lazy("Stopped. A few emails that were already on their way may still arrive."),
    ),
    "again": resend_failed,
}


def review_url(announcement: Announcement) -> str:
    return reverse("admin:registrations_announcement_review", args=[announcement.pk])


def lock_editable(announcement: Announcement) -> Announcement:
    """Lock the announcement, so that nobody edits it until it starts. Raises WrongState."""
    locked = Announcement.objects.select_for_update().filter(pk=announcement.pk).first()
    if locked is None or locked.state not in EDITABLE_STATES:
        raise announcements.WrongState
    return locked


def recipients(announcement: Announcement) -> RegistrationQuerySet:
    """Return who would get it now, or who gets it when it was started."""
    if announcement.state in EDITABLE_STATES:
        return announcements.audience(announcement).order_by("pk")
    return Registration.objects.filter(mails__announcement=announcement).order_by("pk")


def preview_person(
    request: HttpRequest, announcement: Announcement, chosen: str | None
) -> Registration:
    """Return the chosen recipient, else the first one.

    Without recipients, and for people who may not see registrations, it is a made-up person.
    """
    person: Registration | None = None
    if admin.site.get_model_admin(Registration).has_view_permission(request):
        rows = recipients(announcement)
        person = by_id(rows, pk=chosen) or rows.first()
    return person or previews.sample_attendee(announcement.event)


def context_before(request: HttpRequest, announcement: Announcement) -> dict[str, Any]:
    """Return what the page shows before an announcement is sent."""
    rows = recipients(announcement)
    chosen = request.GET.get("person") or request.POST.get("person")
    person = preview_person(request, announcement, chosen)
    # A made-up person has no neighbors.
    neighbors = rows if person.pk else rows.none()
    before = neighbors.filter(pk__lt=person.pk)
    readers = dict(rows.order_by().values_list("language").annotate(Count("pk")))
    language = preview_language(request, person.language)
    with translation.override(language):
        mail = previews.announcement_preview(announcement, person)
    return {
        "count": sum(readers.values()),
        "is_untranslated": not all(is_written(announcement, code) for code in readers),
        "readers": [
            (name, readers[code], is_written(announcement, code))
            for code, name in preview_languages()
            if code in readers
        ],
        "left_out": announcements.left_out(announcement),
        "zone_name": zone_name(announcement.event.zone),
        "person": person,
        "number": before.count() + 1,
        "previous": before.last(),
        "following": neighbors.filter(pk__gt=person.pk).first(),
        "mail": mail,
        "html_url": f"{review_url(announcement)}mail/?person={person.pk}&in={language}",
        "language": language,
        "languages": preview_languages(),
        "fingerprint": content_fingerprint(announcement),
    }


def is_written(announcement: Announcement, code: str) -> bool:
    """Whether the announcement is written in that language."""
    return all(getattr(announcement, languages.column(each, code)) for each in ("subject", "body"))


def context_after(announcement: Announcement, progress: SendingProgress) -> dict[str, Any]:
    """Return what the page shows once an announcement was started."""
    # Emails that are no longer needed aren't missing, but those of a stopped announcement are.
    if announcement.state == Announcement.State.STOPPED:
        done, expected = progress.sent, progress.total
    else:
        done, expected = progress.sent + progress.failed, progress.total - progress.dropped
    return {
        "done": done,
        "of": expected,
        "percent": 100 * done // expected if expected else 0,
        "again": announcement.mails.filter(state__in=mail_queue.RESENDABLE_STATES).count(),
        "unreached_states": ",".join(UNREACHED_STATES),
        "html_url": f"{review_url(announcement)}mail/",
    }
