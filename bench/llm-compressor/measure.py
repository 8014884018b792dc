"""Runs a command and prints, as JSON, its wall-clock seconds and the peak resident set of its largest process in MiB."""

import json
import resource
import subprocess
import sys
import time

with open(sys.argv[1], "w") as log:
    started = time.monotonic()
    code = subprocess.run(sys.argv[2:], stdout=log, stderr=subprocess.STDOUT).returncode
    seconds = time.monotonic() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"code": code, "seconds": seconds, "peakMebibytes": peak}))
