"""The reference that KvMesh's transformer is compared with: a model of the Llama family in plain PyTorch.

  llama_reference.py check DIR...          reads config.json, model.safetensors and tokens.json of each folder, writes logits.bin
  llama_reference.py measure DIR THREADS   prints "ready", then for each line "prefill N" or "decode POSITION COUNT" the seconds that it took
"""

import json
import math
import os
import sys
import time

import torch
from torch.nn.functional import silu

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def linear(x, weight, bias=None):
    """As torch.nn.functional.linear; one row alone as a product with a vector, which is several times faster in OpenBLAS."""
    if x.shape[0] == 1:
        row = torch.mv(weight, x[0])[None]
        return row if bias is None else row + bias
    return torch.nn.functional.linear(x, weight, bias)


def read_tensors(path):
    with open(path, "rb") as file:
        content = bytearray(file.read())
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = memoryview(content)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = torch.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"]).float()
    return tensors


def yarn(config, scaling, dim, base):
    factor = scaling["factor"]
    original = scaling.get("original_max_position_embeddings") or config["max_position_embeddings"]

    def correction(turns):
        return (dim * math.log(original / (turns * 2 * math.pi))) / (2 * math.log(base))

    low = max(math.floor(correction(scaling.get("beta_fast") or 32)), 0)
    high = min(math.ceil(correction(scaling.get("beta_slow") or 1)), dim - 1)
    if low == high:
        high += 0.001
    frequencies = base ** (torch.arange(0, dim, 2).float() / dim)
    ramp = torch.clamp((torch.arange(dim // 2).float() - low) / (high - low), 0, 1)
    kept = 1 - ramp
    inverse = (1 / (factor * frequencies)) * (1 - kept) + (1 / frequencies) * kept
    attention = scaling.get("attention_factor")
    if attention is None:
        attention = 0.1 * math.log(factor) + 1 if factor > 1 else 1
    return inverse, attention


def llama3(scaling, inverse):
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    original = scaling["original_max_position_embeddings"]
    wavelength = 2 * math.pi / inverse
    scaled = torch.where(wavelength > original / low, inverse / factor, inverse)
    smooth = (original / wavelength - low) / (high - low)
    smoothed = (1 - smooth) * inverse / factor + smooth * inverse
    medium = ~(wavelength < original / high) & ~(wavelength > original / low)
    return torch.where(medium, smoothed, scaled)


def frequencies(config, dim):
    base = config.get("rope_theta", 10000.0)
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "yarn":
        return yarn(config, scaling, dim, base)
    if kind == "dynamic":
        # As serving engines do: the base of the longest context from the first token on.
        factor, longest = scaling["factor"], config["max_position_embeddings"]
        base = base * ((factor * (longest * factor) / longest) - (factor - 1)) ** (dim / (dim - 2))
    inverse = 1 / (base ** (torch.arange(0, dim, 2).float() / dim))
    if kind == "linear":
        inverse = inverse / scaling["factor"]
    if kind == "llama3":
        inverse = llama3(scaling, inverse)
    return inverse, 1.0


class Llama:
    def __init__(self, directory):
        with open(os.path.join(directory, "config.json")) as file:
            self.config = json.load(file)
        self.tensors = read_tensors(os.path.join(directory, "model.safetensors"))
        self.heads = self.config["num_attention_heads"]
        self.kv_heads = self.config.get("num_key_value_heads", self.heads)
        self.dim = self.config.get("head_dim") or self.config["hidden_size"] // self.heads
        self.inverse, self.attention_factor = frequencies(self.config, self.dim)
        self.layers = [self.layer(index) for index in range(self.config["num_hidden_layers"])]
        self.embedding = self.tensors["model.embed_tokens.weight"]
        self.norm = self.tensors["model.norm.weight"]
        self.head = self.embedding if self.config.get("tie_word_embeddings") else self.tensors["lm_head.weight"]
        self.cache = []

    def layer(self, index):
        prefix = f"model.layers.{index}."
        return {name[len(prefix) :]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def normalise(self, x, weight):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.config.get("rms_norm_eps", 1e-6)) * weight

    def turn(self, x, cosine, sine):
        half = x.shape[-1] // 2
        return x * cosine + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sine

    def attend(self, layer, weights, x, position, cosine, sine):
        count = x.shape[0]

        def project(name, heads):
            return linear(x, weights[f"self_attn.{name}.weight"], weights.get(f"self_attn.{name}.bias")).view(count, heads, self.dim).transpose(0, 1)

        query = self.turn(project("q_proj", self.heads), cosine, sine)
        keys, values = self.cache[layer]
        end = position + count
        keys[:, position:end] = self.turn(project("k_proj", self.kv_heads), cosine, sine)
        values[:, position:end] = project("v_proj", self.kv_heads)
        group = self.heads // self.kv_heads
        query = query.reshape(self.kv_heads, group * count, self.dim)
        scores = torch.matmul(query, keys[:, :end].transpose(1, 2)) / math.sqrt(self.dim)
        if count > 1:
            mask = torch.full((count, end), float("-inf")).triu(position + 1)
            scores = (scores.view(self.kv_heads, group, count, end) + mask).view(self.kv_heads, group * count, end)
        result = torch.matmul(torch.softmax(scores, dim=-1), values[:, :end])
        result = result.view(self.heads, count, self.dim).transpose(0, 1).reshape(count, -1)
        return linear(result, weights["self_attn.o_proj.weight"], weights.get("self_attn.o_proj.bias"))

    def reserve(self, tokens):
        shape = (self.kv_heads, tokens, self.dim)
        self.cache = [(torch.zeros(shape), torch.zeros(shape)) for _ in self.layers]

    def forward(self, tokens, position, only_last=False):
        angles = torch.arange(position, position + len(tokens)).float()[:, None] * self.inverse[None, :]
        angles = torch.cat((angles, angles), dim=-1)
        cosine, sine = angles.cos() * self.attention_factor, angles.sin() * self.attention_factor
        x = self.embedding[torch.tensor(tokens)]
        for index, weights in enumerate(self.layers):
            x = x + self.attend(index, weights, self.normalise(x, weights["input_layernorm.weight"]), position, cosine, sine)
            h = self.normalise(x, weights["post_attention_layernorm.weight"])
            gate = linear(h, weights["mlp.gate_proj.weight"], weights.get("mlp.gate_proj.bias"))
            up = linear(h, weights["mlp.up_proj.weight"], weights.get("mlp.up_proj.bias"))
            x = x + linear(silu(gate) * up, weights["mlp.down_proj.weight"], weights.get("mlp.down_proj.bias"))
        return linear(self.normalise(x[-1:] if only_last else x, self.norm), self.head)


def check(directories):
    for directory in directories:
        model = Llama(directory)
        with open(os.path.join(directory, "tokens.json")) as file:
            tokens = json.load(file)
        model.reserve(len(tokens))
        logits = model.forward(tokens, 0)
        with open(os.path.join(directory, "logits.bin"), "wb") as file:
            file.write(logits.contiguous().numpy().tobytes())


def measure(directory, threads):
    torch.set_num_threads(threads)
    model = Llama(directory)
    vocabulary = model.config["vocab_size"]
    model.reserve(model.config["max_position_embeddings"])
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        started = time.perf_counter()
        if words[0] == "prefill":
            model.forward([(7 * index) % vocabulary for index in range(int(words[1]))], 0, only_last=True)
        else:
            position = int(words[1])
            token = 1
            for step in range(int(words[2])):
                token = int(model.forward([token], position + step, only_last=True)[0].argmax())
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        if sys.argv[1] == "check":
            check(sys.argv[2:])
        else:
            measure(sys.argv[2], int(sys.argv[3]))
