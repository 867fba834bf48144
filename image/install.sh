#!/bin/sh
# install.sh SOURCE TARGET: paste-proxy in a virtual environment of its own, and nothing there to build or install with.
# The build stage of the Dockerfile runs it, and so does anybody who wants the same without an image.
set -eu
source=$1
target=$2

wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

python3 -m pip wheel --quiet --no-deps --wheel-dir "$wheels" "$source"
python3 -m venv --without-pip "$target"
# Wheels only: no compiler is needed here, and a package that wants one is told at once.
# The extras are for the plugin `web`, and for `paste-proxy demo`, whose agents use the openai SDK.
python3 -m pip --python "$target/bin/python" install --quiet --no-cache-dir --only-binary :all: \
  "$(echo "$wheels"/*.whl)[web,demo]"
