"""An announcement before, while and after it is sent: one page, and its buttons."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from events.admin.shared import by_id
from events.templatetags.times import zone_name
from registrations.formatting import counted, mails, moment, people, time_left
from registrations.mail import announcements, previews
from registrations.mail.previews import preview_response
from registrations.models import UNREACHED_STATES, Announcement, Registration, RegistrationQuerySet
from registrations.outbox import mail_queue

State = Announcement.State
Audience = Announcement.Audience

EDITABLE_STATES = (State.DRAFT, State.SCHEDULED)
# While mails leave, the page is fetched anew so often.
REFRESH_SECONDS = 5
FURTHEST = dt.timedelta(days=366)

CHANGED_MEANWHILE = (
    "Nothing was sent yet: the text or its audience was changed meanwhile. Look at it again."
)
STILL_ON_ITS_WAY = "What was on its way just now may still arrive."


class LaterForm(forms.Form):
    """When to send; read and shown in the time zone that is current."""

    send_at = forms.DateTimeField(
        label="Day and hour",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={
            "required": "Choose the day and the hour.",
            "invalid": "Write it like 2026-10-16T09:00.",
        },
    )

    def clean_send_at(self) -> dt.datetime:
        send_at: dt.datetime = self.cleaned_data["send_at"]
        now = timezone.now()
        if send_at <= now:
            raise ValidationError("This moment has passed. Choose a later one, or send it now.")
        if send_at > now + FURTHEST:
            raise ValidationError("This is more than a year ahead. Is it the right year?")
        return send_at


def to_whom(announcement: Announcement) -> str:
    """People in one session: Resentencing; only of Families United, in Ohio"""
    narrowed = announcement.session or announcement.track
    words = announcement.get_audience_display()
    if narrowed:
        words += f": {narrowed}"
    only = [f"of {announcement.organization}"] if announcement.organization else []
    only += [f"in {announcement.get_us_state_display()}"] if announcement.us_state else []
    return f"{words}; only {', '.join(only)}" if only else words


def fingerprint(announcement: Announcement) -> str:
    """Tells whether the text and the audience are those that somebody has looked at."""
    names = ("event_id", "subject", "body", "audience")
    narrowing = ("session_id", "track_id", "organization", "us_state")
    seen = [getattr(announcement, name) for name in (*names, *narrowing)]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def progress_words(
    announcement: Announcement,
    now: dt.datetime,
    *,
    total: int,
    sent: int,
    waiting: int,
    failed: int,
) -> str:
    """How far it has come; "sent" is what nothing waits of."""
    match State(announcement.state):
        case State.SCHEDULED if announcement.send_at and announcement.send_at > now:
            return f"Scheduled for {moment(announcement.send_at, announcement.event.zone)}"
        case State.SCHEDULED:
            return "Starting"
        case State.SENDING:
            if waiting:
                return f"Sending {sent:,} of {total:,}"
            if sent and not failed:
                return "Sent"
            words = f"Sent to {sent:,}" if sent else "Sent to nobody"
            return f"{words}, {failed:,} failed" if failed else words
        case State.PAUSED:
            return f"Paused at {sent:,} of {total:,}"
        case State.STOPPED:
            return f"Stopped at {sent:,} of {total:,}"
        case State.DRAFT:
            return "Draft"


def went_wrong(announcement: Announcement, *, sent: int, waiting: int, failed: int) -> bool:
    """Nothing waits any more, and somebody, or everybody, did not get it."""
    ended = announcement.state == State.SENDING and not waiting
    return ended and bool(failed or not sent)


class ReviewMixin:
    """The review page of an announcement, for its ModelAdmin."""

    admin_site: Any
    opts: Any

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/review/",
                view(self.review_view),
                name="registrations_announcement_review",
            ),
            path(
                "<path:object_id>/review/mail/",
                view(self.mail_view),
                name="registrations_announcement_mail",
            ),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def review_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        announcement = self._found(request, object_id)
        with timezone.override(announcement.event.zone):
            if request.method != "POST":
                return self._page(request, announcement)
            if not self.has_change_permission(request):  # type: ignore[attr-defined]
                raise PermissionDenied
            button = BUTTONS.get(request.POST.get("do", ""))
            if button is None:
                raise BadRequest
            try:
                answer = button(self, request, announcement)
            except announcements.WrongState:
                messages.warning(
                    request,
                    "Nothing was done: this announcement has moved on meanwhile. "
                    "Here is how it stands now.",
                )
                answer = None
        return answer or redirect("admin:registrations_announcement_review", announcement.pk)

    def mail_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The mail as one of its people gets it, for a frame."""
        announcement = self._found(request, object_id)
        person = _person(request, announcement, request.GET.get("person"))
        return preview_response(
            str(previews.announcement_preview(announcement, person).alternatives[0][0])
        )

    def _found(self, request: HttpRequest, object_id: str) -> Announcement:
        found: Announcement | None = self.get_object(request, unquote(object_id))  # type: ignore[attr-defined]
        if found is None:
            raise Http404
        if not self.has_view_permission(request, found):  # type: ignore[attr-defined]
            raise PermissionDenied
        return found

    def _page(
        self, request: HttpRequest, announcement: Announcement, later: LaterForm | None = None
    ) -> HttpResponse:
        now = timezone.now()
        progress = announcements.progress(announcement, now)
        may_change = self.has_change_permission(request)  # type: ignore[attr-defined]
        stopping = False
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": announcement.subject,
            "announcement": announcement,
            "progress": progress,
            "progress_words": progress_words(
                announcement,
                now,
                total=progress.total,
                sent=progress.sent,
                waiting=progress.waiting,
                failed=progress.failed,
            ),
            "went_wrong": went_wrong(
                announcement,
                sent=progress.sent,
                waiting=progress.waiting,
                failed=progress.failed,
            ),
            "to_whom": to_whom(announcement),
            "may_change": may_change,
        }
        if announcement.state in EDITABLE_STATES:
            context |= _before(request, announcement) | {
                "later": later or LaterForm(initial={"send_at": announcement.send_at}),
            }
            starting = announcement.state == State.SCHEDULED and announcement.send_at <= now  # type: ignore[operator]
        else:
            context |= _after(announcement, progress)
            starting = False
            # Asked for: the page then stays as it is until the answer.
            stopping = may_change and context["may_stop"] and "stop" in request.GET
        context |= {"starting": starting, "stopping": stopping}
        template = "admin/registrations/announcement/review.html"
        response = TemplateResponse(request, template, context)
        sending = announcement.state == State.SENDING and progress.waiting
        if request.method == "GET" and (starting or sending) and not stopping:
            response["Refresh"] = str(REFRESH_SECONDS)
        # Rendered here: outside its times would be another zone's.
        return response.render()

    def _send_test(self, request: HttpRequest, announcement: Announcement) -> HttpResponse:
        person = _person(request, announcement, request.POST.get("person"))
        email = getattr(request.user, "email", "")
        if not email:
            messages.error(request, _where_to_set_the_address(request))
        else:
            announcements.send_test(announcement=announcement, person=person, email=email)
            messages.success(request, f"A test is on its way to {email}.")
        return redirect(f"{_review_url(announcement)}?person={person.pk}")

    @transaction.atomic
    def _send_now(self, request: HttpRequest, announcement: Announcement) -> None:
        announcement = _held(announcement)
        seen, count = request.POST.get("people"), announcements.audience(announcement).count()
        if not _is_as_seen(request, announcement):
            messages.warning(request, CHANGED_MEANWHILE)
        elif not count:
            messages.error(request, "Nothing was sent: it would go to nobody now.")
        elif seen != str(count):
            messages.warning(
                request,
                f"Nothing was sent yet: meanwhile it would go to {people(count)}. "
                "If that is right, press the button again.",
            )
        else:
            announcements.send_now(announcement=announcement)
            self._log(request, announcement, f"Sent to {people(count)}.")
            messages.success(request, f"It goes out to {people(count)} within seconds.")

    @transaction.atomic
    def _send_later(self, request: HttpRequest, announcement: Announcement) -> HttpResponse | None:
        announcement = _held(announcement)
        if not _is_as_seen(request, announcement):
            messages.warning(request, CHANGED_MEANWHILE)
            return None
        form = LaterForm(request.POST)
        if not form.is_valid():
            return self._page(request, announcement, form)
        send_at = form.cleaned_data["send_at"]
        announcements.schedule(announcement=announcement, send_at=send_at)
        when = moment(send_at, announcement.event.zone)
        self._log(request, announcement, f"Scheduled for {when}.")
        messages.success(request, f"It goes out on {when}, to those who fit then.")
        return None

    def _take_back(self, request: HttpRequest, announcement: Announcement) -> None:
        announcements.unschedule(announcement=announcement)
        self._log(request, announcement, "Taken back.")
        messages.success(request, "Taken back: it is a draft again, and nobody has got it.")

    def _pause(self, request: HttpRequest, announcement: Announcement) -> None:
        announcements.pause(announcement=announcement)
        self._log(request, announcement, "Paused.")
        messages.success(request, f"Paused. {STILL_ON_ITS_WAY}")

    def _resume(self, request: HttpRequest, announcement: Announcement) -> None:
        announcements.resume(announcement=announcement)
        self._log(request, announcement, "Resumed.")
        messages.success(request, "It goes on where it was paused.")

    def _stop(self, request: HttpRequest, announcement: Announcement) -> None:
        announcements.stop(announcement=announcement)
        self._log(request, announcement, "Stopped.")
        messages.success(request, f"Stopped. {STILL_ON_ITS_WAY}")

    def _send_failed_again(self, request: HttpRequest, announcement: Announcement) -> None:
        again = announcements.resend_failed(announcement=announcement)
        self._log(request, announcement, f"Sent again: {mails(again)}.")
        messages.success(request, f"{mails(again)} will be tried again within seconds.")

    def _log(self, request: HttpRequest, announcement: Announcement, words: str) -> None:
        """Who pressed the button can be read under History."""
        self.log_change(request, announcement, words)  # type: ignore[attr-defined]


