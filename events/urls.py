from django.urls import path

from events import views

urlpatterns = [
    path("", views.home, name="home"),
    path("icon.svg", views.icon, name="icon"),
    path("<slug:slug>/", views.event, name="event"),
    path("<slug:slug>/calendar.ics", views.calendar, name="event_calendar"),
    path("<slug:event_slug>/sessions/<slug:slug>/", views.session, name="session"),
]
