"""Loads checkpoints in transformers as their users would, and compares logits with those that Evenkeel computed.

Reads a JSON list of cases {name, folder, inputIds: [[…]], logits: path of raw f32 [tokens, vocabulary]} from the file
named first, and writes a JSON object name → result to the file named second. One process for all: importing
transformers takes longer than loading any of these models.

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

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)


def load(folder):
    # Other attention implementations leave out gemma2's softcap.
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    # compressed-tensors dequantizes when the model first runs.
    model.eval()(input_ids=torch.tensor([[0]]))
    # transformers forbids `model.float()` on a model that was quantized, dequantized or not.
    return torch.nn.Module.float(model), info


def check(case):
    model, info = load(case["folder"])
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
