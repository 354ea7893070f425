# The front door: `make help` lists every target and variable.

IMAGENET  ?=
RECORDS   ?= records
RUN       ?= runs/adsl
CKPT      ?=
BLACKLIST ?=
PRESET    ?=
CARDS     ?= 8
NODES     ?= 1
MASTER    ?= 127.0.0.1
NODE_RANK ?= 0
PORT      ?= 8118
DEVICE    ?= auto
ARGS      ?=
override DEMO := demo

# The first interpreter that MindSpore has wheels for.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
	&& echo $$p && break; done)
endif

# A value reaches the shell as it was given, spaces, quotes, $ and # included, but for a ~/ at its
# start; ARGS alone is a list of words. Not exported: make would expand a $ in them.
escaped = $(subst ','\'',$(value $(1)))
sh = $(if $(filter ~/%,$(firstword $(value $(1)))),$(subst <~/,~/',<$(escaped)),'$(escaped))'
unexport IMAGENET RECORDS RUN CKPT BLACKLIST PRESET MASTER DEVICE PYTHON

# The variables that were typed, with their values.
typed = $(foreach v,$(VARIABLES),$(if $(filter command environment,$(firstword $(origin $(v)))),$(v)=$(call sh,$(v))))

# With it, what the commands say comes next, and what repeats or resumes them, are commands of make,
# with the variables that were typed. The demo starts anew when it is repeated, and says itself what
# comes next.
VARIABLES := IMAGENET RECORDS RUN CKPT BLACKLIST PRESET CARDS NODES MASTER NODE_RANK PORT DEVICE ARGS
convert verify doctor train-1p train-8p eval-1 eval-144 bench report: \
	export UNDER_MAKE = make $@ $(typed)
demo: export UNDER_MAKE :=

VENV := .venv
PY   := $(VENV)/bin/python
DONE := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint convert verify doctor train-1p train-8p eval-1 eval-144 bench report clean

# Goals run one after the other: `make convert verify` verifies what was converted.
.NOTPARALLEL:

# Checked before .venv is built, so that a forgotten variable is reported at once.
need-IMAGENET: EXAMPLE = /data/imagenet
need-CKPT: EXAMPLE = runs/adsl/last.ckpt
need-%:
	@test -n $(call sh,$*) || { echo "error: set $*, e.g. make $(firstword $(MAKECMDGOALS)) $*=$(EXAMPLE)" >&2; exit 2; }

help: ## list the targets and variables
	@echo "Targets:"
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12 | sed 's/^/  /'
	@echo "Variables:"
	@echo "  IMAGENET    folder with train/, val/ and the devkit, or with images of your own in"
	@echo "              train/CLASS/ and val/CLASS/                        (convert)"
	@echo "  RECORDS     folder of the record sets train/ and val/          ["$(call sh,RECORDS)"]"
	@echo "  RUN         run folder of the training                         ["$(call sh,RUN)"]"
	@echo "  CKPT        checkpoint to evaluate                             (eval-1, eval-144)"
	@echo "  BLACKLIST   the devkit's validation blacklist                  (convert, optional)"
	@echo "  PRESET      recipe: smoke (small, for a CPU), adsl-1p, adsl-8p or paper"
	@echo "                                          (train-1p [adsl-1p], train-8p [adsl-8p])"
	@echo "  CARDS       cards of this host       (doctor, train-8p ["$(call sh,CARDS)"], eval-1, eval-144 [1])"
	@echo "  NODES       hosts with as many cards, all seeing RECORDS       ["$(call sh,NODES)"]"
	@echo "  MASTER      address of host 0                                  ["$(call sh,MASTER)"]"
	@echo "  NODE_RANK   number of this host, from 0                        ["$(call sh,NODE_RANK)"]"
	@echo "  PORT        free on MASTER, where the ranks join               ["$(call sh,PORT)"]"
	@echo "  DEVICE      auto, Ascend or CPU; bench: simulated, too         ["$(call sh,DEVICE)"]"
	@echo "  ARGS        more arguments for the target's command; demo: for its training,"
	@echo "              e.g. ARGS=\"--seed 1\""
	@echo "  PYTHON      a Python 3.10 to 3.12                              ["$(call sh,PYTHON)"]"

setup: $(DONE) ## build .venv; again only when setup.cfg changes
	@echo "next: make demo"

$(DONE): setup.cfg
	@test -n $(call sh,PYTHON) || { echo "error: no Python 3.10 to 3.12 found; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(call sh,PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo "error: "$(call sh,PYTHON)" is not Python 3.10 to 3.12; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test ! -L $(VENV) && { test ! -e $(VENV) || test -e $@; } || \
		{ echo "error: $(VENV) is a link or was not made by make, which would empty it: move it away first" >&2; exit 2; }
	$(call sh,PYTHON) -m venv --clear $(VENV)
	@touch -d @0 $@  # says whose folder it is; older than setup.cfg until all is installed
	@echo "installing MindSpore and the other dependencies into $(VENV): about a minute from a near mirror"
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev,report]'
	@touch $@

# 480 images are 15 whole steps per epoch; most of the time after the training goes into 144 crops of
# each validation image. ARGS goes to the training, such as --seed 1.
demo: $(DONE) ## sample, convert, train, evaluate: end to end in minutes, on CPU
	rm -rf $(DEMO)
	$(PY) -m convert sample --out $(DEMO)/imagenet --train 48 --val 5
	$(PY) -m convert run --source $(DEMO)/imagenet --split train --out $(DEMO)/records/train
	$(PY) -m convert run --source $(DEMO)/imagenet --split val --out $(DEMO)/records/val \
		--blacklist $(DEMO)/imagenet/devkit/data/ILSVRC2015_clsloc_validation_blacklist.txt
	$(PY) -m train --records $(DEMO)/records/train --val-records $(DEMO)/records/val \
		--run $(DEMO)/run --preset smoke --device CPU $(ARGS)
	$(PY) -m evaluate --records $(DEMO)/records/val --checkpoint $(DEMO)/run/last.ckpt \
		--crops 1 --out $(DEMO)/results/crops-1 --device CPU > /dev/null
	$(PY) -m evaluate --records $(DEMO)/records/val --checkpoint $(DEMO)/run/last.ckpt \
		--crops 144 --curve --out $(DEMO)/results/crops-144 --device CPU > /dev/null
	@echo
	@echo "records: $(DEMO)/records   run: $(DEMO)/run   results: $(DEMO)/results"
	$(PY) -m evaluate report --run $(DEMO)/run --results $(DEMO)/results --out $(DEMO)/report.html
	@echo "next: open $(DEMO)/report.html; to train on images of your own, see docs/own-data.md" >&2

lint: $(DONE) ## flake8 and mypy
	$(PY) -m flake8
	$(PY) -m mypy

test: lint ## flake8, mypy and the tests; fails below 90 % of lines run
	$(PY) -m pytest --cov --numprocesses 2 --dist loadfile

# The small split first: a wrong label or blacklist file is reported within minutes.
convert: need-IMAGENET $(DONE) ## JPEGs of IMAGENET into RECORDS/train and RECORDS/val
	$(PY) -m convert run --both-splits --source $(call sh,IMAGENET) --split val \
		--out $(call sh,RECORDS)/val$(if $(value BLACKLIST), --blacklist $(call sh,BLACKLIST)) $(ARGS)
	$(PY) -m convert run --both-splits --source $(call sh,IMAGENET) --split train \
		--out $(call sh,RECORDS)/train $(ARGS)

verify: $(DONE) ## compare RECORDS with their manifests
	$(PY) -m convert verify $(call sh,RECORDS) $(ARGS)

doctor: $(DONE) ## check this host before training on CARDS cards: versions, speed, numbers, ranks
	$(PY) -m benchmarks doctor --records $(call sh,RECORDS)/train --run $(call sh,RUN) \
		--ranks $(call sh,CARDS) --device $(call sh,DEVICE) $(ARGS)

TRAIN = --records $(call sh,RECORDS)/train --val-records $(call sh,RECORDS)/val \
	--run $(call sh,RUN) --device $(call sh,DEVICE)

preset = $(if $(value PRESET),$(call sh,PRESET),$(1))

train-1p: $(DONE) ## train on one card into RUN
	$(PY) -m train $(TRAIN) --preset $(call preset,adsl-1p) $(ARGS)

LAUNCH = $(PY) -m inceptionv4.launch --ranks $(call sh,CARDS) --hosts $(call sh,NODES) \
	--master $(call sh,MASTER) --host-rank $(call sh,NODE_RANK) --port $(call sh,PORT)

# A wrong request is reported here, once, before CARDS processes start that would each report it.
train-8p: $(DONE) ## train on CARDS cards of each of NODES hosts (msrun) into RUN
	$(PY) -m train $(TRAIN) --preset $(call preset,adsl-8p) $(ARGS) --dry-run $$(( $(CARDS) * $(NODES) ))
ifeq ($(findstring --dry-run,$(value ARGS)),)
	$(LAUNCH) --log-dir $(call sh,RUN)-log train $(TRAIN) --preset $(call preset,adsl-8p) $(ARGS)
endif

# An evaluation takes one card, or as many as CARDS says on the command line.
EVALUATE = $(if $(filter command,$(firstword $(origin CARDS))),$(LAUNCH) --log-dir results/$@-log \
	evaluate,$(PY) -m evaluate) --records $(call sh,RECORDS)/val --checkpoint $(call sh,CKPT) \
	--device $(call sh,DEVICE)

eval-1: need-CKPT $(DONE) ## single-crop accuracy of CKPT on both validation sets
	$(EVALUATE) --crops 1 --out results/crops-1 $(ARGS)

eval-144: need-CKPT $(DONE) ## 144-crop accuracy of CKPT on both validation sets
	$(EVALUATE) --crops 144 --out results/crops-144 $(ARGS)

bench: $(DONE) ## the original (ADSL) report's speed table, on a simulated card where there is none, into results/bench
	$(PY) -m benchmarks steps --rows table --device $(call sh,DEVICE) --out results/bench $(ARGS)

# Whoever only evaluates has no run: RUN's default is left out where there is none. Results and run
# name their record sets: RECORDS is passed on only where it is given.
has_run = $(if $(filter file,$(origin RUN)),$(wildcard $(RUN)),given)
report: $(DONE) ## one HTML page, report.html, from RUN and results/ (ARGS='--lang zh': Chinese)
	$(PY) -m evaluate report$(if $(has_run), --run $(call sh,RUN))$(if \
		$(filter file,$(origin RECORDS)),, --records $(call sh,RECORDS)) \
		--results results --out report.html $(ARGS)

clean: ## remove what make built here: .venv and the demo
	test ! -e $(DONE) || rm -rf $(VENV)
	rm -rf $(DEMO) *.egg-info .pytest_cache .mypy_cache .coverage*
