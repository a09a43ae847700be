"""The outbox under load: how fast emails are sent, the memory it takes, and the delays."""

import datetime as dt
import os
import smtplib
import statistics
import sys
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.bench.report import figure, title
from tests.bench.sink import SECONDS
from tests.services.process import Process, eventually, free_port

ZONES = [
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("America/Anchorage", "Pacific/Honolulu"),
]
FEW, SOME, MANY = 100, 1000, 10_000
# The sink delays its answer to emails to this domain, as a provider's server does.
SLOW = "slow.example"
CONNECTIONS = 8
# How many seconds one worker process sends before two do, and the other way around.
SLICE = 2


def bench_mail(week, folder: Path) -> None:
    port = free_port()
    os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
    with sink(folder, port):
        bench_speed(week, folder, port)
        bench_announcing(week)
        bench_waiting(week, folder)
        bench_slow_server(week, folder)


def bench_speed(week, folder: Path, port: int) -> None:
    title(f"{MANY:,} personal mails with text, HTML and calendar")
    people_of(week, MANY)
    ceiling = Ceiling(week, port)
    ready_rates: list[float] = []
    built = ceiling.built_by_the_standard_library(SOME // 4)
    few = mailing(week, folder, FEW)

    def mail_many() -> Mailing:
        ready_rates.append(ceiling.ready_message(SOME))
        seen = mailing(week, folder, MANY)
        ready_rates.append(ceiling.ready_message(SOME))
        return seen

    some, many = by_turns(lambda: mailing(week, folder, MANY, at_a_time=SOME), mail_many)
    ready = statistics.median(ready_rates)
    ones, twos, ratios = one_and_two(week, folder)
    figure("size of one mail", f"{ceiling.size / 1024:,.0f} KiB")
    figure("smtplib, one ready message again and again, median", f"{ready:,.0f}/s")
    figure("from, to", f"{min(ready_rates):,.0f}/s, {max(ready_rates):,.0f}/s")
    figure("smtplib, each built with the standard library", f"{built:,.0f}/s")
    figure(f"outbox, {SOME:,} mails, one worker process", f"{some.rate:,.0f}/s")
    figure(f"outbox, {MANY:,} mails, one worker process", f"{many.rate:,.0f}/s")
    figure("one: ratio to the ready message", f"{many.rate / ready:.2f}", "wanted: at least 0.20")
    figure("one: ratio to the standard library's", f"{many.rate / built:.2f}")
    figure(f"one: {MANY:,} to {SOME:,}", f"{many.rate / some.rate:.2f}", "wanted: no slower, 1.0")
    figure(f"one, taking turns of {SLICE} s with two", f"{statistics.median(ones):,.0f}/s")
    figure("two", f"{statistics.median(twos):,.0f}/s")
    figure("two to one, the median", f"{statistics.median(ratios):.2f}", "wanted: at least 1.5")
    low, _middle, high = statistics.quantiles(ratios, n=4)
    figure(f"half of all {len(ratios)} ratios between", f"{low:.2f}, {high:.2f}")
    figure(f"peak memory of the worker, {FEW} mails", f"{few.peak_mib:,.1f} MiB")
    grown = many.peak_mib - few.peak_mib
    figure(f"{MANY:,} mails: more by", f"{grown:,.1f} MiB", "wanted: at most 20")


def bench_languages(week, folder: Path, *, count: int = 5 * SOME) -> None:
    """Whether two languages slow down a mailing. The first emails of each have to be rendered."""
    from registrations.models import Registration

    port = free_port()
    os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
    title(f"{count:,} mails to readers of one language and of two")
    people_of(week, count)
    people = Registration.objects.order_by("pk").values_list("pk", flat=True)
    # Of each time zone and each choice of sessions.
    half = [pk for number, pk in enumerate(people) if number // (2 * len(ZONES)) % 2]

    def one() -> Mailing:
        Registration.objects.update(language="en")
        return mailing(week, folder, count)

    def two() -> Mailing:
        Registration.objects.filter(pk__in=half).update(language="es")
        return mailing(week, folder, count)

    with sink(folder, port):
        english, both = by_turns(one, two)
    figure("English", f"{english.rate:,.0f}/s")
    figure("half of them Spanish", f"{both.rate:,.0f}/s")
    figure("two to one", f"{both.rate / english.rate:.2f}", "wanted: no slower, 1.0")
    figure("memory: more by", f"{both.peak_mib - english.peak_mib:,.1f} MiB")


def bench_slow_server(week, folder: Path) -> None:
    delay = SECONDS[SLOW]
    possible = CONNECTIONS / delay
    title(f"A server that takes {delay * 1000:.0f} ms for each email, {CONNECTIONS} connections")
    people_of(week, MANY, domain=SLOW)
    processes = mailing(week, folder, MANY, f"--concurrency={CONNECTIONS}")
    threads = mailing(week, folder, MANY, "--pool=threads", f"--concurrency={CONNECTIONS}")
    for pool, seen, wanted in (
        ("processes", processes, "wanted: at least 0.70"),
        ("threads", threads, ""),
    ):
        reached = statistics.median(seen.rates)
        figure(f"{CONNECTIONS} {pool}", f"{reached:,.0f}/s")
        figure(f"ratio to {possible:,.0f}/s", f"{reached / possible:.2f}", wanted)
        figure("memory, all processes together", f"{seen.total_mib:,.0f} MiB")
        figure("the largest process, shared memory included", f"{seen.peak_mib:,.0f} MiB")


def bench_announcing(week) -> None:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from registrations.mail import announcements
    from registrations.models import Announcement

    title(f"An announcement to {MANY:,} people")
    client = Client(headers={"host": "localhost"})
    organizer = get_user_model().objects.create_superuser("bench", "bench@example.org", "x")
    client.force_login(organizer)
    announcement = Announcement.objects.create(event=week, subject="News", body="Hello {name}")
    review = reverse("admin:registrations_announcement_review", args=[announcement.pk])

    def seconds(work: Callable[[], Any]) -> float:
        started = time.monotonic()
        work()
        return time.monotonic() - started

    client.get(review)
    viewed = statistics.median(seconds(lambda: client.get(review)) for _round in range(5))
    sent = seconds(lambda: announcements.send_now(announcement=announcement))
    with CaptureQueriesContext(connection) as queries:
        queued = seconds(lambda: announcements.start_due(dt.datetime.now(dt.UTC)))
    assert announcement.mails.count() == MANY
    figure("the review page, with its count and preview", f"{viewed * 1000:,.0f} ms")
    figure("what its send button does", f"{sent * 1000:,.0f} ms")
    figure("a worker queues the mails", f"{queued * 1000:,.0f} ms")
    figure("queries", f"{len(queries)}")
    announcement.mails.all().delete()
    announcement.delete()


def bench_waiting(week, folder: Path) -> None:
    from registrations.mail import announcements
    from registrations.models import Announcement, OutgoingMail

    title("From registering until the mail server has the mail")
    with workers(folder, 1):
        delays(week, 5)
        idle = delays(week, 100)
        announcement = Announcement.objects.create(event=week, subject="News", body="Hello {name}")
        announcements.send_now(announcement=announcement)
        announcements.start_due(dt.datetime.now(dt.UTC))
        busy = delays(week, 100)
        waiting = OutgoingMail.objects.filter(announcement=announcement, state="waiting").exists()
        announcements.stop(announcement=announcement)
    for load, seen, wanted in (("idle", idle, 1), ("mailing", busy, 2)):
        figure(f"{load}: median", f"{statistics.median(seen) * 1000:,.0f} ms")
        p99 = statistics.quantiles(seen, n=100)[98]
        figure(f"{load}: p99", f"{p99 * 1000:,.0f} ms", f"wanted: under {wanted} s")
    figure(f"{MANY:,} announcements were on their way all the time", "yes" if waiting else "no")


def delays(week, count: int) -> list[float]:
    """How many seconds each of `count` people waits for their links, one after the other."""
    from tests.people import sign_up

    seen = []
    for number in range(count):
        alice = sign_up(week, f"Late{number}x{time.monotonic_ns()} Adams")
        mail = alice.mails.filter(state="sent")
        eventually(mail.exists, "the links mail was sent", 60)
        seen.append((mail.get().sent_at - alice.created_at).total_seconds())
        time.sleep(0.05)
    return seen


class Mailing(NamedTuple):
    """Emails per second in each thousand, and the worker's memory.

    `peak_mib` is the largest resident memory of a process that sends. `total_mib` is that of all
    processes of the worker at the end, with shared memory counted once.
    """

    rates: list[float]
    peak_mib: float
    total_mib: float

    @property
    def rate(self) -> float:
        """The rate of the fastest tenth, because other processes only slow it down."""
        return statistics.quantiles(self.rates, n=10, method="inclusive")[-1]


def by_turns(*runs: Callable[[], Mailing]) -> list[Mailing]:
    """Repeat the runs three times, forward and back, so that drift affects all of them alike."""
    seen: dict[Callable[[], Mailing], list[Mailing]] = {run: [] for run in runs}
    for run in (*runs, *reversed(runs), *runs):
        seen[run].append(run())
    return [
        Mailing(
            [rate for each in same for rate in each.rates],
            max(each.peak_mib for each in same),
            max(each.total_mib for each in same),
        )
        for same in seen.values()
    ]


def one_and_two(week, folder: Path) -> tuple[list[float], list[float], list[float]]:
    """Emails per second of one worker process, of two, and their ratios.

    In each mailing the second process is suspended for every other SLICE, because the speed of
    the machine changes within a minute. Each slice of two processes is compared with the mean of
    the slices of one before and after it.
    """
    ones: list[float] = []
    twos: list[float] = []
    ratios: list[float] = []
    for _mailing in range(4):
        slices = _slices(week, folder)
        ones += slices[::2]
        twos += slices[1::2]
        triples = zip(slices[::2], slices[1::2], slices[2::2], strict=False)
        ratios += [two / statistics.mean([before, after]) for before, two, after in triples]
    return ones, twos, ratios


def _slices(week, folder: Path) -> list[float]:
    """Emails per second of one process, of two, of one, and so on, until all are sent."""
    from registrations.models import OutgoingMail

    OutgoingMail.objects.all().delete()
    with workers(folder, 2) as started:
        other = psutil.Process(started[1].pid)
        both = [other, *other.children(recursive=True)]
        queue_links(week, week.registrations.all())
        time.sleep(SLICE)
        periods = []
        while unsent().exists():
            for stand_still in (True, False):
                for process in both:
                    process.suspend() if stand_still else process.resume()
                time.sleep(SLICE / 10)
                start = dt.datetime.now(dt.UTC)
                time.sleep(SLICE)
                periods.append((start, dt.datetime.now(dt.UTC)))
    times = times_sent(MANY)
    # During the last thousand, one of the two may have none left.
    whole = [(start, end) for start, end in periods if end < times[-SOME]]
    return [
        (bisect(times, end) - bisect(times, start)) / (end - start).total_seconds()
        for start, end in whole
    ]


def mailing(week, folder: Path, count: int, *options: str, at_a_time: int = MANY) -> Mailing:
    """Queue links to `count` people, and let a worker send them.

    `options` are the worker's. `at_a_time` emails are queued; the next ones when these are sent.
    """
    from registrations.models import OutgoingMail

    OutgoingMail.objects.all().delete()
    people = list(week.registrations.order_by("pk").values_list("pk", flat=True)[:count])
    with workers(folder, 1, *options) as (worker,):
        for start in range(0, count, at_a_time):
            queue_links(week, people[start : start + at_a_time])
            eventually(lambda: not unsent().exists(), f"{count} mails sent", 600, every=0.2)
        peak_mib, total_mib = _memory_mib(worker.pid)
    times = times_sent(count)
    rates = [
        (len(some) - 1) / (some[-1] - some[0]).total_seconds()
        for some in (times[start : start + SOME] for start in range(0, count, SOME))
    ]
    return Mailing(rates, peak_mib, total_mib)


def queue_links(week, people: Any) -> None:
    """Queue an email with links to each of these people, and wake one worker."""
    from django.db import transaction

    from registrations.outbox import mail_queue

    with transaction.atomic():
        mail_queue.queue_all(week.registrations.filter(pk__in=people), key="links", kind="links")


def unsent() -> Any:
    """The emails that are left. Counting those that were sent would take longer and longer."""
    from registrations.models import OutgoingMail

    return OutgoingMail.objects.filter(state="waiting")


def times_sent(count: int) -> list[dt.datetime]:
    """When each of the `count` emails was recorded as sent, in order."""
    from registrations.models import OutgoingMail

    sent = OutgoingMail.objects.filter(state="sent")
    assert sent.count() == count
    return list(sent.order_by("sent_at").values_list("sent_at", flat=True))


@contextmanager
def workers(folder: Path, count: int, *options: str) -> Iterator[list[Process]]:
    """Start Celery workers, and wait until they are ready. Each has one process by default."""
    for log in folder.glob("worker-*.log"):
        log.unlink()
    started = [
        Process(
            *(sys.executable, "-m", "celery", "-A", "strategyweek", "worker", "--loglevel=INFO"),
            *(options or ("--concurrency=1",)),
            f"--hostname=bench{number}@localhost",
            log=folder / f"worker-{number}.log",
            environment={**os.environ},
        )
        for number in range(count)
    ]
    try:
        for process in started:
            process.wait_for_log(r" ready\.")
        yield started
    finally:
        for process in started:
            process.stop()


def _memory_mib(pid: int) -> tuple[float, float]:
    """The peak of the largest process that sends, and the sum of all; see Mailing."""
    worker = psutil.Process(pid)
    children = worker.children(recursive=True)
    peaks = []
    for process in children or [worker]:
        status = Path(f"/proc/{process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        peaks.append(int(line.split()[1]) / 1024)
    total = sum(process.memory_full_info().pss for process in (worker, *children))
    return max(peaks), total / 1024**2


@contextmanager
def variables(**changes: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@contextmanager
def sink(folder: Path, port: int) -> Iterator[None]:
    process = Process(
        *(sys.executable, "-m", "tests.bench.sink", str(port)),
        log=folder / "sink.log",
        environment={**os.environ},
    )
    try:
        process.ready_when(lambda: "listening" in process.log)
        yield
    finally:
        process.stop()


def people_of(week, count: int, *, domain: str = "example.org") -> None:
    """Register `count` people in all time zones, each with their own choice of sessions."""
    from registrations.models import Registration, Seat

    Registration.objects.all().delete()
    people = Registration.objects.bulk_create(
        Registration(
            event=week,
            name=f"Alice{number} Adams",
            email=f"alice{number}@{domain}",
            email_key=f"alice{number}@{domain}",
            zoom_email=f"alice{number}@{domain}",
            time_zone=ZONES[number % len(ZONES)],
        )
        for number in range(count)
    )
    sessions = list(week.sessions.all())
    Seat.objects.bulk_create(
        Seat(registration=person, session=session)
        for number, person in enumerate(people)
        for index, session in enumerate(sessions)
        # Every other person comes to all sessions.
        if number % 2 == 0 or (number * 37 >> index) & 1
    )


class Ceiling:
    """How fast plain smtplib sends such an email over one connection."""

    def __init__(self, week, port: int) -> None:
        from registrations.mail import previews
        from registrations.models import OutgoingMail

        self._port = port
        self._message: Any = previews.sample(OutgoingMail.Kind.LINKS, week)
        self._ready = self._message.message().as_bytes(linesep="\r\n")
        self.size = len(self._ready)

    def ready_message(self, mails: int) -> float:
        return self._rate(lambda _number: self._ready, mails)

    def built_by_the_standard_library(self, mails: int) -> float:
        return self._rate(self._build, mails)

    def _build(self, number: int) -> bytes:
        message = self._message
        name, own = "Siobhán", f"Alice{number}"
        built = EmailMessage()
        built["Subject"], built["From"] = message.subject, "Strategy Week <week@example.org>"
        built["To"] = f"alice{number}@example.org"
        built.set_content(message.body.replace(name, own))
        built.add_alternative(str(message.alternatives[0][0]).replace(name, own), subtype="html")
        built.add_attachment(
            message.attachments[0].content.encode(),
            maintype="text",
            subtype="calendar",
            filename="strategy-week.ics",
        )
        return built.as_bytes(policy=SMTP)

    def _rate(self, content: Callable[[int], bytes], mails: int) -> float:
        started = time.monotonic()
        with smtplib.SMTP("127.0.0.1", self._port) as server:
            for number in range(mails):
                server.sendmail("week@example.org", [f"a{number}@example.org"], content(number))
        return mails / (time.monotonic() - started)
