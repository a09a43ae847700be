from django.urls import path

from . import views

# A token is [A-Za-z0-9_-], just what `slug` lets through: no odd byte reaches the database.
urlpatterns = [
    path("me/<slug:token>/", views.me, name="me"),
    path("me/<slug:token>/calendar.ics", views.my_calendar, name="my_calendar"),
    path("me/<slug:token>/cancel/", views.cancel, name="cancel"),
    path("unsubscribe/<str:signed>/", views.unsubscribe, name="unsubscribe"),
    path("join/<slug:token>/<slug:session_slug>/", views.join, name="join"),
    path("<slug:event_slug>/register/", views.register, name="register"),
]
