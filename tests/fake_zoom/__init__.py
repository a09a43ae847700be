"""A fake Zoom: a server for tests and for `make run`.

It implements the part of Zoom's REST API that the site uses, with the documented JSON, error
codes, messages and limits. State is in memory. It fails on command, sends signed webhooks, and
shows a "meeting" page when a join link is opened.

    with FakeZoom(webhook_url=..., webhook_secret=...) as zoom:
        ...  # a client at zoom.api_url and zoom.oauth_url
        zoom.fail("503", call="create_meeting")
        zoom.start(meeting_id)

Django serves it, but needs neither the site's settings nor its database.
"""

from tests.fake_zoom.faults import Fault
from tests.fake_zoom.records import CannotJoin, Meeting
from tests.fake_zoom.zoom import FakeZoom

__all__ = ["CannotJoin", "FakeZoom", "Fault", "Meeting"]
