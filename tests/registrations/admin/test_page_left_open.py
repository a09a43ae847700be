"""Someone else changes a registration while its page is open in the admin."""

import threading
import time

import pytest
from django import forms
from django.db import connection, transaction

from registrations import signup
from registrations.models import Registration
from tests.admin_pages import form_of, path
from tests.people import sign_up

pytestmark = pytest.mark.django_db


def request_captioning(alice: Registration) -> None:
    Registration.objects.filter(pk=alice.pk).update(needs=["captions"])


def correct_address(alice: Registration) -> None:
    signup.correct_email(registration=alice, email="alice@new.example.org")


def choose_strategy(alice: Registration) -> None:
    alice.strategies.set(alice.event.tracks.all()[:1])


def record_attendance(alice: Registration) -> None:
    alice.seats.filter(pk=alice.seats.first().pk).update(attended=True)


def all_of(alice: Registration) -> tuple:
    """Everything that an organizer can change on someone's page."""
    alice.refresh_from_db()
    columns = forms.model_to_dict(alice, exclude=["strategies"])
    return columns, set(alice.strategies.all()), set(alice.seats.filter(attended=True))


@pytest.mark.parametrize(
    "change", [request_captioning, correct_address, choose_strategy, record_attendance]
)
def test_page_left_open_takes_nothing_back(admin_client, week, change):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    change(alice)
    before, mails = all_of(alice), alice.mails.count()
    answer = admin_client.post(path(alice), {**form, "name": "Alicia", "seats-1-attended": "on"})
    (error,) = answer.context["adminform"].form.non_field_errors()
    assert "Someone else changed this while you had it open, so nothing was saved." in error
    assert (all_of(alice), alice.mails.count()) == (before, mails)


@pytest.mark.once
def test_refused_page_keeps_what_was_typed_and_is_refused_again(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    correct_address(alice)
    answer = admin_client.post(path(alice), {**form, "name": "Alicia"})
    assert 'name="name" value="Alicia"' in answer.content.decode()
    version = answer.context["adminform"].form["version"].value()
    again = admin_client.post(path(alice), {**form, "name": "Alicia", "version": version})
    assert "Someone else changed this" in again.content.decode()


def test_page_opened_after_the_change_is_saved(admin_client, week):
    alice = sign_up(week)
    for change in (request_captioning, correct_address, choose_strategy, record_attendance):
        change(alice)
    form = form_of(admin_client, path(alice))
    columns, strategies, attended = all_of(alice)
    answer = admin_client.post(path(alice), {**form, "name": "Alicia", "seats-1-attended": "on"})
    assert answer.status_code == 302
    second = alice.seats.all()[1]
    assert all_of(alice) == ({**columns, "name": "Alicia"}, strategies, attended | {second})


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_change_that_is_being_saved_is_waited_for(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    is_locked = threading.Event()

    def rename() -> None:
        with transaction.atomic():
            Registration.objects.filter(pk=alice.pk).update(name="Alice Brown")
            is_locked.set()
            time.sleep(0.5)
        connection.close()

    other = threading.Thread(target=rename)
    other.start()
    is_locked.wait()
    answer = admin_client.post(path(alice), {**form, "organization": "ACLU"})
    other.join()
    assert "Someone else changed this" in answer.content.decode()
    alice.refresh_from_db()
    assert (alice.name, alice.organization) == ("Alice Brown", "")


@pytest.mark.once
def test_page_with_a_mistake_can_be_corrected_and_saved(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "name": ""})
    assert "This field is required." in answer.content.decode()
    version = answer.context["adminform"].form["version"].value()
    corrected = {**form, "name": "Alicia", "version": version}
    assert admin_client.post(path(alice), corrected).status_code == 302


@pytest.mark.once
@pytest.mark.parametrize("version", [None, "\0"])
def test_page_without_its_version_is_refused(admin_client, week, version):
    alice = sign_up(week)
    form = {**form_of(admin_client, path(alice)), "name": "Alicia", "version": version}
    posted = {name: value for name, value in form.items() if value is not None}
    assert "Someone else changed this" in admin_client.post(path(alice), posted).content.decode()
    alice.refresh_from_db()
    assert alice.name != "Alicia"
