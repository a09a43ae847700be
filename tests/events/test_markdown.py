"""Organizers' Markdown: in announcements, and in the introduction on an event's page."""

import pytest

from events.models import Event
from events.text import markdown
from tests.people import in_english


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("**bold** and *em*", "<p><strong>bold</strong> and <em>em</em></p>\n"),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>\n"),
        ("[x](https://example.org/)", '<p><a href="https://example.org/">x</a></p>\n'),
        ("![x](https://example.org/spy.png)", "<p></p>\n"),
        ("a\nb", "<p>a<br>\nb</p>\n"),
        ('<a href="https://x" onclick="y">z</a>', "<p>&lt;a href="),
    ],
)
def test_markdown_is_sanitized(source, html):
    assert markdown.to_html(source).startswith(html)


def test_headings_are_below_the_one_above_the_text():
    assert markdown.to_html("# A\n\n##### B", below=2) == "<h3>A</h3>\n<h6>B</h6>\n"


@pytest.mark.django_db
def test_introduction_is_markdown_on_the_page(client, week):
    source = "We meet for **one week**.\n\n- Learn\n- Plan\n\n# Why\n\n<script>alert(1)</script>"
    Event.objects.update(**in_english(introduction=source))
    page = client.get(week.get_absolute_url()).content.decode()
    assert "<p>We meet for <strong>one week</strong>.</p>" in page
    assert "<li>Learn</li>" in page
    assert "<h3>Why</h3>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.django_db
def test_plain_introduction_looks_as_it_was_written(client, week):
    Event.objects.update(**in_english(introduction="\nOne & two\nthree\n\n    Four\n"))
    page = client.get(week.get_absolute_url()).content.decode()
    assert "<p>One &amp; two<br>\nthree</p>\n<p>Four</p>" in page
