# make run    virtual environment, C module, server in the foreground on port 6379, data in ./data
# make test   everything that tests need, then all of them
# See `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PORT ?= 6379
JOBS := $(shell nproc 2>/dev/null || echo 1)
ENGINE := server/_engine.abi3.so
PIP := $(PY) -m pip install -q --disable-pip-version-check

# Packages unpacked for an ordinary user by scripts/debian.sh live here.
LOCAL := $(CURDIR)/$(VENV)/debian
MULTIARCH := $(shell gcc -dumpmachine 2>/dev/null)
export PATH := $(PATH):$(LOCAL)/usr/bin
ifneq ($(wildcard $(LOCAL)/usr),)
export CPATH := $(LOCAL)/usr/include:$(firstword $(wildcard $(LOCAL)/usr/include/python3*))
export LD_LIBRARY_PATH := $(LOCAL)/usr/lib/$(MULTIARCH):$(LOCAL)/lib/$(MULTIARCH)
export TCL_LIBRARY := $(firstword $(wildcard $(LOCAL)/usr/share/tcltk/tcl8.*))
endif

# Which pytest paths and options `make test-py` runs; WORKERS is the number of workers of the servers under test.
TESTS ?= tests
PYTEST_ARGS ?= -q
export SHOAL_TEST_WORKERS ?= 2

.PHONY: help run build powercuts disk-faults deaths test test-c fuzz test-py test-touch test-tools lint typecheck loadtest loadtest-ui compare clean distclean conf
.DELETE_ON_ERROR:

help:
	@echo 'make run          build, then serve on port $(PORT) (PORT=...), data in ./data'
	@echo 'make build        $(BIN)/shoal-server and $(BIN)/shoal, ready to run'
	@echo 'make test         lint, C tests (plain, ASan+UBSan), Python tests, and the command tests with every store checked (test-touch)'
	@echo 'make test-c       only the C tests       make test-py    only pytest (TESTS=path PYTEST_ARGS=...)'
	@echo 'make fuzz         damaged values under ASan and UBSan, with clang (FUZZ_ROUNDS=, FUZZ_SECONDS=)'
	@echo 'make fuzz-socket  damaged input over the socket, against a build with ASan and UBSan (FUZZ_SECONDS=)'
	@echo 'make lint         ruff, mypy, C warnings as errors'
	@echo 'make loadtest     locust, headless, with a report   make loadtest-ui   its web page'
	@echo 'make compare      side by side with other servers, by loadtest/compare (COMPARE_ARGS=...)'
	@echo 'make powercuts    600 power cuts for each policy of appendfsync'
	@echo 'make disk-faults  each call on each file fails in each way, one by one (make test: some)'
	@echo 'make deaths       processes of every kind die at random under load, DEATH_SECONDS for each of four cases'
	@echo 'make conf         write shoal.conf from the settings'
	@echo 'make clean        what was built         make distclean  also the virtual environment'

run: build
	@mkdir -p data
	@exec $(BIN)/shoal-server shoal.conf --port $(PORT) --dir ./data

# --- environment -----------------------------------------------------------------------------------------------------

$(VENV)/.made:
	@command -v gcc >/dev/null || command -v cc >/dev/null || scripts/debian.sh 'command -v gcc' gcc libc6-dev
	@command -v $(PYTHON) >/dev/null || scripts/debian.sh 'command -v $(PYTHON)' python3
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 10) else "shoal: Python 3.10 or newer is needed, not %d.%d" % v[:2])'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(PYTHON) -c 'import pip' 2>/dev/null || scripts/debian.sh '$(PYTHON) -c "import ensurepip"' python3-venv
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	 else $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip -q --python $(PY) install pip; fi
	@touch $@

$(VENV)/.headers: $(VENV)/.made
	@$(PY) -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' || \
	 scripts/debian.sh 'ls $$($(PY) -c "import sysconfig; print(sysconfig.get_paths()[\"include\"])")/Python.h || ls $(LOCAL)/usr/include/python3*/Python.h' python3-dev
	@touch $@

# The editable install: entry points and dependencies. C and Python changes do not need it again.
$(VENV)/.installed: pyproject.toml setup.py cext/build_engine.py $(VENV)/.headers
	@echo 'shoal: installing into $(VENV)'
	@$(MAKE) --no-print-directory -s editable
	@touch $@

# In a make of its own: what scripts/debian.sh has just unpacked is seen when the Makefile is read again.
.PHONY: editable pytest fuzz-socket
editable:
	@$(PIP) 'setuptools>=80' 'cffi>=1.16' wheel
	@$(MAKE) --no-print-directory -s -C cext -j $(JOBS)
	@$(PIP) --no-build-isolation -e .

build: $(VENV)/.installed
	@$(MAKE) --no-print-directory -s -C cext -j $(JOBS)
	@$(MAKE) --no-print-directory -s $(ENGINE)

$(ENGINE): build/engine/libshoal.a cext/engine.h cext/build_engine.py setup.py
	@$(PY) setup.py -q build_ext --inplace >build/build_ext.log 2>&1 || { cat build/build_ext.log; exit 1; }
	@touch $@

build/engine/libshoal.a: ;

# --- tests -----------------------------------------------------------------------------------------------------------

test: test-tools
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-c
	@$(MAKE) --no-print-directory test-py
	@$(MAKE) --no-print-directory test-touch

# Everything that tests need: Python packages in the virtual environment, Debian's Redis to compare with.
test-tools: $(VENV)/.test-tools
$(VENV)/.test-tools: pyproject.toml $(VENV)/.made | build
	@$(PIP) -e '.[test,lint]' --no-build-isolation
	@scripts/debian.sh 'command -v redis-server' redis-server
	@scripts/debian.sh 'command -v redis-cli && command -v redis-benchmark && command -v redis-check-rdb' redis-tools
	@touch $@

