"""The URLs of the fake Zoom: its API, and pages for people."""

from django.urls import path, re_path

from tests.fake_zoom import api, pages

urlpatterns = [
    path("oauth/token", api.token),
    path("v2/users/<key>", api.endpoint(GET=api.get_user)),
    path("v2/users/<key>/settings", api.endpoint(PATCH=api.update_user_settings)),
    path("v2/users/<key>/meetings", api.endpoint(GET=api.list_meetings, POST=api.create_meeting)),
    path(
        "v2/meetings/<key>",
        api.endpoint(GET=api.get_meeting, PATCH=api.update_meeting, DELETE=api.delete_meeting),
    ),
    path(
        "v2/meetings/<key>/registrants",
        api.endpoint(GET=api.list_registrants, POST=api.add_registrant),
    ),
    path("v2/meetings/<key>/batch_registrants", api.endpoint(POST=api.add_registrants)),
    path("v2/meetings/<key>/registrants/status", api.endpoint(PUT=api.update_registrants)),
    path("v2/past_meetings/<key>/instances", api.endpoint(GET=api.past_instances)),
    path("v2/report/meetings/<path:key>/participants", api.endpoint(GET=api.report_participants)),
    re_path("^v2/", api.endpoint()),
    path("", pages.account),
    path("pages.css", pages.stylesheet),
    path("rec/share/<key>", pages.recording),
    re_path(r"^[jw]/\d+$", pages.meeting),
    re_path(r"^meeting/register/\d+$", pages.registration),
    re_path("", pages.not_found),
]
