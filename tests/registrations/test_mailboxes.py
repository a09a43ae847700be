"""Several people at one mailbox, such as a family."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from icalendar import Calendar

from events.models import Event
from registrations import mailboxes, signup
from registrations.mail import unsubscribe, writer
from registrations.models import MailboxUse, OutgoingMail, Registration
from registrations.models.registration import PEOPLE_PER_MAILBOX
from registrations.outbox import delivery
from registrations.privacy import erasure
from tests.people import filled_form, sign_up, without_token

pytestmark = pytest.mark.django_db

MAILBOX = "family@example.org"


def join(week: Event, *names: str) -> list[Registration]:
    return [sign_up(week, name, email=MAILBOX) for name in names]


def post(client: Client, week: Event, **changes: Any) -> Any:
    fields = filled_form(week, **{"email": MAILBOX, **changes})
    return client.post(f"/{week.slug}/register/", fields, follow=True)


def numbers() -> dict[str, int]:
    active = Registration.objects.active().order_by("pk")
    return dict(active.values_list("name", "mailbox_number"))


@pytest.mark.parametrize(
    "again",
    [
        *("ana garcía", "ANA GARCIA", "Ana  García ", "Ana Garci\u0301a", "Ａna García"),
        *("AnaGarcía", "Ana García.", "Ana-García"),
    ],
)
def test_same_name_is_the_same_person(week, again):
    first, second = join(week, "Ana García", again)
    assert first == second
    assert numbers() == {"Ana García": 1}


def test_each_name_has_its_own_page_links_and_spots(week):
    ana, ben = join(week, "Ana García", "Ben García")
    assert ana.token != ben.token
    assert (ana.seats.count(), ben.seats.count()) == (6, 6)
    assert (ana.zoom_email, ben.zoom_email.partition("@")[0][:6]) == (MAILBOX, "guest-")
    assert len({ana.zoom_email, ben.zoom_email}) == 2


def test_form_registers_several_people_at_once(client, week):
    names = ["Ben García", "", "Carla García", "", ""]
    answer = post(
        client,
        week,
        name="Ana García",
        us_state="OH",
        organization="Families United",
        needs=["captions"],
        **{f"other_names_{index}": name for index, name in enumerate(names)},
    )
    assert numbers() == {"Ana García": 1, "Ben García": 2, "Carla García": 3}
    assert "Ana García, Ben García, Carla García" in answer.text
    assert list(Registration.objects.values_list("us_state", "organization", "needs")) == [
        ("OH", "", []),
        ("OH", "", []),
        ("OH", "Families United", ["captions"]),
    ]
    kinds = OutgoingMail.objects.order_by("pk").values_list("registration__name", "kind")
    assert sorted(kinds) == [(name, kind) for name in numbers() for kind in ("links", "schedule")]


def test_each_person_counts_toward_the_limit_of_a_network(client, week, settings):
    settings.ACCOUNT_RATE_LIMITS = {"register": "3/10m/ip"}
    assert post(client, week, name="Ana", other_names_0="Ben", other_names_1="Carla")
    assert post(client, week, name="Dora").status_code == 429
    assert set(numbers()) == {"Ana", "Ben", "Carla"}


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (["ana  garcia"], "Enter each person&#x27;s name once."),
        (["Ben", "BEN"], "Enter each person&#x27;s name once."),
        (["Ben <b>"], "Remove the &lt; and &gt; signs."),
        (["\u3164", "\u200d"], "Enter a name with at least one letter."),
        (["x" * 101], "That&#x27;s too long. Use 100 characters or fewer."),
    ],
)
def test_names_that_cannot_be_registered_keep_what_was_entered(client, week, names, error):
    others = {f"other_names_{index}": name for index, name in enumerate(names)}
    answer = post(client, week, name="Ana García", **others)
    assert error in answer.text
    assert '<details class="disclosure" open>' in answer.text
    assert answer.context["form"]["other_names"].value()[: len(names)] == names
    assert not Registration.objects.exists()


def test_page_is_the_same_for_a_new_a_known_and_a_seventh_person(client, week):
    join(week, *(f"Person {number}" for number in range(PEOPLE_PER_MAILBOX)))
    known, seventh, new = (
        without_token(post(Client(), week, name=name, email=email)).replace(email, "E")
        for name, email in [
            ("Person 3", MAILBOX),
            ("Person 7", MAILBOX),
            ("Person 3", "new@example.org"),
        ]
    )
    assert known == seventh.replace("Person 7", "Person 3") == new
    assert Registration.objects.filter(email=MAILBOX).count() == PEOPLE_PER_MAILBOX


def test_seventh_person_gets_an_email_that_explains(client, week, mailoutbox):
    join(week, *(f"Person {number}" for number in range(PEOPLE_PER_MAILBOX)))
    OutgoingMail.objects.update(state="dropped")
    post(client, week, name="Zoe O'Hara", other_names_0="Yan")
    delivery.deliver_due(writer.writer_for)
    (message,) = mailoutbox
    assert message.to == [MAILBOX]
    assert message.subject == f"We couldn't register Zoe O'Hara, Yan: {week.name}"
    assert "6 people are already registered" in message.body
    # With what it takes to remove made-up names, all in one email.
    for person in Registration.objects.filter(email=MAILBOX):
        assert f"{person.name}:\nhttp://localhost/me/{person.token}/\n" in message.body
    assert not Registration.objects.filter(name="Zoe O'Hara").exists()


def test_number_of_someone_who_canceled_is_given_away_last(week):
    ana, _ben = join(week, "Ana", "Ben")
    signup.cancel(registration=ana)
    # Not Ana's, with which her sessions are just being taken out of the calendar.
    join(week, "Carla")
    assert numbers() == {"Ben": 2, "Carla": 3}
    join(week, "Dora", "Eva", "Fay")
    # Only where no other is left.
    join(week, "Gil")
    assert numbers()["Gil"] == 1
    signup.cancel(registration=Registration.objects.get(name="Ben"))
    assert signup.restore(registration=ana)
    assert numbers()["Ana"] == 2


def test_no_one_returns_to_a_mailbox_that_is_full(client, week):
    people = join(week, *(f"Person {number}" for number in range(PEOPLE_PER_MAILBOX)))
    signup.cancel(registration=people[0])
    join(week, "Zoe")
    answer = client.post(f"/me/{people[0].token}/return/", follow=True)
    assert "Six other people are registered with your email now." in answer.text
    assert "Person 0" not in numbers()


def test_only_the_one_who_cancels_loses_links_and_spots(week):
    ana, ben = join(week, "Ana", "Ben")
    signup.cancel(registration=ana)
    ben.refresh_from_db()
    assert (ben.canceled_at, ben.seats.count()) == (None, 6)


def test_emails_say_whom_they_are_for_in_the_list_of_an_inbox(week, mailoutbox):
    join(week, "Ana", "Ben")
    delivery.deliver_due(writer.writer_for)
    first, second = (message.subject for message in mailoutbox)
    assert second == f"Ben: {first}"


def test_finding_links_counts_as_many_emails_as_it_could_cause(client, week):
    for _time in range(8):
        client.post(f"/{week.slug}/find/", {"email": MAILBOX})
    assert MailboxUse.objects.count() == 8
    client.post(f"/{week.slug}/find/", {"email": MAILBOX})
    assert MailboxUse.objects.count() == 8


def test_calendar_entries_of_two_people_do_not_replace_each_other(week, mailoutbox):
    people = join(week, "Ana", "Ben")
    delivery.deliver_due(writer.writer_for)
    emailed, subscribed = [], []
    for person, message in zip(people, mailoutbox, strict=True):
        (file,) = [each for each in message.attachments if each[0] == "strategy-week.ics"]
        emailed.append({str(entry["UID"]) for entry in Calendar.from_ical(file[1]).events})
        feed = Client().get(f"/calendar/{person.token}.ics").content
        subscribed.append({str(entry["UID"]) for entry in Calendar.from_ical(feed).events})
    assert emailed[0].isdisjoint(emailed[1])
    assert emailed == subscribed
    assert emailed[0] == {f"{session.uid}@strategyweek" for session in week.sessions.all()}


def test_address_is_corrected_to_one_that_has_other_people(week):
    join(week, "Ben")
    ana = sign_up(week, "Ana", email="famly@example.org")
    signup.correct_email(registration=ana, email=MAILBOX)
    assert numbers() == {"Ben": 1, "Ana": 2}
    ana.refresh_from_db()
    assert ana.zoom_email.startswith("guest-")


def test_address_cannot_be_corrected_to_a_full_mailbox(week):
    join(week, *(f"Person {number}" for number in range(PEOPLE_PER_MAILBOX)))
    ana = sign_up(week, "Ana", email="famly@example.org")
    with pytest.raises(mailboxes.MailboxFull):
        signup.correct_email(registration=ana, email=MAILBOX)


def test_mistyped_address_of_a_family_is_corrected_for_all(client, week):
    post(client, week, name="Ana", other_names_0="Ben", email="famly@example.org")
    tokens = set(Registration.objects.values_list("token", flat=True))
    client.post(f"/{week.slug}/register/done/", {"email": MAILBOX})
    assert numbers() == {"Ana": 1, "Ben": 2}
    people = Registration.objects.filter(email=MAILBOX, canceled_at=None)
    assert people.count() == 2
    assert tokens.isdisjoint(people.values_list("token", flat=True))


def test_saving_something_else_leaves_a_number_that_changed_meanwhile(week):
    ana, ben = join(week, "Ana", "Ben")
    # Read before the correction, as by an organizer's form.
    before = Registration.objects.get(pk=ben.pk)
    signup.correct_email(registration=ben, email="ben@example.org")
    # Someone else has Ben's number by now.
    join(week, "Carla")
    before.organization = "Families United"
    mailboxes.save(before, ["organization"])
    ben.refresh_from_db()
    assert (ben.organization, ben.mailbox_number) == ("Families United", 1)
    assert ben.zoom_email == "ben@example.org"
    assert ana.mailbox_number == 1


def test_name_cannot_become_that_of_someone_else_at_the_mailbox(client, week):
    _ana, ben = join(week, "Ana", "Ben")
    change = f"/me/{ben.token}/change/"
    fields = filled_form(week, name=" ANA")
    answer = client.post(change, fields)
    assert answer.context["form"].errors == {
        "name": ["Someone with this name is already registered with this email."]
    }
    assert set(numbers()) == {"Ana", "Ben"}
    client.post(change, {**fields, "name": "Benjamin"})
    assert numbers() == {"Ana": 1, "Benjamin": 2}


def test_unsubscribing_is_for_the_whole_mailbox(week):
    ana, _ben = join(week, "Ana", "Ben")
    other = sign_up(week, "Carla")
    unsubscribe.unsubscribe(registration=ana)
    assert list(Registration.objects.filter(unsubscribed_at=None)) == [other]
    unsubscribe.subscribe(registration=ana)
    assert Registration.objects.filter(unsubscribed_at=None).count() == 3


def test_unsubscribe_page_says_whom_it_is_for(client, week):
    ana, _ben = join(week, "Ana", "Ben")
    url = unsubscribe.unsubscribe_url(ana)
    for answer in (client.get(url), client.post(url), client.post(url, {"again": "1"})):
        assert "Your choice here covers everyone registered with your email." in answer.text


def test_someone_new_at_a_mailbox_without_announcements_gets_none(week):
    ana, ben = join(week, "Ana", "Ben")
    unsubscribe.unsubscribe(registration=ben)
    signup.cancel(registration=ben)
    join(week, "Carla", "Ben")
    moved = sign_up(week, "Dora")
    signup.correct_email(registration=moved, email=MAILBOX)
    other = sign_up(week, "Eva")
    assert list(Registration.objects.filter(unsubscribed_at=None)) == [other]
    unsubscribe.subscribe(registration=ana)
    (fay,) = join(week, "Fay")
    assert fay in Registration.objects.filter(unsubscribed_at=None)


def test_erasing_one_person_leaves_the_others(week):
    ana, ben = join(week, "Ana", "Ben")
    signup.cancel(registration=ben)
    erasure.erase(registration=ana)
    ben.refresh_from_db()
    assert (ben.name, ben.erased_at) == ("Ben", None)


def test_lost_links_are_sent_to_everyone_at_the_mailbox(client, week):
    join(week, "Ana", "Ben")
    OutgoingMail.objects.all().delete()
    client.post(f"/{week.slug}/find/", {"email": MAILBOX})
    sent = OutgoingMail.objects.order_by("pk").values_list("registration__name", flat=True)
    assert sorted(sent) == ["Ana", "Ben"]


@pytest.mark.parametrize(
    "changes", [{"name_key": "ana"}, {"mailbox_number": 1}, {"mailbox_number": 7}]
)
def test_database_allows_a_name_and_a_number_once_per_mailbox(week, changes):
    _ana, ben = join(week, "Ana", "Ben")
    with pytest.raises(IntegrityError):
        Registration.objects.filter(pk=ben.pk).update(**changes)


@pytest.mark.django_db(transaction=True)
def test_family_that_registers_at_the_same_moment(week):
    def register(name: str) -> None:
        try:
            join(week, name)
        finally:
            connection.close()

    names = ["Ana", "Ben", "ANA", "Carla", "ben", "Dora", "Ána", "Eva"]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(register, names))
    assert sorted(numbers().values()) == [1, 2, 3, 4, 5]
    assert sorted(name.casefold().replace("á", "a") for name in numbers()) == [
        *("ana", "ben", "carla", "dora", "eva")
    ]
