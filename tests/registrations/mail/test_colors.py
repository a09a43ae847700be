"""Emails have the colors of their event."""

import re
from typing import Any

import pytest
from django.db.models import F

from events.models import Event, Meeting
from events.sharing import palette
from registrations.mail import kinds, previews, writer
from registrations.models import OutgoingMail
from tests.people import sign_up
from tests.registrations.readiness.people import issue

pytestmark = pytest.mark.django_db


def colors_in(html: str) -> set[str]:
    return {*re.findall(r"#[0-9a-f]{6}\b", html)}


def allowed(name: str) -> set[str]:
    return {*palette.colors(name).values(), *palette.dark_colors(name).values()}


@pytest.mark.once
@pytest.mark.parametrize("kind", kinds.COMPOSERS)
def test_each_kind_has_the_colors_of_the_event(week, kind):
    for name in palette.SETS:
        Event.objects.update(colors=name)
        html = str(previews.sample(kind, Event.objects.get()).alternatives[0][0])
        assert colors_in(html) <= allowed(name)
        assert palette.colors(name)["sun"] in html


def test_block_with_an_own_zoom_link_has_them_too(week):
    Event.objects.update(colors="clay", zoom_mode="personal")
    Meeting.objects.update(state="made", zoom_id=F("pk"))
    alice = sign_up(Event.objects.get())
    issue(alice, alice.seats.first().session)
    mail = OutgoingMail.objects.get(registration=alice, kind="links")
    email: Any = writer.writer_for([mail])(mail)
    html = str(email.alternatives[0][0])
    assert "your own Zoom link" in html
    assert colors_in(html) <= allowed("clay")
