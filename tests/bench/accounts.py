"""Whether the time of a response reveals who has an account."""

import random
import statistics
from collections.abc import Callable
from functools import partial

from tests.bench.readiness import seconds
from tests.bench.report import figure, title

# Passwords take a quarter of a second each.
SIGN_IN_ROUNDS, RESET_ROUNDS = 25, 100
KNOWN = ("organizer@example.org", "attendee@example.org")


def bench_accounts() -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    User.objects.create_superuser("organizer", KNOWN[0], "correct horse")
    User.objects.create_user("attendee", KNOWN[1])
    title("Known and unknown addresses")
    post = Client(headers={"host": "localhost"}).post
    compare(
        "sign-in with a wrong password",
        SIGN_IN_ROUNDS,
        lambda email: post("/accounts/login/", {"login": email, "password": "wrong"}),
    )
    compare(
        "a forgotten password",
        RESET_ROUNDS,
        lambda email: post("/accounts/password/reset/", {"email": email}),
    )


def compare(label: str, rounds: int, request: Callable[[str], object]) -> None:
    """Print the ratio between the slowest and the fastest kind of address, in random order."""
    from registrations.models import MailboxUse

    taken: dict[str, list[float]] = {}
    for number in range(rounds):
        emails = [*KNOWN, f"stranger{number}@example.org"]
        random.shuffle(emails)
        # So that no mailbox reaches its limit.
        MailboxUse.objects.all().delete()
        for email in emails:
            kind = email if email in KNOWN else "a stranger"
            taken.setdefault(kind, []).append(seconds(partial(request, email)))
    medians = {kind: statistics.median(times) for kind, times in taken.items()}
    for kind, median in medians.items():
        figure(f"{label}: {kind}", f"{median * 1000:,.1f} ms")
    ratio = max(medians.values()) / min(medians.values())
    figure(f"{label}: ratio", f"{ratio:.2f}", "wanted: at most 1.10")
