"""Loads checkpoints in transformers as their users would, and compares logits with those that Evenkeel computed.

Reads a JSON list of cases {name, folder, inputIds: [[…]], logits: path of raw f32 [tokens, vocabulary]} from the file
named first, and writes a JSON object name → result to the file named second. One process for all: importing
transformers takes longer than loading any of these models.

AutoAWQ checkpoints cannot be loaded without a GPU. They name a folder `convertTo`: compressed-tensors rewrites them in its
own format there, and what it made of them is loaded, or only left there where `logits` is missing.

Every checkpoint is loaded in its own dtype, which makes transformers dequantize to that dtype as our own reader does.
The dequantized model is then widened to f32, so that both sides compute in f32 from the same numbers and only the order
of additions differs.
"""

import json
import pathlib
import sys
import traceback

import numpy
import torch
import transformers
from compressed_tensors.entrypoints.convert import AutoAWQConverter, convert_checkpoint

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)


def load(folder, dtype):
    # Other attention implementations leave out gemma2's softcap.
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    # compressed-tensors dequantizes when the model first runs.
    model.eval()(input_ids=torch.tensor([[0]]))
    # transformers forbids `model.float()` on a model that was quantized, dequantized or not.
    return torch.nn.Module.float(model), info


def check(case):
    folder, dtype = case["folder"], "auto"
    if "convertTo" in case:
        convert_checkpoint(folder, case["convertTo"], AutoAWQConverter.from_pretrained(folder), max_workers=1)
        # AutoAWQ's scales are f16 in a bf16 model too: only f32 holds what both make of a weight.
        folder, dtype = case["convertTo"], torch.float32
    if "logits" not in case:
        return {"missing": [], "unexpected": [], "mismatched": [], "error": 0.0}
    model, info = load(folder, dtype)
    logits = model(input_ids=torch.tensor(case["inputIds"])).logits.numpy()
    ours = numpy.fromfile(case["logits"], dtype="<f4").reshape(logits.shape)
    return {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        "mismatched": sorted(str(key) for key in info["mismatched_keys"]),
        "error": float(numpy.abs(logits - ours).max() / numpy.abs(ours).max()),
    }


def main():
    cases = json.loads(pathlib.Path(sys.argv[1]).read_text())
    results = {}
    for case in cases:
        try:
            results[case["name"]] = check(case)
        except Exception:
            results[case["name"]] = {"failure": traceback.format_exc()}
    pathlib.Path(sys.argv[2]).write_text(json.dumps(results))


main()
