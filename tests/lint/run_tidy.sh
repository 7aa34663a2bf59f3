#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-tidy 14 on every file of the program, by building it with the `tidy` preset. Usage: run_tidy.sh [SOURCE]
set -eu
cd "${1:-$(dirname "$0")/../..}"
for program in clang-14 clang-tidy-14; do
    if ! command -v "$program" >/dev/null; then
        echo "lint.tidy: needs $program" | tee -a "${ENTREPOT_SKIPPED:-/dev/null}"
        exit 77
    fi
done
cmake --preset tidy >/dev/null
cmake --build build/tidy --target entrepot --parallel 2 -- -k 0
