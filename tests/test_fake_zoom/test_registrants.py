"""The fake Zoom follows Zoom's documented rules for a meeting's registrants."""

import dataclasses

import pytest

from tests.fake_zoom import CannotJoin, Meeting
from tests.fake_zoom.account import Account
from tests.fake_zoom.errors import ApiError
from tests.test_fake_zoom.client import MEETING, Client, Clock, person, rejection

pytestmark = pytest.mark.once


def test_registrants_are_added_listed_and_canceled(client: Client) -> None:
    path = f"/meetings/{client.create()['id']}"
    added = client("POST", f"{path}/registrants", person("Alice"))
    assert added.status_code == 201
    alice = added.json()
    assert alice["topic"] == "Legislation and Policy"
    batch = {"registrants": [person("Bob"), person("Carol")]}
    answer = client("POST", f"{path}/batch_registrants", batch)
    assert answer.status_code == 201
    bob, _ = answer.json()["registrants"]
    assert bob.keys() == {"registrant_id", "email", "join_url", "participant_pin_code"}

    listed = client("GET", f"{path}/registrants", page_size=300).json()["registrants"]
    assert [each["email"] for each in listed] == [
        "alice@example.org",
        "bob@example.org",
        "carol@example.org",
    ]
    assert listed[0]["id"] == alice["registrant_id"]
    assert listed[0]["join_url"] == alice["join_url"]

    people = [{"id": bob["registrant_id"]}, {"email": "Carol@example.org"}, {"id": "unknown"}]
    change = {"action": "cancel", "registrants": people}
    assert client("PUT", f"{path}/registrants/status", change).status_code == 204
    [left] = client("GET", f"{path}/registrants").json()["registrants"]
    assert left["first_name"] == "Alice"


def test_registering_again_returns_the_same_registrant(account: Account, meeting: Meeting) -> None:
    first = account.add_registrant(meeting, person("Alice"))
    again = account.add_registrant(meeting, person("Alice") | {"email": "ALICE@example.org"})
    assert again is first


def test_canceled_registrant_gets_a_new_link_when_registering_again(
    account: Account, meeting: Meeting
) -> None:
    before = account.add_registrant(meeting, person("Alice"))
    cancel = {"action": "cancel", "registrants": [{"id": before.id}]}
    account.update_registrants(meeting, cancel)
    after = account.add_registrant(meeting, person("Alice"))
    assert after.token != before.token
    passcode = meeting.encrypted_password
    assert account.admit(meeting.id, passcode, after.token) is after
    with pytest.raises(CannotJoin, match="canceled by the host"):
        account.admit(meeting.id, passcode, before.token)


def test_registrant_waits_for_approval_where_the_host_approves(account: Account) -> None:
    by_hand = MEETING | {"settings": {"approval_type": 1}}
    meeting = account.create_meeting(account.owner, by_hand)
    alice = account.add_registrant(meeting, person("Alice"))
    bob = account.add_registrant(meeting, person("Bob") | {"auto_approve": True})
    assert (alice.status, bob.status) == ("pending", "approved")
    with pytest.raises(CannotJoin, match="not approved"):
        account.admit(meeting.id, meeting.encrypted_password, alice.token)
    for action, status in (("deny", "denied"), ("approve", "approved")):
        account.update_registrants(meeting, {"action": action, "registrants": [{"id": alice.id}]})
        assert account.list_registrants(meeting, status)[0] is alice


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", "x" * 65),
        ("first_name", ""),
        ("last_name", "x" * 65),
        ("email", f"{'x' * 117}@example.org"),
        ("email", "alice"),
        ("email", "alice@localhost"),
        ("email", "alice..adams@example.org"),
        ("email", "älice@example.org"),
        ("email", None),
    ],
)
def test_registrant_with_an_invalid_field_is_rejected(
    account: Account, meeting: Meeting, field: str, value: object
) -> None:
    wrong = person("Alice") | {field: value}
    for add, name in (
        (lambda: account.add_registrant(meeting, wrong), field),
        (
            lambda: account.add_registrants(meeting, {"registrants": [person("Bob"), wrong]}),
            f"registrants[1].{field}",
        ),
    ):
        with pytest.raises(ApiError) as error:
            add()
        assert error.value.status == 400
        assert error.value.body["code"] == 300
        assert error.value.body["errors"] == [{"field": name, "message": "Invalid field."}]
    assert meeting.registrants == {}


def test_longest_names_and_addresses_are_accepted(account: Account, meeting: Meeting) -> None:
    longest = {"email": f"{'x' * 116}@example.org", "first_name": "x" * 64, "last_name": "x" * 64}
    assert account.add_registrant(meeting, longest).email == longest["email"]


@pytest.mark.parametrize("batch", [False, True])
def test_registration_needs_a_paid_host_room_and_time(
    account: Account, meeting: Meeting, clock: Clock, batch: bool
) -> None:
    open_to_all = account.create_meeting(account.owner, MEETING | {"settings": {}})
    message = f"Registration has not been enabled for this meeting: {open_to_all.id}."
    expected = (404, {"code": 404, "message": message})
    assert rejection(account, open_to_all, batch=batch) == expected

    account.owner.type = 1
    message = f"Only available for Paid users: {account.owner.id}."
    expected = (400, {"code": 200, "message": message})
    assert rejection(account, meeting, batch=batch) == expected
    account.owner.type = 2

    bob = account.add_registrant(meeting, person("Bob"))
    addresses = [f"{number}@example.org" for number in range(4_999)]
    meeting.registrants = {each: dataclasses.replace(bob, email=each) for each in addresses}
    status, body = rejection(account, meeting, batch=batch)
    assert status == (404 if batch else 400)
    assert body == {"code": 3043, "message": "Meeting has reached maximum attendee capacity."}
    account.add_registrant(meeting, person("Alice") | {"email": "7@example.org"})

    clock.now = meeting.scheduled_end
    assert rejection(account, meeting, batch=batch)[1]["code"] == 3038
    account.start(meeting)
    assert rejection(account, meeting, batch=batch)[1]["code"] == 3043


def test_batch_has_30_people_at_most_and_a_scheduled_meeting(
    account: Account, meeting: Meeting
) -> None:
    people = [person(f"Person{number}") for number in range(31)]
    with pytest.raises(ApiError, match=r"Validation Failed\."):
        account.add_registrants(meeting, {"registrants": people})
    assert len(account.add_registrants(meeting, {"registrants": people[:30]})) == 30
    recurring = account.create_meeting(account.owner, MEETING | {"type": 8})
    with pytest.raises(ApiError) as error:
        account.add_registrants(recurring, {"registrants": people[:30]})
    assert (error.value.status, error.value.body["code"]) == (400, 303)
