"""What members of staff may do: no more than their permissions say."""

import csv
import datetime as dt
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from events.models import Event
from registrations.mail import stored_messages
from registrations.models import Question, Registration
from tests.admin_pages import act, act_surely, form_of, path
from tests.people import sign_up

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/registrations/registration/"


def member(*permissions: str, name: str = "helper") -> User:
    user = User.objects.create_user(name, f"{name}@example.org", "correct horse", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=permissions).exclude(
            content_type__app_label="sessions"
        )
    )
    assert user.user_permissions.count() == len(permissions)
    return user


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice(week) -> Registration:
    question = Question.objects.create(event=week, text="Anything else?", kind="text")
    return sign_up(
        week, needs=["asl"], needs_other="Hidden need", answers={question: "Hidden answer"}
    )


# Sensitive fields

SENSITIVE = ("Hidden need", "Hidden answer", "ASL")


@pytest.mark.parametrize("verb", ["view", "change"])
def test_access_needs_and_answers_need_their_own_permission(alice, verb):
    question = Question.objects.get()
    for extra, expected in (((), False), (("view_sensitive_data",), True)):
        permissions = ("view_registration", f"{verb}_registration", "view_question", *extra)
        user = member(*sorted(set(permissions)), name=f"helper{len(extra)}")
        client = client_of(user)
        page = client.get(path(alice)).content.decode()
        assert "Alice Adams" in page
        assert ("Hidden need" in page, "Hidden answer" in page) == (expected, expected)
        assert ("ASL" in client.get(PEOPLE).content.decode()) == expected
        assert (client.get(f"{PEOPLE}?need=asl").status_code == 200) == expected
        assert client.get(f"{PEOPLE}?needs_other__startswith=Hidden").status_code == 400
        answers = client.get(f"/admin/registrations/question/{question.pk}/answers/")
        assert answers.status_code == (200 if expected else 403)
        export = act(client, Registration, "export_csv", alice)
        assert all((text in export) == expected for text in SENSITIVE)
        (row,) = csv.DictReader(io.StringIO(export.removeprefix("\ufeff")))
        assert row["Email"] == "alice@example.org"


def test_saving_without_that_permission_keeps_the_needs(alice):
    client = client_of(member("view_registration", "change_registration"))
    values = form_of(client, path(alice))
    assert not {"needs", "needs_other"} & set(values)
    values |= {"name": "Alice Brown", "needs": "captions", "needs_other": "Changed"}
    assert client.post(path(alice), values).status_code == 302
    alice.refresh_from_db()
    assert (alice.name, alice.needs, alice.needs_other) == ("Alice Brown", ["asl"], "Hidden need")


def test_lists_cannot_be_filtered_by_what_no_page_shows(alice):
    """Otherwise a viewer finds a token or a sign-in code, one character at a time."""
    client = client_of(member("view_registration", "view_outgoingmail", "view_seat"))
    stored_messages.queue(
        recipient="bob@example.org",
        subject="Code",
        text="ABCD-EFGH",
        valid_for=dt.timedelta(hours=1),
    )
    for url in (
        f"{PEOPLE}?token__startswith={alice.token[:1]}",
        f"{PEOPLE}?email_key__startswith=a",
        "/admin/registrations/outgoingmail/?message__text__startswith=A",
        "/admin/registrations/outgoingmail/?registration__token__startswith=A",
        "/admin/registrations/seat/?registration__token__startswith=A",
    ):
        assert client.get(url).status_code == 400
    announcement = "/admin/registrations/outgoingmail/?announcement__id__exact=1&state__in=sent"
    assert client.get(announcement).status_code == 200


# Exports and erasures are logged


def test_exports_and_erasures_are_logged_with_who_and_how_many(week, alice):
    bob = sign_up(week, "Bob B")
    helper = member("view_registration", "change_registration")
    client = client_of(helper)
    act(client, Registration, "export_csv", alice, bob)
    act_surely(client, "erase", alice, bob)
    entries = LogEntry.objects.filter(object_id=None).order_by("pk")
    assert list(entries.values_list("user", "change_message")) == [
        (helper.pk, "Exported 2 people, without access needs and answers."),
        (helper.pk, "Erased the personal data of 2 people."),
    ]


# Rights


def edit(client: Client, user: User, **changes: str) -> int:
    """Post the change page of an account with all its fields."""
    form = {
        "username": user.username,
        "email": user.email,
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        **changes,
    }
    status: int = client.post(f"/admin/auth/user/{user.pk}/change/", form).status_code
    return status


def rights(user: User) -> tuple:
    user = User.objects.get(pk=user.pk)
    return (
        *(user.is_staff, user.is_superuser, user.email, user.password),
        *(user.groups.count(), user.user_permissions.count()),
    )


def test_nobody_raises_their_own_rights():
    group = Group.objects.create(name="Everything")
    helper = member("view_user", "change_user", "add_user", "delete_user", "view_group")
    helper.user_permissions.add(Permission.objects.get(codename="change_group"))
    client, before = client_of(helper), rights(helper)
    permission = Permission.objects.get(codename="change_registration").pk
    assert (
        edit(
            client,
            helper,
            is_staff="on",
            is_superuser="on",
            groups=str(group.pk),
            user_permissions=str(permission),
        )
        == 302
    )
    assert rights(helper) == before
    url = f"/admin/auth/group/{group.pk}/change/"
    assert client.post(url, {"name": "x", "permissions": [permission]}).status_code == 403
    assert group.permissions.count() == 0


def test_nobody_takes_over_an_account_with_more_rights():
    owner = User.objects.create_superuser("owner", "owner@example.org", "correct horse")
    other = member("change_registration", name="other")
    attendee = User.objects.create_user("attendee", "attendee@example.org")
    client = client_of(member("view_user", "change_user", "add_user", "delete_user"))
    before = [rights(user) for user in (owner, other)]
    for user in (owner, other):
        assert edit(client, user, email="helper@example.org") == 403
        password = {"password1": "battery staple", "password2": "battery staple"}
        url = f"/admin/auth/user/{user.pk}/password/"
        assert client.post(url, {**password, "usable_password": "true"}).status_code == 403
        url = f"/admin/auth/user/{user.pk}/delete/"
        assert client.post(url, {"post": "yes"}).status_code == 403
    assert [rights(user) for user in (owner, other)] == before
    assert edit(client, attendee, email="corrected@example.org", is_staff="on") == 302
    assert rights(attendee)[:3] == (False, False, "corrected@example.org")


def test_superuser_gives_rights():
    owner = User.objects.create_superuser("owner", "owner@example.org", "correct horse")
    helper = member()
    assert edit(client_of(owner), helper, is_staff="on", is_superuser="on") == 302
    assert rights(helper)[:2] == (True, True)


# Drafts


def test_drafts_need_the_view_permission(week):
    opening = week.sessions.get(slug="opening")
    week.sessions.filter(pk=opening.pk).update(status="draft")
    session_page = opening.get_absolute_url()
    for codename, event_status, session_status in (
        (None, 404, 404),
        ("view_event", 200, 404),
        ("view_session", 404, 200),
    ):
        client = client_of(member(*([codename] if codename else []), name=f"{codename}"))
        Event.objects.update(status=Event.Status.PUBLISHED)
        assert client.get(session_page).status_code == session_status
        Event.objects.update(status=Event.Status.DRAFT)
        assert client.get(f"/{week.slug}/").status_code == event_status
