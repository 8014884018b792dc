"""llm-compressor's AWQ with its own defaults on ready token ids: awq.py MODEL IDS.jsonl SCHEME OUTPUT

All experts see every token (its default); the head and the routers stay as they are, as in its own MoE examples.
"""

import json
import pathlib
import sys

import torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from llmcompressor.pipelines.cache import IntermediatesCache
from transformers import AutoModelForCausalLM

if not torch.accelerator.is_available():
    # 0.14 pins cached activations for the copy to a GPU, which fails where there is none. Nothing else is touched.
    IntermediatesCache.pin_memory = lambda *_arguments: None

model_folder, ids_file, scheme, output = sys.argv[1:]
rows = [json.loads(line)["input_ids"] for line in pathlib.Path(ids_file).read_text().splitlines()]
dataset = Dataset.from_list([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in rows])

# oneshot() splits the fused experts itself; doing so while loading needs torchvision, of all things.
model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16)
oneshot(
    model=model,
    dataset=dataset,
    recipe=[
        AWQModifier(),
        QuantizationModifier(targets=["Linear"], scheme=scheme, ignore=["lm_head", "re:.*mlp.gate$"]),
    ],
    num_calibration_samples=len(rows),
    max_seq_length=max(len(ids) for ids in rows),
    shuffle_calibration_samples=False,
)
model.save_pretrained(output, save_compressed=True)
