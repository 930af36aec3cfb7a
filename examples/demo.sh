#!/usr/bin/env bash
# The whole journey on a handful of free photographs, by the commands a user has: photographs become patches,
# SIMULATED people judge them in the real app over HTTP, their answers become a dataset, an LPIPS learns from it,
# and metrics are scored against it.
#
#     examples/demo.sh            writes ./demo and ./dataset
#
# Every command is printed before it runs. Scores, fractions and trained weights repeat exactly.
set -euo pipefail
examples=$(cd "$(dirname "$0")" && pwd)
families=(traditional cnn mix)
work=demo

stage() { printf '\n== %s (%s s so far)\n' "$*" "$SECONDS"; }
run() {
    printf '$ %s\n' "$*"
    "$@"
}

if [ -e dataset ] && ! grep -qs '"name": "demo"' dataset/dataset.json; then
    echo "./dataset is there and was not made by this demo; move it away first" >&2
    exit 2
fi
rm -rf "$work" dataset
mkdir "$work"

stage "1/9 weights, and photographs: public domain and CC0, from scikit-image"
run bapps-weights fetch alexnet vgg16 lpips-alex-0.1 lpips-vgg-0.1
run python "$examples/photographs.py" "$work/photos"

stage "2/9 patches of 64x64 and their distorted versions"
sets_2afc=() sets_jnd=()
seed=0  # another for each set: sentinels need patches of places that no test item shows
for family in "${families[@]}"; do
    seed=$((seed + 1))
    for split in train:120 val:60; do
        out=$work/patches/2afc-${split%:*}-$family
        run bapps-distort generate --photos "$work/photos/${split%:*}" --out "$out" --items "${split#*:}" \
            --family "$family" --split "${split%:*}" --seed "$seed"
        sets_2afc+=(--patches "$out")
    done
done
for family in traditional cnn; do
    seed=$((seed + 1)) out=$work/patches/jnd-$family
    run bapps-distort generate --photos "$work/photos/val" --out "$out" --items 150 --family "$family" --task jnd \
        --seed "$seed"
    sets_jnd+=(--patches "$out")
done

for task in 2afc jnd; do
    if [ "$task" = 2afc ]; then sets=("${sets_2afc[@]}") stage_number=3; else sets=("${sets_jnd[@]}") stage_number=4; fi
    stage "$stage_number/9 a $task study, answered by SIMULATED people over HTTP, one after another in virtual time"
    run bapps-collect init "$work/$task.toml" "${sets[@]}" --preset "$task"
    run bapps-collect simulate "$work/$task.toml" "${sets[@]}" --mix careful=0.9,lapsing=0.1 --dropout 0.05
    run bapps-collect export "$work/$task.toml" "$work/$task.parquet" --database "sqlite:///$work/$task.simulated.sqlite"
done

stage "5/9 from answers to a dataset in the BAPPS layout"
run bapps-build build "${sets_2afc[@]}" "${sets_jnd[@]}" --answers "$work/2afc.parquet" --answers "$work/jnd.parquet" \
    --name demo --out dataset
run bapps-build verify dataset

stage "6/9 how well the simulated people agree"
run bapps-consistency dataset

stage "7/9 an LPIPS of your own: heads on AlexNet, learned from these answers"
run bapps-train lin --net alex --data dataset --sets "${families[@]/#/train/}" --lr 0.01 --batch-size 25 --out "$work/lin"

stage "8/9 metrics against the simulated people"
run bapps-score --metric l2 --metric ssim --metric alex --metric lpips-alex --metric lpips-vgg \
    --metric "lpips:$work/lin" --save-distances "$work/distances.csv"

stage "9/9 the report"
run bapps-report --distances "$work/distances.csv" --data dataset --out "$work/report.html"

cat <<END

Done in $SECONDS s. The people were SIMULATED and the photographs a handful: nothing here says which metric is better.

$work/photos, $work/patches    photographs and patch sets
$work/*.toml                 the studies, every setting explained
$work/*.parquet              every answer, with a data dictionary beside it
dataset                     the dataset, in the BAPPS layout
$work/lin                    the trained LPIPS, with its log and curves
$work/report.html            the report

Next:
score another metric        bapps-score --metric lpips-vgg
look at all distortions     bapps-distort preview --photos $work/photos/val --out preview.png
see the study yourself      bapps-collect serve $work/2afc.toml --rehearsal
put real people in front    fill in contact and [terms] of $work/2afc.toml, then:
                            bapps-collect init $work/2afc.toml ${sets_2afc[@]} --database sqlite:///people.sqlite &&
                            bapps-collect serve $work/2afc.toml --database sqlite:///people.sqlite
score the paper's data      bapps-build download --split val --split jnd --out bapps
END
