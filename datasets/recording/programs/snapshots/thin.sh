#!/bin/bash
# thin.sh DIRECTORY KEEP
# Keeps the newest KEEP snapshots of each site in DIRECTORY and removes the rest.
# A snapshot is called SITE-NUMBER.tar, with the number counting up; newest = highest number.

dir=$1
keep=$2

cd $dir || exit 1

sites=$(ls *.tar | sed 's/-[0-9]*\.tar$//' | sort -u)

for site in $sites; do
    all=$(ls $site-*.tar | sort)
    count=$(echo "$all" | wc -l)
    drop=$((count - keep))
    [ $drop -gt 0 ] || continue
    for file in $(echo "$all" | head -n $drop); do
        echo "removing $file"
        rm -f $file
    done
done
