#!/bin/sh
# Stage 2 of a recipe (default: pipeline.yaml of this checkout): scripts/run_stage2.sh [RECIPE] [options of rvos run]
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
recipe="$here/pipeline.yaml"
case "${1-}" in
    ""|-*) ;;
    *) recipe=$1; shift ;;
esac
rvos="$here/.venv/bin/rvos"
[ -x "$rvos" ] || rvos=rvos
exec "$rvos" run "$recipe" --stage 2 "$@"
