"""The collector that one would write first: Django REST framework over PostgreSQL, one row an event, committed before the answer.

No keys are looked up and nothing is counted, so it does less than what it is compared with. `python twin.py` makes its table;
`gunicorn twin:application` serves it.
"""

import os
import urllib.parse

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

database = urllib.parse.urlsplit(os.environ["EYELINE_TEST_POSTGRES_URL"])
settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="twin",
    USE_TZ=True,
    INSTALLED_APPS=["rest_framework"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": database.hostname,
            "PORT": database.port,
            "USER": database.username,
            "NAME": database.path.lstrip("/"),
            "CONN_MAX_AGE": None,
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.db import connection, models  # noqa: E402 (Django wants its settings first)
from django.urls import path  # noqa: E402
from rest_framework import generics, serializers  # noqa: E402


class Event(models.Model):
    session_id = models.UUIDField(db_index=True)
    category = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    data = models.JSONField()
    timestamp = models.DateTimeField(db_index=True)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "twin"


class EventSerializer(serializers.ModelSerializer):
    class Meta:
        model = Event
        fields = ["id", "session_id", "category", "name", "data", "timestamp", "received_at"]


class Events(generics.CreateAPIView):
    queryset = Event.objects.all()
    serializer_class = EventSerializer


urlpatterns = [path("events", Events.as_view())]
application = get_wsgi_application()

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        editor.create_model(Event)