C_PLAIN := build/c-plain
C_ASAN := build/c-asan
# Without -Werror: gcc 12 warns falsely in instrumented code; the plain build has it.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

test-c:
	@$(MAKE) --no-print-directory -s -C cext -j $(JOBS) tests OUT=../$(C_PLAIN) DEBUG=1 WERROR=1
	@scripts/run_c_tests.sh $(C_PLAIN)/tests
	@$(MAKE) --no-print-directory -s -C cext -j $(JOBS) tests OUT=../$(C_ASAN) DEBUG=1 OPT=-O1 EXTRA='$(SANITIZE)'
	@scripts/run_c_tests.sh $(C_ASAN)/tests

# Damaged values of every type through RESTORE and the commands of their type, under ASan and UBSan: FUZZ_ROUNDS of our own kind, then clang's
# libFuzzer, which finds its own, for FUZZ_SECONDS.
FUZZ_ROUNDS ?= 400000
FUZZ_SECONDS ?= 200
FUZZ_DIR := build/c-fuzz
fuzz:
	@$(MAKE) --no-print-directory -s -C cext -j $(JOBS) tests OUT=../$(C_ASAN) DEBUG=1 OPT=-O1 EXTRA='$(SANITIZE)'
	@SHOAL_FUZZ_ROUNDS=$(FUZZ_ROUNDS) $(C_ASAN)/tests/test_fuzz_restore
	@$(MAKE) --no-print-directory -s -C cext -j $(JOBS) fuzz OUT=../$(FUZZ_DIR) CC=clang DEBUG=1 OPT=-O1 EXTRA='$(SANITIZE) -fsanitize=fuzzer-no-link'
	@mkdir -p $(FUZZ_DIR)/corpus && SHOAL_FUZZ_CORPUS=$(FUZZ_DIR)/corpus $(C_ASAN)/tests/test_fuzz_restore
	@cd $(FUZZ_DIR) && ./fuzz_restore -max_total_time=$(FUZZ_SECONDS) -max_len=20000 -timeout=10 -detect_leaks=0 -print_final_stats=1 corpus

test-py: test-tools build
	@$(MAKE) --no-print-directory -s pytest

pytest:
	@$(PY) -m pytest $(PYTEST_ARGS) $(TESTS)

# The command tests on a build in which a store to the arena that was not announced stops the worker (shm/guard.c).
test-touch: test-tools
	@EXTRA=-DSHOAL_CHECK_TOUCH $(MAKE) --no-print-directory build
	@SHOAL_TEST_WORKERS=1 $(PY) -m pytest $(PYTEST_ARGS) tests/commands tests/compat; status=$$?; \
	 $(MAKE) --no-print-directory build; exit $$status

# Many power cuts from traced writes (make test looks at a few): IMAGES for each policy.
IMAGES ?= 600
powercuts: test-tools build
	@SHOAL_POWER_CUTS=$(IMAGES) SHOAL_POWER_CUT_SECONDS=6 $(PY) -m pytest -s -q tests/crash/test_power_cut.py

# Every row of tests/crash/disktable.py by itself, and every step of a rewrite (tests/crash/test_kill_steps.py).
disk-faults: test-tools build
	@SHOAL_DISK_FAULTS=all SHOAL_KILL_STEPS=all $(PY) -m pytest -q tests/crash/test_disk_failures.py tests/crash/test_kill_steps.py

# Processes of every kind die at random moments, under load: DEATH_SECONDS with always and everysec, two and four workers.
DEATH_SECONDS ?= 600
deaths: test-tools build
	@SHOAL_DEATH_SECONDS=$(DEATH_SECONDS) $(PY) -m pytest -s -q tests/crash/test_random_deaths.py

# Garbage over the socket (tests/fuzz) against a build with sanitizers, for FUZZ_SECONDS.
fuzz-socket: test-tools
	@EXTRA='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' $(MAKE) --no-print-directory build
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	 SHOAL_FUZZ_SECONDS=$(FUZZ_SECONDS) $(PY) -m pytest -q -s tests/fuzz; status=$$?; \
	 $(MAKE) --no-print-directory build; exit $$status

lint: test-tools typecheck
	@$(BIN)/ruff check -q .
	@$(MAKE) --no-print-directory -s -C cext -j $(JOBS) OUT=../$(C_PLAIN) DEBUG=1 WERROR=1

# mypy wants the import package as a folder; the mapping of pyproject.toml, as links.
typecheck: test-tools
	@rm -rf build/typecheck && mkdir -p build/typecheck/shoal
	@ln -s $(CURDIR)/server/* build/typecheck/shoal/ && ln -s $(CURDIR)/workers build/typecheck/shoal/workers
	@MYPYPATH=build/typecheck $(BIN)/mypy --no-error-summary -p shoal

conf: build
	@$(PY) -m shoal.settings > shoal.conf.new && mv shoal.conf.new shoal.conf

# --- load ------------------------------------------------------------------------------------------------------------

$(VENV)/.load-tools: pyproject.toml | build
	@$(PIP) -e '.[load]' --no-build-isolation
	@touch $@

loadtest: build $(VENV)/.load-tools
	@$(PY) loadtest/run.py $(LOAD_ARGS)

loadtest-ui: build $(VENV)/.load-tools
	@$(PY) loadtest/run.py --ui $(LOAD_ARGS)

COMPARE_ARGS ?= throughput --plot build/compare.png
compare: build $(VENV)/.load-tools
	@$(PY) -m loadtest.compare $(COMPARE_ARGS)

clean:
	rm -rf build dist *.egg-info server/_engine.abi3.so
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
