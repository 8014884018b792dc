"""KL of a quantized checkpoint to its original by transformers, in nats per token: kl.py MODEL QUANTIZED IDS.json

A check on our own evaluator: another implementation, the same definition (every position of every sequence).
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM

torch.set_grad_enabled(False)
model_folder, quantized_folder, ids_file = sys.argv[1:]
sequences = [torch.tensor([ids]) for ids in json.loads(pathlib.Path(ids_file).read_text())]


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    # compressed-tensors dequantizes when the model first runs; only then can it be widened.
    model(input_ids=torch.tensor([[0]]))
    return torch.nn.Module.float(model)


def log_probabilities(model):
    return [torch.log_softmax(model(input_ids=ids).logits.double(), -1) for ids in sequences]


original, quantized = log_probabilities(load(model_folder)), log_probabilities(load(quantized_folder))
divergences = [(p.exp() * (p - q)).sum(-1).flatten() for p, q in zip(original, quantized)]
print(torch.cat(divergences).mean().item())
