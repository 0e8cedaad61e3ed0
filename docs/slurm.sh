#!/bin/bash
# The analyses of a run as an array of jobs, each of which does a part that no other does:
#
#   job=$(sbatch --parsable --array=1-8 docs/slurm.sh results/model_p113_seed999)
#   sbatch --dependency=afterany:$job docs/slurm.sh results/model_p113_seed999
#
# The second, without an array, does what is of the whole run, and whatever a job that was killed has left. Either may
# be submitted again at any time: what is done hits; a single part with the number of all, as --array=3 --export=ALL,PARTS=8.
# Jobs need not know of each other, only of the same store: the one beside the run, on a file system that all nodes see,
# or a bucket (ARTIFACT_STORE_SHARED=s3://bucket/prefix).
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=01:00:00
set -euo pipefail

run=$1
part=()
if [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then
  part=(--shard "$SLURM_ARRAY_TASK_ID/${PARTS:-$SLURM_ARRAY_TASK_COUNT}")
fi
artifact-store run "$run" "${part[@]}" --progress none "${@:2}"
