"""How Zoom writes its things down, in answers and in webhooks.

Source: the schemas at https://developers.zoom.us/docs/api/meetings/.
"""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from .account import Account, Instance, Meeting, Participant, Registrant, User

AGENDA_IN_LISTS = 250

Json = dict[str, Any]


def moment(when: dt.datetime | None) -> str:
    """Empty for what has not come."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}" if when else ""


def user(user: User) -> Json:
    return {
        "id": user.id,
        "email": user.email,
        "type": user.type,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "display_name": f"{user.first_name} {user.last_name}".strip(),
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
    shape = {
        **_meeting(account, meeting),
        "host_email": meeting.host_email,
        "status": "started" if meeting.live else "waiting",
        "start_url": f"{account.site}/#meeting-{meeting.id}",
        "password": meeting.password,
        "encrypted_password": meeting.encrypted_password,
        "settings": meeting.settings,
    }
    if meeting.has_registration:
        shape["registration_url"] = f"{account.site}/meeting/register/{meeting.id}"
    return shape


def listed_meeting(account: Account, meeting: Meeting) -> Json:
    return {**_meeting(account, meeting), "agenda": meeting.agenda[:AGENDA_IN_LISTS]}


def _meeting(account: Account, meeting: Meeting) -> Json:
    return {
        "uuid": meeting.uuid,
        "id": meeting.id,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": meeting.type,
        "start_time": moment(meeting.start_time),
        "duration": meeting.duration,
        "timezone": meeting.timezone,
        "agenda": meeting.agenda,
        "created_at": moment(meeting.created_at),
        "join_url": join_url(account, meeting),
    }


def added_registrant(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    return {
        "id": meeting.id,
        "topic": meeting.topic,
        "start_time": moment(meeting.start_time),
        "registrant_id": registrant.id,
        **_way_in(account, meeting, registrant),
    }


def batch_registrant(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    return {
        "registrant_id": registrant.id,
        "email": registrant.email,
        **_way_in(account, meeting, registrant),
    }


def listed_registrant(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    return {
        "id": registrant.id,
        "email": registrant.email,
        "first_name": registrant.first_name,
        "last_name": registrant.last_name,
        "status": registrant.status,
        "create_time": moment(registrant.create_time),
        **_way_in(account, meeting, registrant),
    }


def _way_in(account: Account, meeting: Meeting, registrant: Registrant) -> Json:
    """Only whoever is approved has one."""
    if registrant.status != "approved":
        return {}
    return {
        "join_url": personal_url(account, meeting, registrant),
        "participant_pin_code": registrant.pin_code,
    }


def past_participant(participant: Participant) -> Json:
    stay = (participant.leave_time or participant.join_time) - participant.join_time
    return {
        "id": "",
        "user_id": participant.user_id,
        "name": participant.name,
        "user_email": participant.email,
        "registrant_id": participant.registrant_id,
        "join_time": moment(participant.join_time),
        "leave_time": moment(participant.leave_time),
        "duration": round(stay.total_seconds()),
        "failover": False,
        "status": "in_meeting",
    }


# Webhooks


def started(meeting: Meeting, instance: Instance) -> Json:
    return {
        "id": str(meeting.id),
        "uuid": instance.uuid,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": meeting.type,
        "start_time": moment(instance.start_time),
        "duration": meeting.duration,
        "timezone": meeting.timezone,
    }


def ended(meeting: Meeting, instance: Instance) -> Json:
    return {**started(meeting, instance), "end_time": moment(instance.end_time)}


def participant_joined(meeting: Meeting, instance: Instance, participant: Participant) -> Json:
    return _with_participant(
        meeting, instance, participant, {"join_time": moment(participant.join_time)}
    )


def participant_left(meeting: Meeting, instance: Instance, participant: Participant) -> Json:
    ended = instance.end_time == participant.leave_time
    reason = "Host ended the meeting." if ended else "left the meeting"
    left = {
        "leave_time": moment(participant.leave_time),
        "leave_reason": f"{participant.name} left the meeting.<br>Reason: {reason}",
    }
    return _with_participant(meeting, instance, participant, left)


def _with_participant(
    meeting: Meeting, instance: Instance, participant: Participant, happened: Json
) -> Json:
    shown = {
        "user_id": participant.user_id,
        "user_name": participant.name,
        "id": "",
        "participant_uuid": participant.uuid,
        "email": participant.email,
        **happened,
    }
    if participant.registrant_id:
        shown["registrant_id"] = participant.registrant_id
    return {**started(meeting, instance), "participant": shown}


def recording(
    account: Account, meeting: Meeting, instance: Instance, share_url: str, password: str
) -> Json:
    length = (instance.end_time or instance.start_time) - instance.start_time
    file = {
        "id": instance.uuid,
        "meeting_id": instance.uuid,
        "recording_start": moment(instance.start_time),
        "recording_end": moment(instance.end_time),
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
        "duration": round(length.total_seconds() / 60),
        "total_size": file["file_size"],
        "recording_count": 1,
        "share_url": share_url,
        "password": password,
        "recording_play_passcode": password,
        "recording_files": [file],
    }


def deleted(meeting: Meeting) -> Json:
    return {
        "uuid": meeting.uuid,
        "id": meeting.id,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": meeting.type,
        "start_time": moment(meeting.start_time),
        "duration": meeting.duration,
        "timezone": meeting.timezone,
    }
