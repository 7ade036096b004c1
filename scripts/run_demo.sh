#!/bin/sh
# The whole system on the bundled demo: both stages, scores, archive, report, threshold sweep, ablation table.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$here"
rvos="$here/.venv/bin/rvos"
[ -x "$rvos" ] || rvos=rvos
ladder="soc soc_aot stage1 stage2 final"
scripts/run_stage1.sh "$@"
scripts/run_stage2.sh "$@"
"$rvos" submit pipeline.yaml
"$rvos" check-submission runs/demo/submission.zip --recipe pipeline.yaml
# shellcheck disable=SC2086  # the nodes are words of their own
"$rvos" report pipeline.yaml --ladder $ladder
"$rvos" sweep pipeline.yaml stage1 --plot runs/demo/sweep.png
# shellcheck disable=SC2086
"$rvos" table pipeline.yaml $ladder
