PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What a production's environment looks like; the checks connect to nothing in it.
PRODUCTION = env DEBUG=false \
	SECRET_KEY="$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))')" \
	SITE_URL=https://week.example.org ALLOWED_HOSTS=week.example.org \
	DEFAULT_FROM_EMAIL='Strategy Week <week@example.org>' \
	EMAIL_URL=smtp+tls://user:pass@mail.example.org:587 \
	DATABASE_URL=postgres://user:pass@db.example.org/week \
	REDIS_URL=redis://redis.example.org/0

# Several processes share the tests, each with servers of its own. For two cores: with servers many
# tests wait, so three have work enough; embedded two.
SERVED := -n 3 --dist worksteal
EMBEDDED := -n 2 --dist worksteal --embedded

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check lint fix bench screenshots clean

help: ## List these targets.
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 14

run: .venv/.run ## Try the site on this machine: no server to install, nothing to set up. PORT=8000.
	@DEBUG=true exec $(BIN)/python manage.py run

# A hundred processes start, which read in less time what is compiled already.
test: export PYTHONDONTWRITEBYTECODE :=
test: .venv/.dev ## Run all tests, on PostgreSQL and Redis and then embedded.
	@$(BIN)/python -m tests.install
	$(BIN)/python -m pytest $(SERVED)
	$(BIN)/python -m pytest $(EMBEDDED)

check: lint test ## Everything that CI runs. Changes nothing.

lint: .venv/.dev ## The checks that run no test: style, types, imports, migrations, deployment.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@DEBUG=true $(BIN)/mypy
	@$(BIN)/lint-imports
	@DEBUG=true DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

fix: .venv/.dev ## Repair what can be repaired by itself: imports, style.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.dev ## Measure how the product holds up under load.
	@$(BIN)/python -m tests.bench

screenshots: .venv/.dev ## Take pictures of the pages.
	@$(BIN)/python -m tests.install
	@$(BIN)/python -m tests.screenshots

clean: ## Remove what can be made again. Your data in var/ stays.
	rm -rf .venv .*_cache .hypothesis staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.run: requirements.txt | .venv/bin/python
	@echo "Installing what the product needs ..."
	@$(PIP) -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/bin/python
	@echo "Installing what the checks and tests need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@ .venv/.run
