"""A server in Zoom's place, for tests and for trying the product out. It is not Zoom.

It speaks as much of Zoom's REST API as the product uses, with the documented shapes, codes,
words and limits, keeps its state in memory, fails when told to, sends signed webhooks and shows
a "meeting" when a join link is opened. Standard library only; it knows nothing of Django.

    with StandIn(webhook_url=..., webhook_secret=...) as zoom:
        ...  # a client at zoom.api_url and zoom.oauth_url
        zoom.fail("503", call="create_meeting")
        zoom.start(meeting_id)
"""

from .account import CannotJoin, Meeting, Participant, Registrant, User
from .faults import Fault
from .server import CallMade, StandIn
from .webhooks import Webhook

__all__ = [
    "CallMade",
    "CannotJoin",
    "Fault",
    "Meeting",
    "Participant",
    "Registrant",
    "StandIn",
    "User",
    "Webhook",
]
