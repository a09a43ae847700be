from django.urls import path

from .views import (
    accounts,
    calendar,
    finding,
    joining,
    own_data,
    own_page,
    registering,
    unsubscribing,
)

# A token is [A-Za-z0-9_-], just what `slug` lets through: no odd byte reaches the database.
urlpatterns = [
    path("me/", accounts.my_weeks, name="my_weeks"),
    path("me/<slug:token>/", own_page.me, name="me"),
    path("me/<slug:token>/calendar.ics", own_page.my_calendar, name="my_calendar"),
    path("me/<slug:token>/change/", own_page.change, name="change"),
    path("me/<slug:token>/resend/", own_page.resend, name="resend"),
    path("me/<slug:token>/renew/", own_page.renew, name="renew"),
    path("me/<slug:token>/cancel/", own_page.cancel, name="cancel"),
    path("me/<slug:token>/return/", own_page.come_back, name="come_back"),
    path("me/<slug:token>/data.json", own_data.my_data, name="my_data"),
    path("me/<slug:token>/erase/", own_data.erase, name="erase"),
    path("calendar/<slug:token>.ics", calendar.feed, name="feed"),
    path("unsubscribe/<str:signed>/", unsubscribing.unsubscribe, name="unsubscribe"),
    path("join/<slug:token>/<slug:session_slug>/", joining.join, name="join"),
    path("<slug:event_slug>/register/", registering.register, name="register"),
    path("<slug:event_slug>/find/", finding.find, name="find"),
]
