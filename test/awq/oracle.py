"""Reference results for test/awq/oracle.test.ts, in float64 and by other routes than the TypeScript takes:
GPTQ column by column with the Cholesky factor of the inverse Hessian (Frantar et al. 2022, as in its reference code),
losses by running the Linear on X, round-to-nearest by compressed-tensors' own functions.

Run with numpy, torch and compressed-tensors: python test/awq/oracle.py
"""
import gzip, json, pathlib
import numpy as np
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.utils import calculate_qparams
from compressed_tensors.quantization.lifecycle.forward import quantize

OUT, IN, TOKENS, GROUP = 40, 192, 400, 32
generator = np.random.default_rng(7)


def bf16(x):
    return torch.tensor(np.asarray(x), dtype=torch.float32).to(torch.bfloat16).to(torch.float64).numpy()


weight = bf16(generator.standard_normal((OUT, IN)) * 0.05)
weight[3, 17] = bf16(0.9)  # an outlier
weight[5, 64:96] = 0  # a group of zeros
mixing = generator.standard_normal((24, IN))
inputs = generator.standard_normal((TOKENS, 24)) @ mixing / 5 + generator.standard_normal((TOKENS, IN)) * 0.4
inputs *= np.where(np.arange(IN) % 29 == 0, 6, 1)
inputs = bf16(inputs)
singular = inputs[:50]  # fewer tokens than channels


def grouped(w):
    return w.reshape(OUT, IN // GROUP, GROUP)


def signed_scales(w):
    groups = grouped(w)
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(-1)[..., None], -1)[..., 0]
    s = bf16(extreme / -8)
    return np.where(s == 0, 2.0**-7, s)


def gptq(w, x, scales, damping=0.01):
    gram = x.T @ x / len(x)
    hessian = gram + damping * gram.diagonal().mean() * np.eye(IN)
    order = np.argsort(-gram.diagonal().astype(np.float32), kind="stable")
    factor = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    work, codes = w[:, order].copy(), np.zeros_like(w)
    for i in range(IN):
        s = scales[:, order[i] // GROUP]
        q = np.clip(np.rint(work[:, i] / s), -8, 7)
        codes[:, order[i]] = q
        error = (work[:, i] - q * s) / factor[i, i]
        work[:, i:] -= np.outer(error, factor[i, i:])
    return codes


def loss(w, codes, scales, x, zeros=0):
    delta = ((grouped(codes) - np.expand_dims(zeros, -1)) * scales[..., None]).reshape(OUT, IN) - w
    return float((np.square(x @ delta.T)).sum() / len(x))


def rtn(symmetric):
    args = QuantizationArgs(num_bits=4, symmetric=symmetric, strategy="group", group_size=GROUP)
    tensor = torch.tensor(weight, dtype=torch.float32)
    groups = tensor.reshape(OUT, IN // GROUP, GROUP)
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    scale = torch.where(scale == torch.finfo(torch.float32).eps, torch.finfo(torch.bfloat16).eps, scale)
    scale = scale.to(torch.bfloat16).float()
    codes = quantize(tensor, scale, zero, args)
    return {
        "scales": scale.double().flatten().tolist(),
        "zeroPoints": None if symmetric else zero.int().flatten().tolist(),
        "codes": codes.int().flatten().tolist(),
    }


def search(duo):
    a = np.abs(inputs).mean(0)
    groups = np.abs(grouped(weight))
    w = (groups / (groups.max(-1, keepdims=True) + 1e-6)).reshape(OUT, IN).mean(0)
    candidates = [np.ones(IN)]
    for i in range(19):
        r = i / 18
        s = np.maximum(a**r / (w ** (1 - r) + 1e-4) if duo else a**r, 1e-4)
        candidates.append(s / np.sqrt(s.max() * s.min()))
    losses = []
    for s in candidates:
        scaled = weight * s
        scales = bf16(np.abs(grouped(scaled)).max(-1) / 7.5)
        scales = np.where(scales == 0, 2.0**-7, scales)
        codes = np.clip(np.rint(grouped(scaled) / scales[..., None]), -8, 7)
        value = (codes * scales[..., None]).reshape(OUT, IN) / s
        losses.append(float(np.square(inputs @ (value - weight).T).sum() / TOKENS))
    return {"candidates": [list(s) for s in candidates], "losses": losses}


scales = signed_scales(weight)
result = {
    "out": OUT, "in": IN, "group": GROUP,
    "weight": weight.flatten().tolist(),
    "inputs": inputs.flatten().tolist(),
    "singularTokens": len(singular),
    "gptq": {"scales": scales.flatten().tolist()},
    "rtn": {"symmetric": rtn(True), "asymmetric": rtn(False)},
    "search": {"duo": search(True), "activations": search(False)},
}
for name, x in (("full", inputs), ("singular", singular)):
    codes = gptq(weight, x, scales)
    result["gptq"][name] = {"codes": codes.astype(int).flatten().tolist(), "loss": loss(weight, codes, scales, x)}

path = pathlib.Path(__file__).with_name("oracle.json.gz")
path.write_bytes(gzip.compress(json.dumps(result).encode(), mtime=0))
