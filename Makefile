PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install test-install demo test bench bench-full pictures docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

test-install: $(VENV)/.test-installed

$(VENV)/.test-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

demo: install
	scripts/run_demo.sh --jobs 2

test: test-install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto

bench: test-install
	$(BIN)/python -m benchmarks

bench-full: test-install
	$(BIN)/python -m benchmarks.full_size make runs/full-size/weights
	$(BIN)/python -m benchmarks.full_size run runs/full-size/weights

pictures: demo
	$(BIN)/python scripts/make_pictures.py

docs: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) runs build *.egg-info
