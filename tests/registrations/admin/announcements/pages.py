"""The admin's pages of an announcement: their addresses, buttons and texts."""

import html
import re

from django.contrib.messages import get_messages
from django.urls import reverse

from registrations import tasks
from registrations.admin.announcement_review import content_fingerprint
from registrations.mail import announcements
from registrations.models import Announcement, OutgoingMail

LIST = "/admin/registrations/announcement/"
ADD = f"{LIST}add/"
ODD = ["abc", "99999999999999999999", "-1", "1x"]


def start(announcement: Announcement) -> Announcement:
    announcements.send_now(announcement=announcement)
    tasks.queue_due_mails()
    announcement.refresh_from_db()
    return announcement


def change_url(announcement: Announcement) -> str:
    return reverse("admin:registrations_announcement_change", args=[announcement.pk])


def review_url(announcement: Announcement) -> str:
    return reverse("admin:registrations_announcement_review", args=[announcement.pk])


def press(client, announcement: Announcement, do: str, **fields):
    """Press a button of the review page, which showed `announcement` as it is."""
    fields = {"do": do, "seen": content_fingerprint(announcement), **fields}
    answer = client.post(review_url(announcement), fields)
    announcement.refresh_from_db()
    return answer


def said(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def text(answer) -> str:
    """Return a page's text, without tags."""
    page = re.sub(r"</?(a|b|span)\b[^>]*>", "", answer.content.decode())
    page = re.sub(r"<head>.*</head>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(page).split())


def buttons(answer) -> list[str]:
    return re.findall(r'name="do" value="([^"]+)"', answer.content.decode())


def filled(week, **changes) -> dict:
    """Return what a browser posts when an organizer fills in the form."""
    fields = {"event": week.pk, "subject_en": "News", "body_en": "Hello", "audience": "all"}
    return {**fields, "session": "", "track": "", "organization": "", "us_state": "", **changes}


def errors(client, week, **changes) -> dict:
    """Return the form's errors for these values."""
    answer = client.post(ADD, filled(week, **changes))
    return answer.context["adminform"].form.errors if answer.status_code == 200 else {}


def queued_tests() -> list[OutgoingMail]:
    return list(OutgoingMail.objects.filter(kind="test"))
