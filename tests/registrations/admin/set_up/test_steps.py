"""The steps to a published week, who sees them, and the desk that leads there."""

import html

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from events import site_settings
from events.models import Event, SiteSettings
from tests.people import in_english
from tests.registrations.admin.set_up.pages import URL, ZOOM, done, page_of, steps_of

pytestmark = pytest.mark.django_db

DESK = "Set up your site"


def draft(**changes) -> Event:
    return Event.objects.create(slug="w", host="Us", **in_english(name="Spring"), **changes)


def desk_of(client) -> str:
    return html.unescape(client.get("/admin/").content.decode())


def test_week_is_created_then_has_a_contact_then_is_published(organizer):
    steps = steps_of(page_of(organizer))
    assert list(steps) == ["server", "sender", "test", "zoom", "week", "contact", "publish"]
    assert "5. Your week To do" in steps["week"]
    assert steps["publish"] == "7. Publish it To do First create your week."
    event = draft()
    page = page_of(organizer)
    assert done(page) == ["server", "sender", "week"]
    url = f"/admin/events/event/{event.pk}/change/"
    assert f'href="{url}#id_contact_email"' in page
    assert f'href="/admin/events/event/{event.pk}/publish/">Publish it</a>' in page
    Event.objects.update(contact_email="us@example.org")
    page = page_of(organizer)
    assert done(page) == ["server", "sender", "week", "contact"]
    assert f'href="{url}#id_contact_email">Change the contact</a>' in page
    Event.objects.update(status="published")
    page = page_of(organizer)
    assert done(page) == ["server", "sender", "week", "contact", "publish"]
    assert 'href="/w/">See the public page</a>' in page
    assert "Publish it</a>" not in page


def test_once_a_week_is_published_another_draft_changes_nothing(organizer, week):
    draft()
    assert {"week", "contact", "publish"} <= set(done(page_of(organizer)))


def test_first_step_that_is_not_done_is_open(organizer, settings):
    settings.EMAIL_BACKEND = ""
    page = page_of(organizer)
    assert page.count('<details class="more" open>') == 1
    section = page.partition('id="step-server"')[2].partition("</section>")[0]
    assert '<details class="more" open>' in section


def test_desk_leads_there_while_something_is_missing(organizer, settings):
    settings.EMAIL_BACKEND = settings.DEFAULT_FROM_EMAIL = ""
    desk = desk_of(organizer)
    assert "0 of 5 steps are done. Next: <b>Email server</b>" in desk
    assert f'href="{URL}">Continue</a>' in desk
    assert "No email server is set yet, so emails are waiting." in desk
    settings.EMAIL_BACKEND, settings.DEFAULT_FROM_EMAIL = "x.y", "Us <us@example.org>"
    assert "2 of 5 steps are done. Next: <b>Your week</b>" in desk_of(organizer)
    draft(contact_email="us@example.org", status="published")
    assert DESK not in desk_of(organizer)


def test_another_secret_key_is_explained_and_is_no_crash(organizer, admin_user, settings):
    settings.EMAIL_BACKEND = ""
    site_settings.save_email_server(
        server=site_settings.EmailServer("smtp.example.org", 587, "tls", "week", "pa55word")
    )
    assert "SECRET_KEY" not in page_of(organizer)
    settings.SECRET_KEY_FALLBACKS, old = [], settings.SECRET_KEY
    settings.SECRET_KEY = "another" * 10
    organizer.force_login(admin_user)
    page = html.unescape(page_of(organizer))
    assert "We can't read what was entered here before" in page
    assert "server" not in done(page)
    assert "Next: <b>Email server</b>" in desk_of(organizer)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert "We can't read" not in html.unescape(page_of(organizer))


# Who may see it


@pytest.fixture
def helper(client, django_user_model):
    """Someone with every permission there is, who isn't a superuser."""
    user = django_user_model.objects.create_user("h", "h@example.org", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    client.force_login(user)
    return client


def test_only_superusers_see_it_and_change_it(helper, settings):
    settings.EMAIL_BACKEND = ""
    assert helper.get(URL).status_code == 403
    for do in ("server", "sender", "zoom", "test", "ask"):
        assert helper.post(URL, {"do": do, **ZOOM}).status_code == 403
    desk = desk_of(helper)
    assert DESK not in desk
    assert URL not in desk
    assert "No email server is set yet, so emails are waiting." in desk
    assert not SiteSettings.objects.exists()
    assert Client().get(URL).status_code == 302


def test_it_has_no_permissions_to_give():
    assert not Permission.objects.filter(content_type__model="sitesettings").exists()


@pytest.mark.parametrize("do", ["", "x", "__class__"])
def test_unknown_button_is_an_error(organizer, do):
    assert organizer.post(URL, {"do": do}).status_code == 400


def test_it_needs_a_form_of_this_site(organizer, admin_user):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    assert strict.post(URL, {"do": "ask"}).status_code == 403


@pytest.mark.parametrize("path", ["add/", "1/change/", "1/history/", "1/delete/"])
def test_the_row_has_no_other_pages(organizer, path):
    assert organizer.get(f"{URL}{path}").status_code == 404