Button = Callable[[ReviewMixin, HttpRequest, Announcement], HttpResponse | None]
BUTTONS: dict[str, Button] = {
    "test": ReviewMixin._send_test,
    "now": ReviewMixin._send_now,
    "later": ReviewMixin._send_later,
    "take back": ReviewMixin._take_back,
    "pause": ReviewMixin._pause,
    "resume": ReviewMixin._resume,
    "stop": ReviewMixin._stop,
    "again": ReviewMixin._send_failed_again,
}


def _review_url(announcement: Announcement) -> str:
    return reverse("admin:registrations_announcement_review", args=[announcement.pk])


def _held(announcement: Announcement) -> Announcement:
    """As the database has it, so that it cannot be written on until it goes. Raises WrongState."""
    held = Announcement.objects.select_for_update().filter(pk=announcement.pk).first()
    if held is None or held.state not in EDITABLE_STATES:
        raise announcements.WrongState
    return held


def _is_as_seen(request: HttpRequest, announcement: Announcement) -> bool:
    return request.POST.get("seen") == fingerprint(announcement)


def _people(announcement: Announcement) -> RegistrationQuerySet:
    """Who would get it, or once it was started: who gets it."""
    if announcement.state in EDITABLE_STATES:
        return announcements.audience(announcement).order_by("pk")
    return Registration.objects.filter(mails__announcement=announcement).order_by("pk")


