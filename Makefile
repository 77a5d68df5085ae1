# The jobs of .ci/run by their names, and what else one does in a checkout.
JOBS := setup lint types test slow browser docs wheel
# Like .ci/run: the environment that is active, else .venv.
PYTHON := $(if $(VIRTUAL_ENV),python,$(firstword $(wildcard .venv/bin/python) python3))

.PHONY: help $(JOBS) app requirements
help:
	@echo "make $(JOBS) | app | requirements"

$(JOBS):
	@.ci/run $@

app: # the page; make app ARGS="--model audioset"
	@$(PYTHON) app.py $(ARGS)

requirements: # requirements files from pyproject.toml
	@$(PYTHON) .ci/requirements.py
