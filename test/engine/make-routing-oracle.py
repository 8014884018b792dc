"""Counts transformers' own routing on the shipped model; see routing-oracle.test.ts.

    python test/engine/make-routing-oracle.py     (transformers 5.18, torch 2.13, CPU)

Writes test/engine/routing-oracle.json: the token ids of a few sequences of different lengths, and how many of their tokens
transformers sends to each expert of each layer, in float32.
"""
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = pathlib.Path(__file__).parent
MODEL = HERE.parent / "models" / "polyglot-moe-18m"

tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
rows = [json.loads(line) for line in (HERE.parent.parent / "datasets" / "languages" / "languages.jsonl").open()]
texts = [row["messages"][-1]["content"] for row in rows]
lengths = [512, 300, 128, 77, 16, 1] * 3
sequences = [tokenizer(text)["input_ids"][:length] for text, length in zip(texts, lengths)]

config = model.config
counts = torch.zeros(config.num_hidden_layers, config.num_experts, dtype=torch.long)
with torch.no_grad():
    for ids in sequences:
        logits = model(torch.tensor([ids]), output_router_logits=True).router_logits
        for layer, scores in enumerate(logits):
            chosen = scores.float().softmax(-1).topk(config.num_experts_per_tok, -1).indices
            counts[layer] += torch.bincount(chosen.flatten(), minlength=config.num_experts)

out = {"sequences": sequences, "routed": counts.tolist()}
(HERE / "routing-oracle.json").write_text(json.dumps(out, separators=(",", ":")))
print(sum(map(len, sequences)), "tokens;", counts.sum(1).tolist(), "routed per layer")
