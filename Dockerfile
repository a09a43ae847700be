FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
RUN useradd --create-home --uid 10001 app
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt
COPY manage.py ./
COPY strategyweek strategyweek
COPY events events
COPY registrations registrations
COPY templates templates
COPY static static
# collectstatic needs no real secrets. These placeholders exist only for this command.
RUN SECRET_KEY=only-for-collectstatic-while-this-image-is-being-built \
    SITE_URL=https://build.invalid DEFAULT_FROM_EMAIL=build@build.invalid \
    python manage.py collectstatic --noinput \
    && install -d -o app var
USER app
EXPOSE 8000
CMD ["gunicorn", "strategyweek.wsgi", "--bind=0.0.0.0:8000"]
