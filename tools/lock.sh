#!/usr/bin/env bash
# Writes requirements/run.txt and requirements/dev.txt: exact versions for Windows, macOS and Linux (markers where they
# differ), no registry address, no hashes. Versions already locked stay; "tools/lock.sh --upgrade" moves them.
# Needs uv, used for nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
options=(--universal --python-version 3.11 --quiet --no-header --no-annotate --no-emit-index-url --no-emit-find-links)
uv pip compile "${options[@]}" "$@" pyproject.toml --output-file requirements/run.txt
uv pip compile "${options[@]}" "$@" pyproject.toml --extra dev --constraints requirements/run.txt --output-file requirements/dev.txt
