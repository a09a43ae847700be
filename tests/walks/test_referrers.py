"""Browsers can send each form with a CSRF token, also on pages that keep their address secret.

A page with `Referrer-Policy: no-referrer` sends its form with "Origin: null", which the CSRF check
rejects. Such a page has to allow its own site in a meta element.
"""

import pytest

from tests.public_urls import Visitors, filled, parameters, public_routes

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_pages_with_a_form_send_their_origin(week):
    values = parameters(week)
    client = Visitors(values).client("attendee")
    wrong, forms = [], 0
    for route in public_routes():
        answer = client.get(filled(route, values))
        if answer.streaming or b"csrfmiddlewaretoken" not in answer.content:
            continue
        forms += 1
        is_hidden = answer.get("Referrer-Policy") == "no-referrer"
        if is_hidden and b'<meta name="referrer" content="same-origin">' not in answer.content:
            wrong.append(route)
    assert wrong == []
    assert forms > 10
