# `make demo` scores the sample trips, `make dashboard` shows them, `make test` runs every check.
# Everything is installed into .venv beside this file, once.

PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
STORE := sqlite:///$(DEMO)/gradewise.sqlite
GSTREAMER := python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base \
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad

.PHONY: help demo dashboard test lint types imports system clean
.DELETE_ON_ERROR:

help:
	@echo "make demo        score the sample trips and write their scorecards"
	@echo "make dashboard   serve the dashboard on the scored sample trips"
	@echo "make test        install what the tests need and run lint, types, import rules and tests"
	@echo "make clean       remove what the above made, .venv included"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Gradewise needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python's venv module is missing. Try: apt install python3-venv" >&2; exit 2; }

.venv/demo-installed: setup.cfg constraints.txt | .venv/bin/python
	@echo "Installing Gradewise into .venv (once, a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[onboard,offline,dashboard]'
	@touch $@

.venv/test-installed: setup.cfg constraints.txt | .venv/bin/python
	@echo "Installing Gradewise and its test tools into .venv (once, some minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt \
	  --editable '.[onboard,offline,dashboard,train,synth,cluster,postgresql,openvino,s3,dev]'
	@touch $@ .venv/demo-installed

demo: .venv/demo-installed
	@mkdir -p $(DEMO)/scorecards
	@$(BIN)/gradewise-offline score data_samples/trips --store $(STORE) --results $(DEMO)/results
	@for trip in data_samples/trips/*/*/; do \
	  $(BIN)/gradewise-offline report "$$trip" --store $(STORE) --results $(DEMO)/results \
	    --pdf "$(DEMO)/scorecards/$$(basename "$$trip").pdf" >/dev/null || exit; \
	done
	@echo
	@echo "Scorecards (PDF):   $(DEMO)/scorecards/"
	@echo "Timelines, stills:  $(DEMO)/results/"
	@echo "Result store:       $(DEMO)/gradewise.sqlite"
	@echo "Dashboard:          make dashboard, then open http://127.0.0.1:8050"

dashboard: .venv/demo-installed
	@test -f $(DEMO)/gradewise.sqlite || $(MAKE) --no-print-directory demo
	@$(BIN)/gradewise-dashboard serve --store $(STORE) --results $(DEMO)/results

# Debian's browser, video tools and servers, database and software OpenGL: the tests drive real ones.
system:
	@missing=; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v ffmpeg >/dev/null || missing="$$missing ffmpeg"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	test -x /usr/sbin/sshd || missing="$$missing openssh-server"; \
	ldconfig -p | grep -q libEGL.so.1 || missing="$$missing libegl1"; \
	ls /usr/lib/*/dri/swrast_dri.so >/dev/null 2>&1 || missing="$$missing libgl1-mesa-dri"; \
	/usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null \
	  || missing="$$missing $(GSTREAMER)"; \
	test -z "$$missing" && exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi; \
	echo "Installing from Debian:$$missing"; \
	if ! { $$sudo apt-get update -qq && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null 2>&1; then \
	  echo "The tests need Debian packages that could not be installed. Run: sudo apt install$$missing" >&2; exit 2; \
	fi

lint: .venv/test-installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/test-installed
	@$(BIN)/mypy

imports: .venv/test-installed
	@$(BIN)/lint-imports --no-logo

test: system .venv/test-installed lint types imports
	@$(BIN)/python -m pytest -n 2 --dist loadfile

clean:
	rm -rf .venv $(DEMO) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
