"""The JSON of Zoom's responses and webhooks.

Source: the schemas at https://developers.zoom.us/docs/api/meetings/.
"""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from tests.fake_zoom.account import Account
from tests.fake_zoom.records import Instance, Meeting, Participant, Registrant, User

MAX_AGENDA_IN_LISTS = 250

Json = dict[str, Any]

DIAL_IN_NUMBERS: list[Json] = [
    {**{"country": "US", "country_name": "US", "city": city}, **{"number": number, "type": "toll"}}
    for number, city in (("+1 6699006833", "San Jose"), ("+1 6465588656", "New York"))
]


def timestamp(when: dt.datetime | None) -> str:
    """Format a time in UTC; "" for None."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}" if when else ""


def user(user: User) -> Json:
    return {
        "id": user.id,
        "email": user.email,
        "type": user.type,
        "timezone": user.timezone,
        "status": "active",
    }


def join_url(account: Account, meeting: Meeting) -> str:
    query = urlencode({"pwd": meeting.encrypted_password})
    return f"{account.site}/j/{meeting.id}?{query}"


def personal_url(account: Account, meeting: Meeting, registrant: Registrant) -> str:
    query = urlencode({"tk": registrant.token, "pwd": meeting.encrypted_password})
    return f"{account.site}/w/{meeting.id}?{query}"


def meeting(account: Account, meeting: Meeting) -> Json:
    data = {
        **_meeting(account, meeting),
        "host_email": meeting.host_email,
        "status": "started" if meeting.live else "waiting",
        "start_url": f"{account.site}/#meeting-{meeting.id}",
        "password": meeting.password,
        "h323_password": meeting.phone_password,
        "pstn_password": meeting.phone_password,
        "encrypted_password": meeting.encrypted_password,
        "settings": {**meeting.settings, "global_dial_in_numbers": DIAL_IN_NUMBERS},
    }
    if meeting.has_registration:
        data["registration_url"] = f"{account.site}/meeting/register/{meeting.id}"
    return data


def listed_meeting(account: Account, meeting: Meeting) -> Json:
    return {**_meeting(account, meeting), "agenda": meeting.agenda[:MAX_AGENDA_IN_LISTS]}


def _meeting(account: Account, meeting: Meeting) -> Json:
    return {
        **_schedule(meeting),
        "id": meeting.id,
        "agenda": meeting.agenda,
        "created_at": timestamp(meeting.created_at),
        "join_url": join_url(account, meeting),
    }


def _schedule(meeting: Meeting) -> Json:
    return {
        "uuid": meeting.uuid,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": meeting.type,
        "start_time": timestamp(meeting.start_time),
        "duration": meeting.duration,
        "timezone": meeting.timezone,
    }


def added_registrant(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    return {
        "id": meeting.id,
        "topic": meeting.topic,
        "start_time": timestamp(meeting.start_time),
        "registrant_id": registrant.id,
        **_join_fields(account, meeting, registrant),
    }


def batch_registrant(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    return {
        "registrant_id": registrant.id,
        "email": registrant.email,
        **_join_fields(account, meeting, registrant),
    }


def listed_registrant(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    return {
        "id": registrant.id,
        "email": registrant.email,
        "first_name": registrant.first_name,
        "last_name": registrant.last_name,
        "status": registrant.status,
        "create_time": timestamp(registrant.create_time),
        **_join_fields(account, meeting, registrant),
    }


def _join_fields(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    """The personal link, once the registrant is approved."""
    if registrant.status != "approved":
        return {}
    return {
        "join_url": personal_url(account, meeting, registrant),
        "participant_pin_code": registrant.pin_code,
    }


def past_instance(instance: Instance) -> Json:
    return {"uuid": instance.uuid, "start_time": timestamp(instance.start_time)}


def past_participant(participant: Participant) -> Json:
    stay = (participant.leave_time or participant.join_time) - participant.join_time
    return {
        "id": "",
        "user_id": participant.user_id,
        "name": participant.name,
        "user_email": participant.email,
        "registrant_id": participant.registrant_id,
        "join_time": timestamp(participant.join_time),
        "leave_time": timestamp(participant.leave_time),
        "duration": round(stay.total_seconds()),
        "failover": False,
        "status": "in_meeting",
    }


# Webhooks


def started(meeting: Meeting, instance: Instance) -> Json:
    return {
        **_schedule(meeting),
        "id": str(meeting.id),
        "uuid": instance.uuid,
        "start_time": timestamp(instance.start_time),
    }


def ended(meeting: Meeting, instance: Instance) -> Json:
    return {**started(meeting, instance), "end_time": timestamp(instance.end_time)}


def participant_joined(meeting: Meeting, instance: Instance, participant: Participant) -> Json:
    return _with_participant(
        meeting, instance, participant, {"join_time": timestamp(participant.join_time)}
    )


def participant_left(meeting: Meeting, instance: Instance, participant: Participant) -> Json:
    ended = instance.end_time == participant.leave_time
    reason = "Host ended the meeting." if ended else "left the meeting"
    left = {
        "leave_time": timestamp(participant.leave_time),
        "leave_reason": f"{participant.name} left the meeting.<br>Reason: {reason}",
    }
    return _with_participant(meeting, instance, participant, left)


def _with_participant(
    meeting: Meeting, instance: Instance, participant: Participant, times: Json
) -> Json:
    data = {
        "user_id": participant.user_id,
        "user_name": participant.name,
        "id": "",
        "participant_uuid": participant.uuid,
        "email": participant.email,
        **times,
    }
    if participant.registrant_id:
        data["registrant_id"] = participant.registrant_id
    return {**started(meeting, instance), "participant": data}


def recording(
    account: Account, meeting: Meeting, instance: Instance, share_url: str, password: str
) -> Json:
    duration = (instance.end_time or instance.start_time) - instance.start_time
    file = {
        "id": instance.uuid,
        "meeting_id": instance.uuid,
        "recording_start": timestamp(instance.start_time),
        "recording_end": timestamp(instance.end_time),
        "file_type": "MP4",
        "file_extension": "MP4",
        "file_size": 7_220,
        "play_url": share_url,
        "download_url": share_url,
        "status": "completed",
        "recording_type": "shared_screen_with_speaker_view",
    }
    return {
        **started(meeting, instance),
        "id": meeting.id,
        "account_id": account.id,
        "host_email": meeting.host_email,
        "duration": round(duration.total_seconds() / 60),
        "total_size": file["file_size"],
        "recording_count": 1,
        "share_url": share_url,
        "password": password,
        "recording_play_passcode": password,
        "recording_files": [file],
    }


def deleted(meeting: Meeting) -> Json:
    return {**_schedule(meeting), "id": meeting.id}
