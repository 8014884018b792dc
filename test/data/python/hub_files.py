"""Fetches files of a data set with huggingface_hub and prints their paths as JSON.

    hub_files.py download|cached <id> <revision> <file>…

`cached` allows no request: the file is in the cache or it is an error.
"""

import json
import sys

from huggingface_hub import hf_hub_download, scan_cache_dir

action, repository, revision, *files = sys.argv[1:]
paths = {
    file: hf_hub_download(repository, file, repo_type="dataset", revision=revision, local_files_only=action == "cached")
    for file in files
}
cache = scan_cache_dir()
print(json.dumps({"paths": paths, "warnings": [str(warning) for warning in cache.warnings], "repositories": sorted(repository.repo_id for repository in cache.repos)}))
