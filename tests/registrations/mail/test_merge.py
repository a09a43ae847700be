"""A merged email equals the one that Django would have built for that person alone."""

import email.policy
from email import message_from_bytes
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection

from registrations.mail import kinds, merge, previews, writer
from registrations.models import Registration
from registrations.outbox import prebuilt
from tests.people import sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]

DATE = "Mon, 01 Jan 2029 00:00:00 -0000"
NAMES = [
    "Alice Adams",
    "Siobhán O'Brien & Co <x>",
    "مريم الصالح",
    "👩🏽‍⚖️ Judge",
    "{name} %s \\n",
    merge.TOKEN,
    prebuilt.HEADERS["Subject"],
    "x" * 100,
]


def person(name: str, email_address: str = "alice@example.org") -> Registration:
    return Registration(
        pk=7, name=name, email=email_address, token="t" * 32, time_zone="America/New_York"
    )


def template(
    calendar: bytes | None = None, blocks: dict | None = None, **changes
) -> merge.MergeTemplate:
    fields: dict[str, Any] = {
        "subject": f"Hello {merge.NAME}, ünïcode",
        "text": f"Hello {merge.NAME},\nhttps://x/{merge.TOKEN}/\n.\nFrom here\n",
        "html": f"<p>Hello {merge.HTML_NAME}</p>\n<a href='https://x/{merge.TOKEN}/'>é</a>\n",
        "reply_to": ("hosts@example.org",),
        "headers": {"List-Unsubscribe": f"<{merge.UNSUBSCRIBE_URL}>"},
        "method": "PUBLISH",
    }
    built = b"BEGIN:VCALENDAR\r\nURL:https://x/" + merge.TOKEN.encode() + b"/\r\nEND:VCALENDAR\r\n"
    message = merge.MergeTemplate(**fields | changes).with_mime()
    return message.with_blocks(blocks or {}, calendar=built if calendar is None else calendar)


def parsed(message, *, plain: bool):
    """The email as it is sent; `plain`: as Django alone would build it."""
    message.extra_headers |= {"Message-ID": "<1@localhost>", "Date": DATE}
    build: Any = EmailMultiAlternatives.message if plain else type(message).message
    raw = build(message).as_bytes(linesep="\r\n")
    return message_from_bytes(raw, policy=email.policy.default)


def contents(message) -> list[tuple]:
    return [
        (
            part.get_content_type(),
            part.get_content_disposition(),
            part.get_filename(),
            None if part.is_multipart() else part.get_content(),
        )
        for part in message.walk()
    ]


def headers(message) -> dict[str, str]:
    """All but the boundary; a long one may be folded."""
    return {key: value.strip() for key, value in message.items() if key != "Content-Type"}


@pytest.mark.parametrize("method", ["PUBLISH", "REQUEST"])
@pytest.mark.parametrize("name", NAMES)
def test_merged_email_equals_the_one_that_django_builds(name, method):
    message = template(method=method).merge_for(person(name))
    assert message.prebuilt is not None
    ours, djangos = parsed(message, plain=False), parsed(message, plain=True)
    assert contents(ours) == contents(djangos)
    assert headers(ours) == headers(djangos)


@pytest.mark.parametrize("long", ["text", "html"])
def test_email_with_very_long_lines_is_built_by_django(long):
    message = template(**dict[str, Any]({long: f"{merge.NAME} {'é' * 2000}"})).merge_for(
        person("Alice")
    )
    assert message.prebuilt is None
    assert "Alice é" in str(contents(parsed(message, plain=False)))


def test_block_with_a_very_long_line_is_encoded_by_django():
    block, text = merge.sessions_field("with_agenda", "txt"), "é" * 600
    message = template(text=f"Hello {block}", blocks={block: text}).merge_for(person("Alice"))
    assert message.prebuilt is None
    assert text in str(contents(parsed(message, plain=False)))


def test_merge_fields_inside_blocks_are_substituted():
    block = merge.sessions_field("with_agenda", "txt")
    text, blocks = f"{merge.NAME}: {block}", {block: f"https://x/{merge.TOKEN}/ é\n"}
    message = template(text=text, blocks=blocks).merge_for(person("Alice"))
    body = parsed(message, plain=False).get_body(("plain",)).get_content()
    assert body.rstrip() == message.body.rstrip() == f"Alice: https://x/{'t' * 32}/ é"


def test_subject_cannot_inject_a_header():
    message = template(subject="Hello\r\nBcc: everyone@example.org").merge_for(person("Alice"))
    with pytest.raises(ValueError, match="newlines"):
        parsed(message, plain=False)


def test_address_cannot_inject_a_header():
    odd = person("Alice", "alice@example.org\nBcc: everyone@example.org")
    with pytest.raises(ValueError, match=r"newlines|Invalid"):
        parsed(template(calendar=b"").merge_for(odd), plain=False)


@pytest.mark.parametrize(
    "address", ["用户@例子.广告", "o'brien+x@example.org", "a" * 60 + "@example.org"]
)
def test_unusual_addresses_are_encoded_as_django_does(address):
    message = template().merge_for(person("Alice", address))
    ours, djangos = parsed(message, plain=False), parsed(message, plain=True)
    assert ours["To"] == djangos["To"]


def test_lines_that_start_with_a_dot_arrive_unchanged(smtp):
    text = ".\n..two\nlast line\n."
    get_connection().send_messages([template(text=text).merge_for(person("Alice"))])
    (received,) = smtp.wait_for(1)
    body = received.message.get_body(("plain",))
    assert body.get_content().splitlines() == text.splitlines()


@pytest.mark.parametrize("kind", kinds.COMPOSERS)
def test_every_kind_uses_prebuilt_mime(week, kind):
    message = previews.sample(kind, week)
    assert message.prebuilt is not None
    ours, djangos = parsed(message, plain=False), parsed(message, plain=True)
    assert contents(ours) == contents(djangos)


def test_two_people_share_the_prebuilt_mime(week):
    alice, bob = sign_up(week), sign_up(week, "Bob B")
    queued = [alice.mails.get(), bob.mails.get()]
    write: Any = writer.writer_for(queued)
    first, second = (write(mail) for mail in queued)
    assert first.prebuilt is second.prebuilt
    assert first.body != second.body
