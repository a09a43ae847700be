from django.urls import path

from . import views, webhooks

urlpatterns = [
    path("", views.home, name="home"),
    path("webhooks/zoom/", webhooks.zoom_webhook, name="zoom_webhook"),
    path("<slug:slug>/", views.event, name="event"),
    path("<slug:slug>/calendar.ics", views.calendar, name="event_calendar"),
    path("<slug:event_slug>/sessions/<slug:slug>/", views.session, name="session"),
]
