from django.urls import path

from registrations.views import (
    calendar,
    find,
    join,
    my_page,
    privacy,
    register,
    registered,
    test_email,
    unsubscribe,
)
from registrations.zoom import webhooks

# Tokens consist of [A-Za-z0-9_-], as `slug` does, so no other byte reaches the database.
urlpatterns = [
    path("me/", find.my_weeks, name="my_weeks"),
    path("me/<slug:token>/", my_page.me, name="me"),
    path("me/<slug:token>/visit/", my_page.visit, name="visit"),
    path("me/<slug:token>/schedule/", my_page.my_schedule, name="my_schedule"),
    path("me/<slug:token>/phone/", my_page.my_phone_card, name="my_phone_card"),
    path("me/<slug:token>/calendar.ics", my_page.my_calendar, name="my_calendar"),
    path("me/<slug:token>/change/", my_page.change, name="change"),
    path("me/<slug:token>/language/", my_page.switch_language, name="switch_language"),
    path("me/<slug:token>/resend/", my_page.resend, name="resend"),
    path("me/<slug:token>/renew/", my_page.renew, name="renew"),
    path("me/<slug:token>/cancel/", my_page.cancel, name="cancel"),
    path("me/<slug:token>/return/", my_page.restore, name="restore"),
    path("me/<slug:token>/data.json", privacy.my_data, name="my_data"),
    path("me/<slug:token>/erase/", privacy.erase, name="erase"),
    path("calendar/<slug:token>.ics", calendar.feed, name="feed"),
    path("test-email/<slug:test_token>/", test_email.confirm, name="test_email"),
    path("unsubscribe/<str:signed>/", unsubscribe.unsubscribe, name="unsubscribe"),
    path("join/<slug:token>/<slug:session_slug>/", join.join, name="join"),
    path("webhooks/zoom/", webhooks.zoom_webhook, name="zoom_webhook"),
    path("<slug:event_slug>/register/", register.register, name="register"),
    path("<slug:event_slug>/register/done/", registered.registered, name="registered"),
    path("<slug:event_slug>/find/", find.find, name="find"),
]
