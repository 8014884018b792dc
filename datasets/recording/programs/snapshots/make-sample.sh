#!/bin/bash
# make-sample.sh DIRECTORY: fills it with empty snapshots like those on the excavation server.
mkdir -p "$1" && cd "$1" || exit 1
for n in 7 8 9 10 11; do
    : >"trench-$n.tar"
done
for n in 1 2 3; do
    : >"north field-$n.tar"
done
: >"kiln-4.tar"
: >"field-notes.txt"
