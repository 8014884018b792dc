#!/bin/sh
# Each samples/*.expected is what the program should print for the .txt beside it.
failed=0
for expected in samples/*.expected; do
    name=$(basename "$expected" .expected)
    if ./nmea <"samples/$name.txt" | diff -u "$expected" -; then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        failed=1
    fi
done
exit $failed
