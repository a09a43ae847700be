"""Bad input on the register page: the form is shown again, with errors at the fields."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.encoding import force_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import Session
from registrations.models import Registration, Seat
from registrations.validators import INVISIBLE_IN_ADDRESS
from tests.people import filled_form, published_event

pytestmark = pytest.mark.django_db

LONG_TEXT = "x" * 30_000


def errors_of(client, week, **changes) -> dict[str, list[str]]:
    answer = client.post(f"/{week.slug}/register/", filled_form(week, **changes))
    assert answer.status_code == 200
    assert not Registration.objects.exists()
    for messages in answer.context["form"].errors.values():
        for message in messages:
            assert message in answer.content.decode().replace("&#x27;", "'").replace(
                "&lt;", "<"
            ).replace("&gt;", ">")
    return dict(answer.context["form"].errors)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "Alice\nBcc: everyone@example.org"),
        ("name", "Alice\r\nX"),
        ("name", "<script>alert(1)</script>"),
        ("name", "Alice \u202egnp.exe"),
        ("name", "Alice\u2066\u200f"),
        ("name", "Alice\x00"),
        ("name", "Win at https://evil.example"),
        ("name", "see www.evil.example"),
        ("name", "Claim it at evil.com/x"),
        ("name", "Write to a@b.com"),
        ("name", "Alice\u2028Adams"),
        ("email", "a@" + ".".join(["\ufb03" * 21] * 10) + ".com"),
        ("name", "\ue000name\ue000"),
        ("name", "x" * 101),
        ("name", LONG_TEXT),
        ("email", ""),
        ("email", "alice"),
        ("email", "alice@"),
        ("email", "alice@example.org\nBcc: x@example.org"),
        ("email", "a@example.org, b@example.org"),
        ("email", "alice\x00@example.org"),
        ("email", '"alice"@example.org'),
        ("email", '"a\\lice"@example.org'),
        ("email", "alice@exa\u00admple.org"),
        ("email", "alice@exa\u200bmple.org"),
        ("email", "alice@exa\u202emple.org"),
        ("email", f"alice@{'ü' * 60}.org"),
        ("email", "a" * 250 + "@example.org"),
        ("email", LONG_TEXT),
        ("sessions", []),
        ("sessions", ["0"]),
        ("sessions", ["-1"]),
        ("sessions", ["x"]),
        ("sessions", ["\x00"]),
        ("sessions", ["9" * 400]),
        ("sessions", ["1; DROP TABLE"]),
        ("time_zone", ""),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", "America/New_York\x00"),
        ("time_zone", LONG_TEXT),
        ("organization", "x" * 151),
        ("organization", "<b>Us</b>"),
        ("organization", "Us\nThem"),
        ("us_state", "XX"),
        ("us_state", "CA\x00"),
        ("needs", ["braille"]),
        ("needs", ["other"]),
        ("needs", ["\x00"]),
        ("needs", [LONG_TEXT]),
        ("strategies", ["0"]),
        ("strategies", ["\x00"]),
        ("strategies", [LONG_TEXT]),
    ],
)
def test_bad_value_is_reported_at_its_field(client, week, field, value):
    assert list(errors_of(client, week, **{field: value})) == [field]


def test_session_of_another_event_is_rejected(client, week):
    other = published_event(name="Other", slug="other")
    times = {"starts_at": week.sessions.first().starts_at, "ends_at": week.sessions.last().ends_at}
    foreign = Session.objects.create(event=other, title="Theirs", slug="theirs", **times)
    assert list(errors_of(client, week, sessions=[foreign.pk])) == ["sessions"]


@pytest.mark.once
def test_form_with_errors_keeps_what_was_entered(client, week):
    chosen = week.sessions.all()[1]
    answer = client.post(
        f"/{week.slug}/register/",
        filled_form(
            week,
            email="alice",
            organization="Families & Friends",
            sessions=[chosen.pk],
            us_state="TX",
            needs=["captions"],
            time_zone="Asia/Tokyo",
        ),
    )
    page = answer.content.decode()
    assert 'value="Alice Adams"' in page
    assert 'value="Families &amp; Friends"' in page
    form = answer.context["form"]
    assert form["sessions"].value() == [str(chosen.pk)]
    assert ("Asia/Tokyo", "Asia/Tokyo") in form.fields["time_zone"].widget.choices
    assert form["needs"].value() == ["captions"]


@pytest.mark.once
def test_empty_form_is_reported_at_every_required_field(client, week):
    answer = client.post(f"/{week.slug}/register/", {})
    assert set(answer.context["form"].errors) == {"name", "email", "sessions", "time_zone"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"name=%ff%fe&email=%80&sessions=%00"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"name=a"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"name=a"),
        ("application/json", b'{"name": 1'),
        ("multipart/form-data; boundary=x", b"--y broken"),
        ("multipart/form-data", b""),
        ("text/plain", b"\x00" * 1000),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(5000))),
        ("application/x-www-form-urlencoded", b"name=" + b"x" * 10_000_000),
    ],
)
def test_malformed_requests_are_no_server_error(client, week, content_type, body):
    answer = client.generic("POST", f"/{week.slug}/register/", body, content_type=content_type)
    assert answer.status_code in {200, 400, 413}
    assert not Registration.objects.exists()


@pytest.mark.once
def test_uploaded_files_are_not_stored(client, week, monkeypatch):
    """A stranger's file would fill the disk."""
    kept = []
    monkeypatch.setattr(
        "django.core.files.temp.NamedTemporaryFile", lambda **options: kept.append(options)
    )
    fields = filled_form(week, file=SimpleUploadedFile("big.bin", b"x" * 5_000_000))
    assert client.post(f"/{week.slug}/register/", fields).status_code == 413
    fields["file"] = SimpleUploadedFile("small.bin", b"x" * 5_000)
    assert client.post(f"/{week.slug}/register/", fields).status_code == 302
    assert kept == []


@pytest.mark.parametrize("invisible", ["\u200b", "\ufeff", "\u202a", "\u200d", "\u2060 "])
def test_invisible_characters_around_an_address_are_removed(client, week, invisible):
    pasted = f"{invisible}ana@example.org{invisible}"
    client.post(f"/{week.slug}/register/", filled_form(week, email=pasted))
    assert Registration.objects.get().email == "ana@example.org"


@pytest.mark.parametrize("email", ["ana@exam\u200dple.org", "ana@exam\u200cple.org"])
def test_joiner_inside_an_address_is_explained(client, week, email):
    assert errors_of(client, week, email=email) == {"email": [str(INVISIBLE_IN_ADDRESS)]}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            field: st.text(max_size=300)
            for field in ("name", "email", "time_zone", "organization", "us_state")
        }
        | {
            field: st.lists(st.text(max_size=20), max_size=4)
            for field in ("sessions", "strategies", "needs")
        },
    )
)
def test_random_fields_are_no_server_error(client, week, fields):
    answer = client.post(
        f"/{week.slug}/register/",
        {
            name: [force_bytes(v, errors="replace") for v in value]
            if isinstance(value, list)
            else force_bytes(value, errors="replace")
            for name, value in fields.items()
        },
    )
    assert answer.status_code == 200
    assert not Seat.objects.exists()


@pytest.mark.parametrize(
    "name", ["O'Brien & Co", "María José", "李小龍", "نور\u200cالدین", "Zoë 🌱", "J. R. St. John"]
)
def test_names_in_any_script_are_accepted(client, week, name):
    client.post(f"/{week.slug}/register/", filled_form(week, name=name))
    assert Registration.objects.get().name == name
