"""Writes the reference data of test/checkpoint: packed words by compressed-tensors and AutoAWQ themselves, number
formats by torch, decoded weights by transformers.

    pip install torch transformers compressed-tensors numpy
    pip download --no-deps --no-binary :all: autoawq==0.2.9 && tar xzf autoawq-0.2.9.tar.gz
    python test/checkpoint/oracle/generate.py autoawq-0.2.9

AutoAWQ is only needed for its packer, which is imported from the unpacked source: the package no longer installs
beside a current torch.
"""

import base64
import gzip
import hashlib
import json
import sys
import types
from pathlib import Path

import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from safetensors.torch import load_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

HERE = Path(__file__).parent
CONFORMANCE = HERE.parent.parent / "conformance"
DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16}
NAMES = {torch.int32: "I32", torch.int64: "I64", torch.bfloat16: "BF16", torch.float16: "F16"}


def stored(tensor):
    raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "bytes": base64.b64encode(raw).decode()}


def floats(tensor):
    return base64.b64encode(tensor.float().contiguous().numpy().tobytes()).decode()


def quantized(bits, symmetric, group, rows, columns, dtype, generator):
    """Random codes, scales of both signs, zero points; every row holds the extreme codes."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    groups = 1 if group is None else columns // group
    codes = torch.randint(low, high + 1, (rows, columns), generator=generator)
    codes[:, 0], codes[:, -1] = low, high
    scales = (torch.rand(rows, groups, generator=generator) * 0.02 + 1e-3).to(dtype)
    scales[::3] *= -1
    zeros = torch.randint(low, high + 1, (rows, groups), generator=generator)
    return codes, scales, zeros * (0 if symmetric else 1)


def compressed_tensors_case(bits, symmetric, group, rows, columns, dtype_name, generator):
    codes, scales, zeros = quantized(bits, symmetric, group, rows, columns, DTYPES[dtype_name], generator)
    per_group = columns if group is None else group
    weight = (codes - zeros.repeat_interleave(per_group, 1)) * scales.double().repeat_interleave(per_group, 1)
    strategy = {"strategy": "channel"} if group is None else {"strategy": "group", "group_size": group}
    scheme = QuantizationScheme(
        targets=["Linear"], weights=QuantizationArgs(num_bits=bits, symmetric=symmetric, **strategy)
    )
    state = {"weight": weight.float(), "weight_scale": scales.float(), "weight_zero_point": zeros.to(torch.int8)}
    state = dict(PackedQuantizationCompressor.compress(state, scheme), weight_scale=scales)
    decoded = PackedQuantizationCompressor.decompress(dict(state), scheme)["weight"]
    return {
        "bits": bits, "symmetric": symmetric, "groupSize": group or "channel", "scaleDtype": dtype_name,
        "outFeatures": rows, "inFeatures": columns, "codes": codes.flatten().tolist(),
        "scales": floats(scales), "zeroPoints": None if symmetric else zeros.flatten().tolist(),
        "tensors": {name: stored(tensor) for name, tensor in sorted(state.items())}, "decoded": floats(decoded),
    }


def autoawq_case(source, symmetric, group, rows, columns, generator):
    # Empty packages in place of those whose imports fail or are not needed for packing.
    for name, folder in [("awq", "awq"), ("awq.modules.linear", "awq/modules/linear"), ("accelerate", ".")]:
        package = types.ModuleType(name)
        package.__path__ = [str(Path(source) / folder)]
        sys.modules.setdefault(name, package)
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.utils.packing_utils import dequantize_gemm

    codes, scales, zeros = quantized(4, symmetric, group, rows, columns, torch.float16, generator)
    linear = torch.nn.Linear(columns, rows, bias=False)
    per_group = zeros.repeat_interleave(group, 1)
    linear.weight.data = ((codes - per_group) * scales.double().repeat_interleave(group, 1)).float()
    packed = WQLinear_GEMM.from_linear(
        linear, 4, group, scales=scales.float().t().contiguous(), zeros=(zeros + 8).float().t().contiguous()
    )
    state = {name: getattr(packed, name) for name in ("qweight", "qzeros", "scales")}
    decoded = dequantize_gemm(state["qweight"], state["qzeros"], state["scales"], 4, group).t()
    return {
        "bits": 4, "symmetric": symmetric, "groupSize": group, "scaleDtype": "F16",
        "outFeatures": rows, "inFeatures": columns, "codes": codes.flatten().tolist(),
        "scales": floats(scales), "zeroPoints": None if symmetric else zeros.flatten().tolist(),
        "tensors": {name: stored(tensor) for name, tensor in state.items()}, "decoded": floats(decoded),
    }


def number_formats(generator):
    bits = torch.randint(-(2**31), 2**31, (20000,), generator=generator, dtype=torch.int64).to(torch.int32)
    near = (torch.randn(20000, generator=generator) * 10.0 ** torch.randint(-8, 6, (20000,), generator=generator)).float()
    values = torch.cat([bits.view(torch.float32), near])
    codes = torch.arange(256, dtype=torch.uint8)
    return {
        "values": floats(values),
        "BF16": base64.b64encode(values.bfloat16().view(torch.uint16).numpy().tobytes()).decode(),
        "F16": base64.b64encode(values.half().view(torch.uint16).numpy().tobytes()).decode(),
        "F8_E4M3": floats(codes.view(torch.float8_e4m3fn)),
        "F8_E5M2": floats(codes.view(torch.float8_e5m2)),
        "F8_E8M0": floats(codes.view(torch.float8_e8m0fnu)),
    }


def decoded_hashes():
    """SHA-256 of every decoded f32 weight of the two low-precision fixtures."""
    hashes = {"deepseek_v3_fp8": {}, "gpt_oss_mxfp4": {}}
    tensors = load_file(CONFORMANCE / "deepseek_v3_fp8" / "model.safetensors")
    for name in sorted(tensors):
        scale = tensors.get(f"{name}_scale_inv")
        if scale is None:
            continue
        rows, columns = tensors[name].shape
        spread = scale.repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :columns]
        hashes["deepseek_v3_fp8"][name] = digest(tensors[name].float() * spread)
    tensors = load_file(CONFORMANCE / "gpt_oss_mxfp4" / "model.safetensors")
    for blocks in sorted(name for name in tensors if name.endswith("_blocks")):
        name = blocks.removesuffix("_blocks")
        decoded = convert_moe_packed_tensors(tensors[blocks], tensors[f"{name}_scales"])
        hashes["gpt_oss_mxfp4"][name] = digest(decoded)
    return hashes


def digest(tensor):
    return hashlib.sha256(tensor.float().contiguous().numpy().tobytes()).hexdigest()


def write(name, value):
    with open(HERE / name, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(json.dumps(value, separators=(",", ":")).encode())


def main():
    generator = torch.Generator().manual_seed(20261122)
    compressed = [
        compressed_tensors_case(bits, symmetric, group, rows, columns, dtype, generator)
        for bits, symmetric, group, rows, columns, dtype in [
            (4, True, 128, 16, 256, "BF16"), (4, True, 64, 24, 192, "F16"), (4, True, 32, 8, 96, "BF16"),
            (4, True, None, 5, 12, "BF16"), (4, True, None, 3, 40, "F16"),
            (4, False, 128, 16, 256, "BF16"), (4, False, 32, 13, 64, "BF16"), (4, False, None, 9, 21, "F16"),
            (8, True, 128, 16, 256, "BF16"), (8, True, None, 5, 13, "BF16"),
            (8, False, 64, 10, 128, "F16"), (8, False, None, 7, 32, "BF16"),
        ]
    ]
    awq = [
        autoawq_case(sys.argv[1], symmetric, group, rows, columns, generator)
        for symmetric, group, rows, columns in [(False, 128, 32, 256), (False, 32, 64, 96), (True, 64, 96, 128)]
    ]
    write("packing.json.gz", {"compressed-tensors": compressed, "autoawq": awq})
    write("numbers.json.gz", number_formats(generator))
    write("decoded.json.gz", decoded_hashes())


main()
