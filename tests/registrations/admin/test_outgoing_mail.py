"""Emails in the admin: organizers' own texts, the outbox, and unreachable people."""

import html
import re

import pytest
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from events.models import Event
from registrations.mail import announcements, previews, unsubscribe
from registrations.mail.writer import writer_for
from registrations.mail_kinds import MailKind
from registrations.models import Announcement, MailText, OutgoingMail, Registration, Seat
from registrations.outbox import delivery
from tests.admin_pages import act, form_of, path
from tests.people import sign_up

pytestmark = pytest.mark.django_db

LIST = "/admin/registrations/mailtext/"
ADD = f"{LIST}add/"
UNSAVED = f"{LIST}preview/"
MAILS = "/admin/registrations/outgoingmail/"
PEOPLE = "/admin/registrations/registration/"
KINDS = [kind for kind in MailKind if kind.spec.subject]


@pytest.fixture
def viewer(client, django_user_model):
    """A client of someone who may view everything, and change nothing."""
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    return client


def filled(week, **changes) -> dict:
    return {"event": week.pk, "kind": "links", "subject_en": "", "opening_en": "", **changes}


def errors(client, week, **changes) -> dict:
    """Return the form's errors for these values."""
    answer = client.post(ADD, filled(week, **changes))
    return answer.context["adminform"].form.errors if answer.status_code == 200 else {}


def preview(week, kind: str) -> str:
    return f"{LIST}preview/{week.pk}/{kind}/"


