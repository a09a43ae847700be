"""What Zoom says when it does not do what it is asked: its documented statuses, codes and words.

Source: https://developers.zoom.us/docs/api/errors/ and the error codes of each call there.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class Refused(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        fields: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"code": code, "message": message}
        if fields:
            self.body["errors"] = [{"field": name, "message": "Invalid field."} for name in fields]


def unknown_call() -> Refused:
    return Refused(404, 2300, "This API endpoint is not recognized.")


def too_many(headers: Mapping[str, str] | None = None) -> Refused:
    message = "You have reached the maximum per-second rate limit for this API. Try again later."
    return Refused(429, 429, message, headers=headers)


def not_json() -> Refused:
    return Refused(400, 300, "Request Body should be a valid JSON object.")


def invalid(*fields: str) -> Refused:
    return Refused(400, 300, "Validation Failed.", fields=fields)


def invalid_page() -> Refused:
    return Refused(400, 300, "The next page token is invalid or expired.")


def invalid_token() -> Refused:
    return Refused(401, 124, "Invalid access token.")


def expired_token() -> Refused:
    return Refused(401, 124, "Access token is expired.")


def no_user(user: str) -> Refused:
    return Refused(404, 1001, f"User does not exist: {user}.")


def no_meeting(meeting: str) -> Refused:
    return Refused(404, 3001, f"Meeting does not exist: {meeting}.")


def not_ended() -> Refused:
    return Refused(404, 3001, "Meeting ID is invalid or not end.")


def in_progress() -> Refused:
    return Refused(400, 3002, "Sorry, you cannot delete this meeting since it is in progress.")


def no_registration(meeting: int) -> Refused:
    return Refused(404, 404, f"Registration has not been enabled for this meeting: {meeting}.")


def unpaid(user: str) -> Refused:
    return Refused(400, 200, f"Only available for Paid users: {user}.")


def full(status: int) -> Refused:
    return Refused(status, 3043, "Meeting has reached maximum attendee capacity.")


def over() -> Refused:
    return Refused(
        400,
        3038,
        "Meeting is over, you can not register now. "
        "If you have any questions, please contact the Meeting host.",
    )


def not_scheduled() -> Refused:
    return Refused(
        400,
        303,
        "This API can only be used for scheduled meeting(meeting type: 2). "
        "Batch registration is not supported for other meeting types.",
    )
