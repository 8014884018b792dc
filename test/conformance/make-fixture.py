"""Makes a conformance folder: a tiny model with random weights, and what transformers computes from them in fp32.

    python make-fixture.py BASE OUT [--set KEY=JSON]… [--drop KEY]… [--length N] [--as-given] [--linearize]

BASE is a folder with a config.json to start from, or a model type that transformers knows. OUT gets config.json,
model.safetensors (bf16) and reference.safetensors: input_ids, logits, hidden_states.N and router.<module>.outN.

--set KEY=JSON   replaces a setting; KEY may have dots
--drop KEY       removes a setting, so that the configuration class decides it
--as-given       writes the settings as they were put in instead of as transformers would save them: for the older
                 dialect of config.json (rope_theta, rope_scaling) that most models on the Hub still have
--linearize      stores fused experts one by one, as a quantized checkpoint does

Needs torch and transformers 5.
"""

import argparse
import copy
import json
import re
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--drop", action="append", default=[])
    parser.add_argument("--length", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--as-given", action="store_true")
    parser.add_argument("--linearize", action="store_true")
    options = parser.parse_args()

    settings = read_settings(options)
    torch.manual_seed(options.seed)
    config = CONFIG_MAPPING[settings["model_type"]].from_dict(copy.deepcopy(settings))
    model = AutoModelForCausalLM.from_config(config)
    randomize(model)

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        write_reference(folder, options.out, options.length, config.vocab_size)
        tensors = load_file(Path(folder) / "model.safetensors")
        save_file(
            linearized(tensors, config) if options.linearize else tensors,
            options.out / "model.safetensors",
            metadata={"format": "pt"},
        )
        if options.as_given:
            settings["architectures"] = [type(model).__name__]
            (options.out / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
        else:
            shutil.copy(Path(folder) / "config.json", options.out / "config.json")


def read_settings(options: argparse.Namespace) -> dict:
    base = Path(options.base) / "config.json"
    settings = json.loads(base.read_text()) if base.exists() else {"model_type": options.base}
    settings.pop("transformers_version", None)
    for key in options.drop:
        settings.pop(key, None)
    for setting in options.settings:
        path, _, value = setting.partition("=")
        *outer, last = path.split(".")
        place = settings
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = json.loads(value)
    return settings


@torch.no_grad()
def randomize(model: torch.nn.Module) -> None:
    """Weights large enough for every term to show in the logits: a norm left at one, or a bias at zero, hides a bug."""
    for name, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        if name.endswith("norm.weight") or "layernorm" in name or "norm_" in name:
            parameter.add_(noise * 0.2)
        elif parameter.dim() == 1 or name.endswith("_bias"):
            parameter.copy_(noise * 0.3)
        elif "embed_tokens" in name:
            parameter.copy_(noise * 0.5)
        else:
            parameter.copy_(noise * min(parameter.shape[-2:]) ** -0.5)
    for name, buffer in model.named_buffers():
        if name.endswith(("e_score_correction_bias", "expert_bias")):
            buffer.copy_(torch.randn_like(buffer) * 0.1)
    model.tie_weights()


@torch.no_grad()
def write_reference(folder: str, out: Path, length: int, vocabulary: int) -> None:
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    model.eval()
    found: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        if name.split(".")[-1] in ("gate", "router"):
            module.register_forward_hook(record(found, name))
    ids = torch.randint(0, vocabulary, (2, length))
    result = model(ids, output_hidden_states=True, use_cache=False)
    found |= {"input_ids": ids, "logits": result.logits}
    found |= {f"hidden_states.{i}": state for i, state in enumerate(result.hidden_states)}
    save_file({name: tensor.contiguous() for name, tensor in found.items()}, out / "reference.safetensors")


def record(found: dict[str, torch.Tensor], name: str):
    def hook(_module, _inputs, outputs):
        if isinstance(outputs, tuple):
            for i, output in enumerate(outputs):
                found[f"router.{name}.out{i}"] = output.detach().clone()

    return hook


def linearized(tensors: dict[str, torch.Tensor], config) -> dict[str, torch.Tensor]:
    """Fused experts as one Linear per expert and projection, gate before up."""
    is_interleaved = config.model_type == "gpt_oss"
    result: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(
            r"(.*\.(?:experts|block_sparse_moe))\.(gate_up_proj|input_linear|down_proj|output_linear)(_bias|\.weight)?", name
        )
        if match is None or (tensor.dim() != 3 and match[3] != "_bias"):
            result[name] = tensor
            continue
        module = match[1] if match[1].endswith("experts") else f"{match[1]}.experts"
        kind = "bias" if match[3] == "_bias" else "weight"
        is_gate_up = match[2] in ("gate_up_proj", "input_linear")
        for e, expert in enumerate(tensor):
            rows = expert.T if kind == "weight" and match[3] is None else expert
            half = rows.shape[0] // 2
            if not is_gate_up:
                parts = {"down_proj": rows}
            elif is_interleaved:
                parts = {"gate_proj": rows[0::2], "up_proj": rows[1::2]}
            else:
                parts = {"gate_proj": rows[:half], "up_proj": rows[half:]}
            for projection, part in parts.items():
                result[f"{module}.{e}.{projection}.{kind}"] = part.contiguous()
    return result


if __name__ == "__main__":
    main()
