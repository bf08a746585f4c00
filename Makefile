# make demo   sets everything up, enrols the sample capture and lets it speak; says where the files are
# make test   sets everything up and runs lint, types and tests
# make clean  removes what `make demo` made; `make distclean` removes the environment too
#
# Needs Python 3.11 with venv, a C++ compiler and make; Node.js with npm for the browser player.
# PYTHON=… chooses another interpreter, OUT=… another folder.
# Every step is kept: a second run does only what is missing, and an interrupted enrolment resumes.

PYTHON ?= python3.11
PRESET ?= demo
OUT    ?= out

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PLAYER := splatalk/export/player_files/player.js
BUILT  := pyproject.toml constraints.txt $(shell find cuda_ext -type f)
PINNED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1

.PHONY: demo test setup player browser clean distclean
.DELETE_ON_ERROR:

demo: $(OUT)/ada.avatar $(OUT)/ada_speaks.mp4 $(OUT)/ada_orbit.mp4 $(OUT)/ada_views.png $(OUT)/ada.html
	@echo
	@echo "The avatar           $(OUT)/ada.avatar"
	@echo "speaking new words   $(OUT)/ada_speaks.mp4"
	@echo "frames of that film  $(OUT)/ada_speaks.png"
	@echo "seen from around     $(OUT)/ada_orbit.mp4"
	@echo "contact sheet        $(OUT)/ada_views.png"
	@test ! -f $(OUT)/ada.html || echo "to turn in a browser $(OUT)/ada.html"

test: setup browser
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

setup: $(READY) player

$(READY): $(BUILT)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "splatalk needs Python 3.11 to 3.13. Install one and run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PINNED) $(BIN)/python -m pip install --quiet --editable '.[dev]'
	# What LPIPS and projection are compared with. Their own dependencies are not needed for that; torchvision would bring
	# another torch.
	$(BIN)/python -m pip install --quiet --no-deps lpips==0.1.4 gsplat==1.5.3 tqdm==4.70.1
	@touch $@

player: $(PLAYER)

$(PLAYER): $(shell find viewer -name node_modules -prune -o -type f -print)
	@if ! command -v npm > /dev/null; then \
	  echo "No npm found: everything but the browser player (live view, HTML export) is set up. Install Node.js 18 or newer for it."; \
	elif ! (npm --prefix viewer ci --ignore-scripts && npm --prefix viewer run build); then \
	  echo "The browser player could not be built, see above. Everything else is set up." >&2; \
	fi

# What draws the player in the tests. They skip, and say so, where there is none.
browser:
	@if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } > /dev/null; then \
	  if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "Installing Chromium for the tests of the browser player (apt-get install chromium)."; \
	    apt-get install -y -q chromium || echo "Chromium could not be installed: the browser player is not tested." >&2; \
	  else \
	    echo "No Chromium found: the browser player is not tested. Install the package chromium for it." >&2; \
	  fi; \
	fi

# The environment is an order-only prerequisite: a new build of the code does not train the avatar again.
$(OUT)/ada.avatar: captures/ada_sample.mp4 | $(READY)
	$(BIN)/splatalk enroll captures/ada_sample.mp4 --output $@ --preset $(PRESET) --force \
	  --consent "A synthetic person made for this project; nobody's likeness."

$(OUT)/ada_speaks.mp4: $(OUT)/ada.avatar captures/ada_speech.wav
	$(BIN)/splatalk speak $(OUT)/ada.avatar --audio captures/ada_speech.wav --output $@ --sheet $(OUT)/ada_speaks.png

$(OUT)/ada_orbit.mp4: $(OUT)/ada.avatar captures/ada_speech.wav
	$(BIN)/splatalk render $(OUT)/ada.avatar --audio captures/ada_speech.wav --orbit --output $@

$(OUT)/ada_views.png: $(OUT)/ada.avatar
	$(BIN)/splatalk render $(OUT)/ada.avatar --views --output $@

$(OUT)/ada.html: $(OUT)/ada.avatar captures/ada_speech.wav | player
	@if [ -f $(PLAYER) ]; then \
	  $(BIN)/splatalk export $(OUT)/ada.avatar --to html --audio captures/ada_speech.wav --output $@; \
	fi

clean:
	rm -rf $(OUT)/ada.avatar $(OUT)/ada.report.html $(OUT)/ada.avatar.work $(OUT)/ada_speaks.mp4 $(OUT)/ada_speaks.png $(OUT)/ada_orbit.mp4 $(OUT)/ada_views.png $(OUT)/ada.html

distclean: clean
	rm -rf $(VENV) build
