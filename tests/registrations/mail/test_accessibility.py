"""What screen readers, and people who see little, get from the emails."""

import pytest
from django.utils.translation import override

from registrations.mail import kinds, previews
from registrations.mail_kinds import MailKind
from tests.axe import findings
from tests.browser import overflow

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(scope="module")
def reader(browser):
    """One page for all emails. It loads nothing: mail programs block images, too."""
    context = browser.new_context()
    context.route("**/*", lambda route: route.abort())
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("kind", kinds.COMPOSERS)
def test_email_is_accessible_and_fits_small_phones(week, reader, kind):
    week.contact_email = "hosts@example.org"
    week.save()
    # A rule of axe fails in each language, or in each color scheme.
    for language, scheme in (("en", "light"), ("es", "dark")):
        with override(language):
            email = previews.sample(kind, week)
        reader.emulate_media(color_scheme=scheme)
        reader.set_content(str(email.alternatives[0][0]))
        for width in (700, 320):
            reader.set_viewport_size({"width": width, "height": 740})
            assert overflow(reader) <= 0
        assert findings(reader) == []


def test_links_email_has_three_sessions_on_a_phone_screen(week, reader):
    with override("en"):
        email = previews.sample(MailKind.LINKS, week)
    reader.set_viewport_size({"width": 375, "height": 740})
    reader.set_content(str(email.alternatives[0][0]))
    tops = [each.bounding_box()["y"] for each in reader.locator("h3").all()]
    # The first title is twice as long as the others.
    assert tops[4] - tops[1] <= 740