def _person(request: HttpRequest, announcement: Announcement, chosen: str | None) -> Registration:
    """The chosen one of its people, else the first, else someone made up.

    Someone made up, too, for those who may not look at registrations.
    """
    user: Any = request.user
    may_look = ("registrations.view_registration", "registrations.change_registration")
    if not any(user.has_perm(name) for name in may_look):
        return previews.sample_attendee(announcement.event)
    found = _people(announcement)
    person: Registration | None = by_id(found, pk=chosen) or found.first()
    return person or previews.sample_attendee(announcement.event)


def _before(request: HttpRequest, announcement: Announcement) -> dict[str, Any]:
    """What organizers look at before they send."""
    found = _people(announcement)
    count = found.count()
    left_out = announcements.left_out(announcement)
    chosen = request.GET.get("person") or request.POST.get("person")
    person = _person(request, announcement, chosen)
    # Someone made up has no neighbours.
    neighbours = found if person.pk else found.none()
    before, after = neighbours.filter(pk__lt=person.pk), neighbours.filter(pk__gt=person.pk)
    review = _review_url(announcement)
    mail = previews.announcement_preview(announcement, person)
    earlier, later = before.last(), after.first()
    return {
        "count": count,
        "people": people(count),
        "left_out": _left_out_words(left_out),
        "zone_name": zone_name(announcement.event.zone),
        "person": person,
        "number": f"{before.count() + 1:,} of {count:,}",
        "previous_url": f"{review}?person={earlier.pk}" if earlier else "",
        "next_url": f"{review}?person={later.pk}" if later else "",
        "mail": mail,
        "html_url": f"{review}mail/?person={person.pk}",
        "fingerprint": fingerprint(announcement),
    }


