PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# A production environment for the deployment checks. They don't connect to any of these hosts.
PRODUCTION = env DEBUG=false \
	SECRET_KEY="$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))')" \
	SITE_URL=https://week.example.org ALLOWED_HOSTS=week.example.org \
	DEFAULT_FROM_EMAIL='Strategy Week <week@example.org>' \
	EMAIL_URL=smtp+tls://user:pass@mail.example.org:587 \
	DATABASE_URL=postgres://user:pass@db.example.org/week \
	REDIS_URL=redis://redis.example.org/0

# Several processes share the tests, each with its own servers. The numbers suit two cores: with
# servers, many tests wait, so three processes keep both cores busy.
SERVED := -n 3 --dist worksteal
EMBEDDED := -n 2 --dist worksteal --embedded

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check lint fix bench targets messages screenshots clean

help: ## List these commands.
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 14

# An empty site has its data in a folder of its own.
FOLDER = $(if $(filter 1 true yes on,$(EMPTY)),VAR_DIR=$${VAR_DIR:-var/empty})

run: .venv/.run ## Try the site on this machine, with nothing to install or set up. PORT=8000, EMPTY=1.
	@DEBUG=true $(FOLDER) exec $(BIN)/python manage.py run

# The tests start about a hundred Python processes, which start faster from compiled bytecode.
test: export PYTHONDONTWRITEBYTECODE :=
test: .venv/.dev ## Run all tests: on PostgreSQL and Redis, then on SQLite without servers.
	@$(BIN)/python -m tests.install
	$(BIN)/python -m pytest $(SERVED)
	$(BIN)/python -m pytest $(EMBEDDED)

check: lint test ## Run everything that CI runs. Changes nothing.

lint: .venv/.dev ## Check style, types, imports, migrations and deployment, without running tests.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@DEBUG=true $(BIN)/python -m mypy
	@$(BIN)/lint-imports
	@DEBUG=true DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

fix: .venv/.dev ## Repair imports and style automatically.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.dev ## Measure performance under load.
	@$(BIN)/python -m tests.bench

targets: .venv/.dev ## Check the public site's targets in a browser: weight, speed, touch, accessibility.
	@$(BIN)/python -m tests.install
	@$(BIN)/python -m tests.targets

messages: .venv/.dev ## Collect the texts to translate, and compile the translations in locale/.
	@$(BIN)/python -m tests.messages

screenshots: .venv/.dev ## Take pictures of all pages and emails, and those in docs/.
	@$(BIN)/python -m tests.install
	@$(BIN)/python -m pytest -q -s --embedded tests/screenshots.py

clean: ## Remove everything that can be rebuilt. Keeps your data in var/.
	rm -rf .venv .*_cache .hypothesis staticfiles screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "You need Python 3.11 or newer. Try: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.run: requirements.txt | .venv/bin/python
	@echo "Installing the packages that the site needs ..."
	@$(PIP) -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/bin/python
	@echo "Installing the packages that the checks and tests need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@ .venv/.run
