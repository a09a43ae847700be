"""The admin's own language, and the texts that organizers write in each language."""

import re

import pytest
from django.utils.translation import override

from events.models import Session
from tests.registrations.admin.test_registrations import path

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


def language_link(answer) -> str:
    """The address that the link to the other language leads to."""
    header = answer.content.decode().partition('id="user-tools"')[2].partition("</header>")[0]
    (link,) = re.findall(r'<a href="([^"]*)" hreflang', header)
    return link.replace("&amp;", "&")


def test_language_switch_shows_the_same_list_in_spanish(admin_client, week):
    url = f"{path(Session, 'changelist')}?kind__exact=strategy&q=law"
    link = language_link(admin_client.get(url, headers={"accept-language": "en"}))
    assert link == "?kind__exact=strategy&q=law&language=es"
    shown = admin_client.get(
        url.partition("?")[0] + link, headers={"accept-language": "en"}, follow=True
    )
    assert shown.redirect_chain == [(url, 302)]
    assert '<html lang="es"' in shown.content.decode()
    assert 'lang="en">English</a>' in shown.content.decode()
    assert language_link(shown) == "?kind__exact=strategy&q=law&language=en"