def _left_out_words(left_out: announcements.LeftOut) -> list[str]:
    words = []
    if left_out.unsubscribed:
        wants = "wants" if left_out.unsubscribed == 1 else "want"
        words.append(f"{people(left_out.unsubscribed)} {wants} no announcements")
    if left_out.unreachable:
        whose = counted(left_out.unreachable, "person whose", "people whose")
        words.append(f"{whose} newest mail did not get there")
    return words


def _after(announcement: Announcement, progress: announcements.Progress) -> dict[str, Any]:
    """What organizers look at once it was started."""
    again = announcement.mails.filter(state__in=mail_queue.RESENDABLE_STATES).count()
    listed = reverse("admin:registrations_outgoingmail_changelist")
    failed = ",".join(UNREACHED_STATES)
    sending = announcement.state == State.SENDING and progress.waiting
    stopped = announcement.state == State.STOPPED
    # What is no longer needed is not missing; what was stopped is.
    of = progress.total if stopped else progress.total - progress.dropped
    done = progress.sent if stopped else progress.sent + progress.failed
    return {
        "done": done,
        "of": of,
        "percent": 100 * done // of if of else 0,
        "may_stop": sending or announcement.state == State.PAUSED,
        "figures": [
            ("Sent", f"{progress.sent:,}", ""),
            ("Waiting", f"{progress.waiting:,}", ""),
            (
                "Failed",
                f"{progress.failed:,}",
                f"{listed}?announcement__id__exact={announcement.pk}&state__in={failed}"
                if progress.failed
                else "",
            ),
            ("Not sent" if stopped else "No longer needed", f"{progress.dropped:,}", ""),
        ],
        "total": f"{progress.total:,}",
        "sent_to": people(progress.sent) if progress.sent else "nobody",
        "failed": f"{progress.failed:,}" if progress.failed else "",
        "still_to_go": mails(progress.waiting),
        "time_left": time_left(progress.time_left) if sending else "",
        "again": counted(again, "failed one", "failed ones") if again else "",
        "html_url": f"{_review_url(announcement)}mail/",
        "started": moment(announcement.started_at, announcement.event.zone)
        if announcement.started_at
        else "",
    }


def _where_to_set_the_address(request: HttpRequest) -> str:
    user: Any = request.user
    words = "Your account has no email address to send a test to."
    if not user.has_perm("auth.change_user"):
        return f"{words} Ask whoever made your account to enter it."
    url = reverse("admin:auth_user_change", args=[user.pk])
    return format_html('{} <a href="{}#id_email">Enter it here</a>.', words, url)
