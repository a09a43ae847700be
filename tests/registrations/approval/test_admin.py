"""Approving, declining and renewing links in the admin."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse

from events.models import Event
from registrations import signup
from registrations.models import OutgoingMail, Registration
from tests.admin_pages import act, act_surely, form_of, path, sure_of
from tests.people import sign_up

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/registrations/registration/"


def listed(client, query: str = "") -> list[str]:
    people = client.get(f"{PEOPLE}{query}").context["cl"].result_list
    return sorted(person.name.split()[0] for person in people)


@pytest.fixture
def four(someone) -> list[Registration]:
    """One of each: Alice waits, Bob comes, Charlie was declined, Dora has canceled."""
    names = ("Alice A", "Bob B", "Charlie C", "Dora D")
    words = ("pending", "approved", "declined", "pending")
    people = [someone(word, name) for word, name in zip(words, names, strict=True)]
    signup.cancel(registration=people[3])
    return people


def test_list_says_how_everyone_stands_and_finds_them(admin_client, four):
    page = admin_client.get(PEOPLE).content.decode()
    shown = re.findall(r'field-coming[^>]*>(?:<b class="badge">)?([^<]+)', page)
    assert sorted(shown) == ["Canceled", "Coming", "Declined", "Waiting for approval"]
    found = {"yes": ["Bob"], "pending": ["Alice"], "declined": ["Charlie"], "canceled": ["Dora"]}
    assert {word: listed(admin_client, f"?coming={word}") for word in found} == found


def test_list_counts_those_who_wait_and_leads_to_them(admin_client, week, four):
    page = admin_client.get(PEOPLE).content.decode()
    assert f'<b class="warning">1 person</b> is waiting for approval for {week.name}' in page
    link = re.search(r'href="(\?event__id__exact=\d+&amp;coming=pending)"', page)[1]
    assert listed(admin_client, link.replace("&amp;", "&")) == ["Alice"]
    sign_up(week, "Erin E")
    assert (
        '<b class="warning">2 people</b> are waiting for approval'
        in admin_client.get(PEOPLE).content.decode()
    )


@pytest.mark.once
def test_list_says_nothing_when_nobody_waits(admin_client, someone):
    someone("approved")
    assert "waiting for approval for" not in admin_client.get(PEOPLE).content.decode()


@pytest.mark.once
def test_approving_in_bulk_says_how_many(admin_client, four):
    shown = act(admin_client, Registration, "approve", *four)
    assert "2 people approved. Their links are on the way." in shown
    assert "2 were skipped: already approved, or canceled." in shown
    assert listed(admin_client, "?coming=yes") == ["Alice", "Bob", "Charlie"]


@pytest.mark.once
def test_declining_in_bulk_says_how_many(admin_client, four):
    shown = act_surely(admin_client, "decline", *four)
    assert "3 people declined. Any links they had no longer work" in shown
    assert "1 was skipped: already declined." in shown
    assert listed(admin_client, "?coming=declined") == ["Alice", "Bob", "Charlie"]
    assert set(Registration.objects.values_list("approval", flat=True)) == {"declined"}


@pytest.mark.once
def test_approving_from_the_filtered_list_leaves_nobody_out(admin_client, week):
    alice = sign_up(week)
    fields = {"action": "approve", "_selected_action": [alice.pk]}
    page = admin_client.post(f"{PEOPLE}?coming=pending", fields, follow=True).content.decode()
    assert "1 person approved." in page
    assert "skipped" not in page


@pytest.mark.once
def test_declining_is_asked_once_more_only_where_links_would_end(admin_client, four):
    alice, bob, *_others = four
    asked = act(admin_client, Registration, "decline", alice, bob)
    assert "Decline 1 person who was approved?" in asked
    assert "Bob B" in asked
    assert "Alice A" not in asked
    assert listed(admin_client, "?coming=declined") == ["Charlie"]
    assert "1 person declined." in act(admin_client, Registration, "decline", alice)


@pytest.mark.once
def test_history_says_who_said_it(admin_client, admin_user, four):
    alice, bob, charlie, _dora = four
    act(admin_client, Registration, "approve", *four)
    act_surely(admin_client, "decline", alice)
    entries = LogEntry.objects.order_by("pk").values_list("user", "object_id", "change_message")
    shown = [(charlie, "Approved."), (alice, "Approved."), (alice, "Declined.")]
    assert sorted(entries) == sorted((admin_user.pk, str(who.pk), word) for who, word in shown)
    assert not any(entry[1] == str(bob.pk) for entry in entries)


def decide(client, person: Registration, word: str):
    url = reverse("admin:registrations_registration_decide", args=[person.pk])
    return client.post(url, {"do": word}, follow=True)


@pytest.mark.once
def test_buttons_on_a_persons_page(admin_client, someone):
    alice = someone("pending")
    for word, offered, state in [
        ("approve", ["approve", "decline"], "approved"),
        ("decline", ["decline"], "declined"),
        ("approve", ["approve"], "approved"),
    ]:
        page = admin_client.get(path(alice)).content.decode()
        assert re.findall(r'name="do" value="(\w+)"', page) == offered
        answer = decide(admin_client, alice, word)
        assert answer.redirect_chain == [(path(alice), 302)]
        assert "1 person" in answer.content.decode()
        alice.refresh_from_db()
        assert alice.approval == state
        page = admin_client.get(path(alice)).content.decode()
        assert f"{alice.get_approval_display()} on " in page


@pytest.mark.once
def test_page_of_someone_who_was_never_asked_for_has_no_buttons(admin_client, someone):
    alice, bob = someone("approved"), someone("pending", "Bob B")
    Event.objects.update(requires_approval=False)
    signup.cancel(registration=bob)
    for person in (alice, bob):
        assert 'name="do"' not in admin_client.get(path(person)).content.decode()
    Registration.objects.update(decided_at=None)
    assert "Not required" in admin_client.get(path(alice)).content.decode()


@pytest.mark.once
@pytest.mark.parametrize("word", ["", "cancel", "Approve"])
def test_odd_decisions_are_refused(admin_client, someone, word):
    alice = someone("pending")
    assert decide(admin_client, alice, word).status_code == 400
    url = reverse("admin:registrations_registration_decide", args=["99x"])
    assert admin_client.post(url, {"do": "approve"}).status_code == 404
    assert admin_client.get(url).status_code == 405


@pytest.mark.once
def test_deciding_is_for_those_who_may_change_registrations(client, django_user_model, someone):
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    alice, bob = someone("pending"), someone("approved", "Bob B")
    OutgoingMail.objects.update(state="failed")
    before = list(Registration.objects.order_by("pk").values()), OutgoingMail.objects.count()
    for action in ("approve", "decline", "send_links_again", "renew_links", "cancel"):
        assert 'name="sure"' not in act(client, Registration, action, alice, bob)
    assert decide(client, alice, "approve").status_code == 403
    assert before == (
        list(Registration.objects.order_by("pk").values()),
        OutgoingMail.objects.count(),
    )
    assert 'name="do"' not in client.get(path(alice)).content.decode()


def test_saving_a_page_takes_back_nothing_that_was_decided_meanwhile(
    admin_client, someone, monkeypatch
):
    alice = someone("approved")
    form = form_of(admin_client, path(alice))
    save = Registration.save

    def save_after_a_no(self, **options):
        signup.decline(registrations=[self])
        save(self, **options)

    monkeypatch.setattr(Registration, "save", save_after_a_no)
    admin_client.post(path(alice), {**form, "name": "Alicia", "organization": "ACLU"})
    saved = Registration.objects.get()
    assert (saved.name, saved.organization, saved.approval) == ("Alicia", "ACLU", "declined")
    assert saved.token != alice.token


@pytest.mark.once
@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("approved", "New links are on their way to right@example.org"),
        ("pending", "We'll tell right@example.org that you review each registration first."),
        ("declined", None),
    ],
)
def test_correcting_an_address_says_what_was_mailed(admin_client, someone, word, shown):
    alice = someone(word)
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "email": "right@example.org"}, follow=True)
    words = [str(message) for message in answer.context["messages"]][:-1]
    assert [shown in each for each in words] == ([True] if shown else [])


@pytest.mark.once
def test_event_page_has_the_switch(admin_client, week):
    form = form_of(admin_client, path(week))
    assert form["requires_approval"]
    del form["requires_approval"]
    assert admin_client.post(path(week), form).status_code == 302
    week.refresh_from_db()
    assert week.requires_approval is False


@pytest.mark.once
def test_renewing_links_is_asked_once_more(admin_client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob Brown")
    signup.approve(registrations=[alice])
    signup.decline(registrations=[bob])
    listed = reverse("admin:registrations_registration_changelist")
    chosen = {"action": "renew_links", "_selected_action": [alice.pk, bob.pk], "select_across": "1"}
    page = unescape(admin_client.post(listed, chosen).content.decode())
    assert "Replace the links of 1 person?" in page
    assert f'name="_selected_action" value="{bob.pk}"' in page
    assert 'name="select_across" value="1"' in page
    assert f"<li>{bob}" not in page
    assert Registration.objects.get(pk=alice.pk).token == alice.token
    shown = act(admin_client, Registration, "renew_links", bob)
    assert "They have no links" in shown


def test_links_in_wrong_hands_are_renewed_in_bulk(admin_client, week):
    alice, bob, charlie = (sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C"))
    signup.approve(registrations=[alice])
    signup.decline(registrations=[bob])
    tokens = dict(Registration.objects.values_list("pk", "token"))
    shown = act_surely(admin_client, "renew_links", alice, bob, charlie)
    assert "New links are on their way to 2 people" in shown
    assert "1 was skipped: declined or canceled." in shown
    now = dict(Registration.objects.values_list("pk", "token"))
    assert {pk for pk in now if now[pk] != tokens[pk]} == {alice.pk, charlie.pk}
    assert alice.mails.filter(kind="links", state="waiting").count() == 1
    assert charlie.mails.filter(kind="received", state="waiting").count() == 1


def test_links_are_renewed_once_however_often_it_is_pressed(admin_client, someone):
    alice = someone("approved")
    page = act(admin_client, Registration, "renew_links", alice)
    pressed = {"action": "renew_links", "_selected_action": [alice.pk], "sure": sure_of(page)}
    shown = [admin_client.post(PEOPLE, pressed, follow=True).text for _time in range(2)]
    once = Registration.objects.get().token
    assert "Your selection has changed. Please check it again." in shown[1]
    assert "Your selection has changed." not in page + shown[0]
    assert "Replace the links of 1 person?" in shown[1]
    assert (once == alice.token, alice.mails.filter(kind="links").count()) == (False, 2)
    assert Registration.objects.get().token == once
    assert sure_of(shown[1]) != sure_of(page)
