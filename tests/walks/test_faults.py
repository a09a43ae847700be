"""Whatever dies while someone registers, the registration is kept and the email is sent."""

import datetime as dt
import html
import os
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client

from events import schedule
from registrations.models import OutgoingMail, Registration
from strategyweek import celery_app
from tests.conftest import database_url
from tests.people import filled_form, sign_up
from tests.services.process import Process, eventually, free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(tmp_path, broker) -> Iterator[str]:
    """The address of a real web server with the test's database and its own broker."""
    port = free_port()
    web = Process(
        *(sys.executable, "-m", "gunicorn", "strategyweek.wsgi", f"--bind=127.0.0.1:{port}"),
        log=tmp_path / "web.log",
        environment={
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_URL": broker.url,
            "DEBUG": "true",
        },
    )
    web.ready_when(lambda: "Booting worker" in web.log)
    yield f"http://127.0.0.1:{port}"
    web.stop()
    print(web.log)


def register(site: str, week, email: str) -> float:
    """Register over HTTP. Returns how many seconds the POST took."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    address = f"{site}/{week.slug}/register/"
    form = browser.open(address, timeout=20).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
    fields = filled_form(week, email=email, csrfmiddlewaretoken=token)
    started = time.monotonic()
    response = browser.open(address, urlencode(fields, doseq=True).encode(), timeout=20)
    seconds = time.monotonic() - started
    assert email in response.read().decode()
    return seconds


@pytest.mark.served
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("fault", "end", "limit"), [("kill", "start", 1), ("freeze", "thaw", 5)])
def test_dead_or_frozen_broker_loses_no_registration_and_no_email(
    week, site, broker, smtp_sink, worker, beat, fault, end, limit
):
    worker(REDIS_URL=broker.url)
    beat(REDIS_URL=broker.url)
    # Each gets the links and the schedule.
    register(site, week, "before@example.org")
    smtp_sink.wait_for(2)

    getattr(broker, fault)()
    assert register(site, week, "alice@example.org") < limit
    assert register(site, week, "bob@example.org") < limit
    time.sleep(2)
    assert Registration.objects.count() == 3
    assert OutgoingMail.objects.filter(state="waiting").count() == 4

    getattr(broker, end)()
    smtp_sink.wait_for(6, timeout=60)
    addresses = Counter(each.recipients[0] for each in smtp_sink.messages)
    people = ("alice@example.org", "before@example.org", "bob@example.org")
    assert addresses == dict.fromkeys(people, 2)


@pytest.mark.served
@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_organizers_work_on_while_the_broker_is_dead_or_frozen(week, opening, site, broker, fault):
    sign_up(week)
    OutgoingMail.objects.update(state="sent", sent_at=opening.created_at)
    with schedule.edit_session(opening.pk) as current:
        current.starts_at -= dt.timedelta(hours=1)
        current.save()
    organizer = signed_in()
    organizer.get(f"{site}/admin/", timeout=30)
    getattr(broker, fault)()

    def answer(address: str, **fields: object) -> str:
        """The page, or what it says after a button was pressed."""
        fields = fields and {**fields, "csrfmiddlewaretoken": organizer.cookies["csrftoken"]}
        method = "POST" if fields else "GET"
        answer = organizer.request(method, site + address, data=fields or None, timeout=10)
        assert answer.status_code == 200
        return " ".join(re.sub(r"<[^>]+>", " ", html.unescape(answer.text)).split())

    desk = answer("/admin/")
    assert "1 session was changed, and people will be emailed about it." in desk
    assert "Worker: not running" in desk
    notices = f"/admin/events/session/notices/{week.pk}/"
    answer(notices)
    button = {"session": opening.pk, "revision": 1}
    assert "Emails about changes are on hold." in answer(notices, **button, do="hold")
    assert "what people were last told" in answer(notices, **button, do="undo")
    assert type(opening).objects.get(pk=opening.pk).starts_at == opening.starts_at


def signed_in() -> requests.Session:
    """The browser of someone who may do everything in the admin."""
    client, browser = Client(), requests.Session()
    client.force_login(User.objects.create_superuser("dora", "dora@example.org", "correct horse"))
    browser.cookies["sessionid"] = client.cookies["sessionid"].value
    return browser


@pytest.mark.timeout(180)
def test_email_is_sent_although_its_wakeup_was_lost(week, smtp_sink, worker, beat):
    """The web process may die right after its commit. Then beat's periodic task finds the email."""
    sign_up(week)
    celery_app.control.purge()
    worker()
    beat()
    smtp_sink.wait_for(1, timeout=30)


@pytest.mark.long
@pytest.mark.once
@pytest.mark.timeout(180)
def test_email_is_sent_when_the_mail_server_is_back(week, smtp_sink, worker, beat):
    smtp_sink.stop()
    worker(EMAIL_TIMEOUT="2")
    beat()
    sign_up(week)
    waiting = OutgoingMail.objects.filter(attempts__gte=1, state="waiting")
    eventually(lambda: waiting.exclude(last_error="").exists(), "a first attempt")
    smtp_sink.start()
    smtp_sink.wait_for(1, timeout=40)
    eventually(lambda: OutgoingMail.objects.filter(state="sent").exists(), "recorded")


@pytest.mark.timeout(180)
def test_email_is_at_the_mail_server_within_a_second(week, smtp_sink, worker):
    worker()
    sign_up(week, "Warm Up")
    smtp_sink.wait_for(1)
    started = time.monotonic()
    sign_up(week)
    smtp_sink.wait_for(2)
    assert time.monotonic() - started < 1
