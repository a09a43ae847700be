"""A fake Zoom with a frozen clock, and a receiver of its webhooks."""

import threading
from collections.abc import Iterator

import pytest

from tests.fake_zoom import FakeZoom, Meeting
from tests.fake_zoom.account import Account
from tests.test_fake_zoom.client import MEETING, Client, Clock, person
from tests.test_fake_zoom.receiver import Receiver


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def zoom(clock: Clock) -> Iterator[FakeZoom]:
    with FakeZoom(clock=clock) as zoom:
        yield zoom


@pytest.fixture
def client(zoom: FakeZoom) -> Client:
    return Client(zoom)


@pytest.fixture
def account(clock: Clock) -> Account:
    """The rules alone, without HTTP and without limits per second."""
    return Account(plan="business", account_id="a", client_id="c", client_secret="s", clock=clock)


@pytest.fixture
def meeting(account: Account) -> Meeting:
    return account.create_meeting(account.owner, MEETING)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with receiver.server as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield receiver
        server.shutdown()


@pytest.fixture
def reporting(zoom: FakeZoom, receiver: Receiver) -> FakeZoom:
    """The fake Zoom, with its webhooks sent to the receiver."""
    zoom.webhooks.url = receiver.url
    return zoom


@pytest.fixture
def alices_meeting(reporting: FakeZoom) -> Meeting:
    """A meeting for which Alice is registered."""
    meeting = reporting.account.create_meeting(reporting.account.owner, MEETING)
    reporting.account.add_registrant(meeting, person("Alice"))
    return meeting