def shown(answer) -> str:
    """Return a page's text, without tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def queries(client, url: str) -> int:
    with CaptureQueriesContext(connection) as context:
        assert client.get(url).status_code == 200
    return len(context)


# Own texts


@pytest.mark.once
def test_own_texts_are_saved_and_used(admin_client, week):
    admin_client.post(ADD, filled(week, subject_en="For {name}", opening_en="Come to {event}."))
    page = admin_client.get(preview(week, "links"))
    assert page.context["mail"].subject == "For Siobhán O'Brien & Co"
    assert f"Come to {week.name}." in page.context["mail"].body


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject_en": "One\ntwo"}, {"subject_en": ["Write the subject on one line."]}),
        (
            {"subject_en": "{session}"},
            {
                "subject_en": [
                    "There's no placeholder {session} here. "
                    "You can use: {name}, {event}, {host}, {dates}, {when}."
                ]
            },
        ),
        (
            {"opening_en": "{"},
            {
                "opening_en": [
                    "There's a { without a }, or a } without a {. To show a brace, type it twice: "
                    "{{ or }}. You can use: {name}, {event}, {host}, {dates}, {when}."
                ]
            },
        ),
        ({"kind": "doors", "subject_en": "{session}"}, {}),
        *(
            (
                {"kind": kind},
                {"kind": [f"Select a valid choice. {kind} is not one of the available choices."]},
            )
            for kind in ("announcement", "account", "test")
        ),
    ],
)
def test_invalid_text_is_explained_at_the_field(admin_client, week, changes, expected):
    assert errors(admin_client, week, **changes) == expected


def test_second_text_of_a_kind_is_refused_at_the_field(admin_client, week):
    text = MailText.objects.create(event=week, kind="links")
    assert errors(admin_client, week) == {
        "kind": ["This event already has a text for this kind. Change that one instead."]
    }
    url = f"{LIST}{text.pk}/change/"
    form = form_of(admin_client, url) | {"subject_en": "Mine"}
    assert admin_client.post(url, form).status_code == 302


@pytest.mark.once
def test_form_shows_the_default_texts_and_the_placeholders(admin_client, week):
    form = admin_client.get(f"{ADD}?event={week.pk}&kind=doors").context["adminform"].form
    assert form.fields["subject_en"].help_text == f"If empty: “{MailKind.DOORS.spec.subject}”"
    opening = form.fields["opening_en"].help_text
    assert html.escape(str(MailKind.DOORS.spec.opening)) in opening
    assert "“Hello &lt;name&gt;,” is added before it" in opening
    unchosen = admin_client.get(f"{ADD}?event={week.pk}").content.decode()
    assert "“Hello &lt;name&gt;,” is added before it" in unchosen
    assert re.findall(r"<code>([^<]+)</code> ([^<]+)", opening) == [
        ("{name}", html.escape("the person's name")),
        ("{event}", html.escape("the event's name")),
        ("{host}", html.escape("the host's name")),
        ("{session}", html.escape("the session's title")),
    ]


@pytest.mark.once
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_preview(admin_client, week, kind):
    page = admin_client.get(preview(week, kind))
    assert page.context["mail"].to == ["siobhan@example.org"]
    mail = admin_client.get(page.context["html_url"])
    assert (mail.status_code, mail["X-Frame-Options"]) == (200, "SAMEORIGIN")


@pytest.mark.once
def test_list_links_to_the_preview_of_every_kind(admin_client, week):
    page = admin_client.get(LIST).content.decode()
    assert [kind for kind in KINDS if preview(week, kind) not in page] == []


def test_list_takes_the_same_queries_for_1_row_as_for_4(admin_client, week):
    MailText.objects.create(event=week, kind="links")
    one = queries(admin_client, LIST)
    for kind in ("doors", "day", "hour"):
        MailText.objects.create(event=week, kind=kind)
    assert queries(admin_client, LIST) == one


@pytest.mark.once
def test_preview_explains_that_the_event_has_no_sessions(admin_client):
    event = Event.objects.create(name="New", slug="new", host="Us")
    page = admin_client.get(preview(event, "links"))
    assert "This event has no sessions yet." in page.content.decode()
    assert admin_client.get(f"{preview(event, 'links')}html/").status_code == 404


@pytest.mark.once
def test_unsaved_texts_are_previewed_and_not_saved(admin_client, week):
    page = admin_client.post(UNSAVED, filled(week, opening_en="Unsaved <b>words</b>"))
    assert "Unsaved <b>words</b>" in page.context["mail"].body
    assert "Not saved yet" in page.content.decode()
    mail = admin_client.get(page.context["html_url"]).content.decode()
    assert "Unsaved &lt;b&gt;words&lt;/b&gt;" in mail
    saved = admin_client.get(f"{preview(week, 'links')}html/").content.decode()
    assert "Unsaved" not in saved
    assert not MailText.objects.exists()


@pytest.mark.once
def test_unsaved_texts_of_one_kind_are_not_used_for_another(admin_client, week):
    admin_client.post(UNSAVED, filled(week, kind="doors", opening_en="At {session}"))
    mail = admin_client.get(f"{preview(week, 'links')}html/?unsaved=yes")
    assert mail.status_code == 200


@pytest.mark.once
def test_unsaved_texts_replace_saved_ones_in_the_preview(admin_client, week):
    MailText.objects.create(event=week, kind="links", opening="Saved")
    page = admin_client.post(UNSAVED, filled(week, opening_en="Newer"))
    assert "Newer" in page.context["mail"].body
    assert MailText.objects.get().opening == "Saved"


@pytest.mark.once
def test_invalid_unsaved_texts_are_explained(admin_client, week):
    page = admin_client.post(UNSAVED, filled(week, subject_en="{nobody}"))
    assert "There's no placeholder {nobody} here." in html.unescape(page.content.decode())
    assert page.context["mail"] is None


@pytest.mark.parametrize("odd", ["abc", "99999999999999999999", "-1", "1x"])
def test_odd_ids_are_not_found(admin_client, week, odd):
    for url in (f"{LIST}preview/{odd}/links/", f"{LIST}preview/{odd}/links/html/"):
        assert admin_client.get(url).status_code == 404
    assert admin_client.get(preview(week, odd)).status_code == 404
    assert admin_client.post(UNSAVED, filled(week, event=odd)).status_code == 404
    assert admin_client.get(f"{LIST}?event__id__exact={odd}").status_code in {200, 302}
    assert admin_client.get(f"{ADD}?event={odd}&kind={odd}").status_code == 200


@pytest.mark.once
def test_previews_allow_only_the_expected_methods(admin_client, week):
    assert admin_client.post(preview(week, "links")).status_code == 405
    again = admin_client.get(UNSAVED)
    assert (again.status_code, again["Location"]) == (302, LIST)
    assert admin_client.put(UNSAVED).status_code == 405


@pytest.mark.once
def test_viewers_see_previews_and_cannot_write_texts(viewer, week):
    text = MailText.objects.create(event=week, kind="links")
    for url in (LIST, f"{LIST}{text.pk}/change/", preview(week, "links")):
        page = viewer.get(url)
        assert page.status_code == 200
        assert "Write your own" not in page.content.decode()
    for url in (ADD, UNSAVED, f"{LIST}{text.pk}/change/"):
        assert viewer.post(url, filled(week)).status_code == 403


@pytest.mark.once
def test_own_page_is_hidden_from_viewers(viewer, admin_user, week):
    alice = sign_up(week)
    page = viewer.get(path(alice)).content.decode()
    assert '<div class="readonly">Hidden</div>' in page
    assert alice.token not in page
    viewer.force_login(admin_user)
    assert f'href="{alice.get_absolute_url()}"' in viewer.get(path(alice)).content.decode()


@pytest.mark.once
def test_previews_are_hidden_from_people_who_may_not_view_texts(client, django_user_model, week):
    user = django_user_model.objects.create_user("s", "s@example.org", "x", is_staff=True)
    client.force_login(user)
    for url in (preview(week, "links"), f"{preview(week, 'links')}html/"):
        assert client.get(url).status_code == 403


# The outbox


def in_states(week, *states: str) -> list[OutgoingMail]:
    mails = []
    for number, state in enumerate(states):
        person = sign_up(week, f"P{number} P")
        sent_at = timezone.now() if state in {"sent", "bounced", "complained"} else None
        person.mails.update(state=state, sent_at=sent_at)
        mails.append(person.mails.get())
    return mails


@pytest.mark.parametrize(
    ("state", "words"),
    [("failed", "Failed"), ("bounced", "Came back"), ("complained", "Marked as spam")],
)
def test_email_that_was_not_delivered_is_highlighted(admin_client, week, state, words):
    in_states(week, state)
    assert f'<b class="warning">{words}</b>' in admin_client.get(MAILS).content.decode()


@pytest.mark.once
def test_list_shows_the_session_of_an_email(admin_client, week):
    mail = in_states(week, "sent")[0]
    session = week.sessions.first()
    OutgoingMail.objects.filter(pk=mail.pk).update(session=session)
    page = admin_client.get(MAILS).content.decode()
    assert f'<td class="field-session nowrap">{html.escape(session.title)}</td>' in page


def test_failed_test_email_shows_the_servers_error_and_not_its_content(
    admin_client, viewer, week, smtp
):
    announcement = Announcement.objects.create(event=week, subject="News", body="What we say.")
    person = previews.sample_attendee(week)
    announcements.send_test(announcement=announcement, person=person, email="o@example.org")
    smtp.refuse("o@example.org", "550 5.1.1 No such user")
    delivery.deliver_due(writer_for)
    mail = OutgoingMail.objects.get()
    for url in (MAILS, f"{MAILS}?q=o@example.org", f"{MAILS}?kind__exact=test"):
        listed = shown(admin_client.get(url))
        assert "o@example.org Failed 550 5.1.1 No such user Test announcement - 1" in listed
    page = admin_client.get(f"{MAILS}{mail.pk}/change/").content.decode()
    assert "Test announcement to o@example.org" in page
    assert PEOPLE + "0" not in page
    assert [words for words in ("What we say", "[Test]", "News") if words in listed + page] == []
    assert "Failed" in shown(viewer.get(f"{MAILS}{mail.pk}/change/"))


def test_outbox_takes_the_same_queries_for_1_session_as_for_4(admin_client, week):
    session, *others = week.sessions.all()[:4]
    mail = in_states(week, "sent")[0]
    OutgoingMail.objects.filter(pk=mail.pk).update(session=session)
    one = queries(admin_client, MAILS)
    for each in others:
        OutgoingMail.objects.create(
            key=each.slug, kind="doors", registration=mail.registration, session=each
        )
    assert queries(admin_client, MAILS) == one


@pytest.mark.once
def test_outbox_is_read_only(admin_client, week, smtp):
    smtp.refuse("alice@example.org", "550 5.1.1 No such user <here>")
    alice = sign_up(week)
    delivery.deliver_due(lambda mails: lambda mail: _plain(mail))
    mail = alice.mails.get()
    page = admin_client.get(path(mail)).content.decode()
    assert "550 5.1.1 No such user &lt;here&gt;" in page
    assert admin_client.post(path(mail), {"state": "sent"}).status_code == 403
    assert admin_client.get(path(OutgoingMail, "add")).status_code == 403
    delete = reverse("admin:registrations_outgoingmail_delete", args=[mail.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def _plain(mail):
    return EmailMessage("Hello", "A line.", to=[mail.registration.email])


def test_only_failed_emails_are_sent_again(admin_client, week):
    mails = in_states(week, "failed", "bounced", "complained", "sent", "dropped")
    said = act(admin_client, OutgoingMail, "send_again", *mails)
    assert "2 emails will be sent again within seconds." in said
    assert "3 were skipped: only emails that failed or came back can be resent, and" in said
    for mail in mails:
        mail.refresh_from_db()
    states = [mail.state for mail in mails]
    assert states == ["waiting", "waiting", "complained", "sent", "dropped"]


@pytest.mark.once
def test_sending_again_needs_permission_to_change_registrations(viewer, week, django_user_model):
    mail = in_states(week, "failed")[0]
    act(viewer, OutgoingMail, "send_again", mail)
    mail.refresh_from_db()
    assert (mail.state, b"send_again" in viewer.get(MAILS).content) == ("failed", False)
    user = django_user_model.objects.get(username="viewer")
    user.user_permissions.add(Permission.objects.get(codename="change_registration"))
    act(viewer, OutgoingMail, "send_again", mail)
    mail.refresh_from_db()
    assert mail.state == "waiting"


# Registrations


@pytest.mark.parametrize(
    ("state", "words"),
    [("failed", "Failed"), ("bounced", "Came back"), ("complained", "Marked as spam")],
)
def test_unreachable_people_are_highlighted_and_can_be_filtered(admin_client, week, state, words):
    in_states(week, state, "sent", "waiting")
    listed = admin_client.get(f"{PEOPLE}?links=failed")
    assert [person.name for person in listed.context["cl"].result_list] == ["P0 P"]
    assert f'<b class="warning">{words}</b>' in listed.content.decode()


def test_waiting_email_does_not_hide_that_the_last_one_failed(admin_client, week):
    failed = in_states(week, "failed")[0]
    OutgoingMail.objects.create(key="later", kind="links", registration=failed.registration)
    listed = admin_client.get(f"{PEOPLE}?links=failed")
    assert list(listed.context["cl"].result_list) == [failed.registration]


def test_filters_show_counts(admin_client, week):
    in_states(week, "failed", "sent")
    page = admin_client.get(f"{PEOPLE}?_facets=True").content.decode()
    assert "Our emails aren&#x27;t arriving (1)" in page


def test_list_of_people_shows_who_wants_no_announcements(admin_client, week):
    alice = sign_up(week)
    assert "No announcements" not in admin_client.get(PEOPLE).content.decode()
    unsubscribe.unsubscribe(registration=alice)
    assert "No announcements" in admin_client.get(PEOPLE).content.decode()
    assert "No, since" in admin_client.get(path(alice)).content.decode()


@pytest.mark.once
def test_organizer_can_turn_on_the_doors_email(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    admin_client.post(path(alice), {**form, "wants_doors_email": "on"})
    alice.refresh_from_db()
    assert alice.wants_doors_email is True


@pytest.mark.once
def test_saving_attendance_changes_nothing_else_of_the_seat(admin_client, week, monkeypatch):
    alice = sign_up(week)
    seat = alice.seats.order_by("session__starts_at", "pk").first()
    Seat.objects.filter(pk=seat.pk).update(state="waiting", waiting_since=timezone.now())
    form = form_of(admin_client, path(alice))
    save = Seat.save

    def save_after_a_promotion(self, **options):
        Seat.objects.filter(pk=seat.pk).update(state="seated", waiting_since=None)
        save(self, **options)

    monkeypatch.setattr(Seat, "save", save_after_a_promotion)
    answer = admin_client.post(path(alice), {**form, "seats-0-attended": "on"})
    assert answer.status_code == 302
    ticked = alice.seats.filter(attended=True)
    assert [(each.pk, each.state) for each in ticked] == [(seat.pk, "seated")]


@pytest.mark.once
def test_page_of_a_person_shows_their_seats(admin_client, week):
    alice = sign_up(week)
    alice.seats.update(state="waiting", waiting_since=timezone.now())
    page = admin_client.get(path(alice)).content.decode()
    assert page.count("On the waitlist") == week.sessions.count()


def test_page_of_a_person_takes_the_same_queries_for_1_seat_and_mail_as_for_6(admin_client, week):
    alice = sign_up(week, sessions=[week.sessions.first()])
    bob = sign_up(week, "Bob B")
    for number in range(5):
        OutgoingMail.objects.create(key=f"k{number}", kind="links", registration=bob)
    # The first page of a process reads content types too.
    queries(admin_client, path(alice))
    one = queries(admin_client, path(alice))
    assert queries(admin_client, path(bob)) == one


def test_list_of_people_takes_the_same_queries_for_1_delivery_state_as_for_4(admin_client, week):
    in_states(week, "failed")
    one = queries(admin_client, PEOPLE)
    for number, state in enumerate(("bounced", "sent", "complained")):
        person = sign_up(week, f"Q{number} Q")
        person.mails.update(state=state, sent_at=timezone.now())
        unsubscribe.unsubscribe(registration=person)
    assert (queries(admin_client, PEOPLE), Registration.objects.count()) == (one, 4)
