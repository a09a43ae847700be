"""Publishing an event with its draft sessions: all of it or nothing."""

import pytest

from events import publishing
from events.models import Event, Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(week) -> Event:
    """A week whose event and first two sessions are drafts."""
    first, second = week.sessions.all()[:2]
    Session.objects.filter(pk__in=[first.pk, second.pk]).update(status="draft")
    Event.objects.update(status="draft")
    return Event.objects.get()


def states(event: Event) -> list[str]:
    return list(event.sessions.values_list("status", flat=True))


def test_event_is_published_with_the_chosen_sessions(draft):
    first, second, *_others = draft.sessions.all()
    assert publishing.publish(event=draft, drafts=[first]) == [first]
    assert Event.objects.get().status == "published"
    assert list(draft.sessions.filter(status="draft")) == [second]
    # As if it had been published on its own page.
    first.refresh_from_db()
    assert first.revision == 1 + draft.sessions.last().revision


def test_nothing_is_published_twice(draft):
    publishing.publish(event=draft)
    with pytest.raises(publishing.CannotPublish):
        publishing.publish(event=draft, drafts=draft.sessions.all())
    assert states(draft).count("draft") == 2


def test_nothing_is_published_without_a_contact(draft):
    Event.objects.update(contact_email="")
    with pytest.raises(publishing.CannotPublish):
        publishing.publish(event=draft, drafts=draft.sessions.all())
    assert (Event.objects.get().status, states(draft).count("draft")) == ("draft", 2)


def test_session_that_someone_else_published_is_not_returned(draft):
    first = draft.sessions.first()
    Session.objects.filter(pk=first.pk).update(status="published")
    assert publishing.publish(event=draft, drafts=[first]) == []
