#!/usr/bin/env python3
"""Trains the small model that the quality of codecs is measured with, on processors alone.

    OMP_NUM_THREADS=2 /usr/bin/python3 benchmarks/quality/train.py --out benchmarks/quality/model

A model of the Llama family (RMSNorm, RoPE, GQA, SwiGLU, tied head) of 2.4 M parameters learns three kinds of text that this script makes itself:
pairs of key and value with questions behind them, a story with pass keys in it and questions behind it, and stories alone. Keys, values and words are
single tokens. It is seeded: the same machine and version of PyTorch give the same weights. It goes on from its checkpoint when it is started again.
Needs Debian's python3-torch, and libopenblas0 for a BLAS worth the name.
"""
import argparse
import json
import math
import os
import struct
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

# ---------------------------------------------------------------- words

KEYS = [f" {a}{b}" for a in ("ba", "de", "fi", "go", "hu", "ka", "le", "mi") for b in ("bor", "dan", "fel", "gim", "hol", "kun", "lar", "mon", "nes", "pir", "rok", "sut", "tav", "ven", "wix", "zad")]
VALUES = [f" {number}" for number in range(100, 228)]
NAMES = [" Anna", " Ben", " Clara", " David", " Emma", " Felix", " Greta", " Hugo"]
ANIMALS = [" cat", " dog", " horse", " bird", " fox", " sheep", " mouse", " goat"]
ADJECTIVES = [" small", " old", " quiet", " brown", " happy", " tired", " young", " clever"]
PLACES = [" garden", " house", " river", " forest", " field", " street", " barn", " hill"]
TIMES = [" morning", " evening", " night", " day"]
PAST = [" saw", " followed", " liked", " found", " called", " fed", " watched", " helped"]
OTHERS = [" The", " the", " a", " in", " near", " behind", " and", " then", " went", " to", " One", " was", " because", " it", " hungry", " home",
          " pass", " key", " of", " is", " What", " Remember", " ?", " .", " ,", " :", " she", " he", " slept", " all"]
WORDS = OTHERS + NAMES + ANIMALS + ADJECTIVES + PLACES + TIMES + PAST + KEYS + VALUES
MARKS = ["<begin>", "<end>"]
FIRST_WORD = 256 + len(MARKS)
TOKEN = {word: FIRST_WORD + index for index, word in enumerate(WORDS)}
BEGIN = 256
VOCABULARY = (FIRST_WORD + len(WORDS) + 15) // 16 * 16
KEY0, VALUE0 = TOKEN[KEYS[0]], TOKEN[VALUES[0]]


def ids(*words):
    return [TOKEN[word] for word in words]


# ---------------------------------------------------------------- text

class Random:
    """SplitMix64: the same numbers in any language."""

    def __init__(self, seed):
        self.state = seed & (2**64 - 1)

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return z ^ (z >> 31)

    def below(self, bound):
        return (self.next() >> 33) % bound

    def pick(self, items):
        return items[self.below(len(items))]

    def some(self, count, bound):
        """So many different numbers below a bound, in random order."""
        numbers = list(range(bound))
        for index in range(count):
            other = index + self.below(bound - index)
            numbers[index], numbers[other] = numbers[other], numbers[index]
        return numbers[:count]


def sentence(random):
    """One of five forms, with who and where at random."""
    name, animal, other = random.pick(NAMES), random.pick(ANIMALS), random.pick(ANIMALS)
    adjective, place, past = random.pick(ADJECTIVES), random.pick(PLACES), random.pick(PAST)
    form = random.below(5)
    if form == 0:
        return ids(" The", adjective, animal, past, " a", other, " in", " the", place, " .")
    if form == 1:
        return ids(" One", random.pick(TIMES), name, past, " the", adjective, animal, " .")
    if form == 2:
        return ids(name, " went", " to", " the", place, " and", " then", past, " a", animal, " .")
    if form == 3:
        return ids(" The", animal, " slept", " near", " the", place, " all", random.pick(TIMES), " .")
    return ids(name, past, " the", animal, " because", " it", " was", random.pick([" hungry", " tired", " happy"]), " .")


def story(random, length):
    tokens = []
    while len(tokens) < length:
        tokens += sentence(random)
    return tokens[:length]


def pairs(random, length):
    """Keys with their values, then the keys again in another order. Targets: the values of the second half."""
    count = min(len(KEYS), (length - 1) // 4)
    keys, values = random.some(count, len(KEYS)), random.some(count, len(VALUES))
    filler = story(random, length - 1 - 4 * count)
    tokens, scored = [BEGIN], [False]
    for key, value in zip(keys, values):
        tokens += [KEY0 + key, VALUE0 + value]
        scored += [False, False]
    tokens += filler
    scored += [False] * len(filler)
    for index in random.some(count, count):
        tokens += [KEY0 + keys[index], VALUE0 + values[index]]
        scored += [False, True]
    return tokens, scored


def passkeys(random, length, most=8):
    """A story with pass keys in random places, then a question for each. Targets: the pass keys that are asked for."""
    count = max(1, min(most, (length - 1) // 28))
    keys, values = random.some(count, len(KEYS)), random.some(count, len(VALUES))
    notes = [ids(" Remember", " :", " the", " pass", " key", " of", KEYS[key], " is", VALUES[value], " .") for key, value in zip(keys, values)]
    questions = [ids(" What", " is", " the", " pass", " key", " of", KEYS[keys[index]], " ?", VALUES[values[index]], " .") for index in random.some(count, count)]
    room = length - 1 - sum(len(note) for note in notes) - sum(len(question) for question in questions)
    text = story(random, room)
    places = sorted(random.below(room + 1) for _ in range(count))
    tokens, scored, at = [BEGIN], [False], 0
    for place, note in zip(places, notes):
        tokens += text[at:place] + note
        at = place
    tokens += text[at:]
    scored += [False] * (len(tokens) - 1)
    for question in questions:
        tokens += question
        scored += [False] * (len(question) - 2) + [True, False]
    return tokens, scored


KINDS = {"pairs": pairs, "passkey": passkeys, "story": lambda random, length: ([BEGIN] + story(random, length - 1), [False] * length)}


def make(kind, seed, length):
    """Tokens, and which of them are answers."""
    tokens, scored = KINDS[kind](Random(seed * 3 + list(KINDS).index(kind)), length)
    assert len(tokens) == length and len(scored) == length
    return tokens, scored


# ---------------------------------------------------------------- model

SHAPE = dict(hidden=256, layers=4, heads=8, kv_heads=4, ffn=512, theta=10000.0, eps=1e-5)


class Attention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.heads, self.kv_heads, self.width = s["heads"], s["kv_heads"], s["hidden"] // s["heads"]
        self.q_proj = nn.Linear(s["hidden"], s["hidden"], bias=False)
        self.k_proj = nn.Linear(s["hidden"], self.kv_heads * self.width, bias=False)
        self.v_proj = nn.Linear(s["hidden"], self.kv_heads * self.width, bias=False)
        self.o_proj = nn.Linear(s["hidden"], s["hidden"], bias=False)

    def forward(self, x, cos, sin, mask):
        b, t, _ = x.shape
        q = turn(self.q_proj(x).view(b, t, self.heads, self.width).transpose(1, 2), cos, sin)
        k = turn(self.k_proj(x).view(b, t, self.kv_heads, self.width).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(b, t, self.kv_heads, self.width).transpose(1, 2)
        group = self.heads // self.kv_heads
        k = k.unsqueeze(2).expand(-1, -1, group, -1, -1).reshape(b, self.heads, t, self.width)
        v = v.unsqueeze(2).expand(-1, -1, group, -1, -1).reshape(b, self.heads, t, self.width)
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(self.width) + mask, dim=-1)
        return self.o_proj((weights @ v).transpose(1, 2).reshape(b, t, -1))


def turn(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Norm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class Layer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(s["hidden"], s["eps"]), Norm(s["hidden"], s["eps"])
        self.self_attn = Attention(s)
        self.mlp = nn.ModuleDict({
            "gate_proj": nn.Linear(s["hidden"], s["ffn"], bias=False),
            "up_proj": nn.Linear(s["hidden"], s["ffn"], bias=False),
            "down_proj": nn.Linear(s["ffn"], s["hidden"], bias=False)})

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        y = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y))


class Model(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, s["hidden"])
        self.layers = nn.ModuleList(Layer(s) for _ in range(s["layers"]))
        self.norm = Norm(s["hidden"], s["eps"])
        self.shape = s
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
        for layer in self.layers:
            for matrix in (layer.self_attn.o_proj, layer.mlp["down_proj"]):
                nn.init.normal_(matrix.weight, std=0.02 / math.sqrt(2 * s["layers"]))

    def forward(self, tokens):
        t = tokens.shape[1]
        width = self.shape["hidden"] // self.shape["heads"]
        angles = torch.outer(torch.arange(t).float(), self.shape["theta"] ** (-torch.arange(0, width, 2).float() / width))
        mask = torch.full((t, t), float("-inf")).triu(1)
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, angles.cos(), angles.sin(), mask)
        return self.norm(x)

    def logits(self, hidden):
        return hidden @ self.embed_tokens.weight.T


# ---------------------------------------------------------------- training

# length, sequences a step, most steps, accuracy at which the next stage begins
STAGES = [(64, 16, 8000, 0.98), (256, 6, 2000, 0.98), (1024, 2, 1500, 0.99)]
MIX = ["pairs", "passkey", "pairs", "story", "pairs", "passkey"]


def batch(stage, step, length, count):
    tokens, weights = [], []
    for row in range(count):
        kind = MIX[(step * count + row) % len(MIX)]
        made, scored = make(kind, (stage + 1) * 10**9 + step * 1000 + row, length)
        tokens.append(made)
        # What nobody can foretell, as which key comes next, teaches nothing: pairs count by their answers alone.
        weights.append([4.0 if answer else 0.0 if kind == "pairs" else 1.0 for answer in scored])
    return torch.tensor(tokens), torch.tensor(weights)


def loss_of(model, tokens, weights):
    hidden = model(tokens[:, :-1])
    weights = weights[:, 1:].reshape(-1)
    counted = weights.nonzero().squeeze(1)
    hidden = hidden.reshape(-1, hidden.shape[-1])[counted]
    losses = F.cross_entropy(model.logits(hidden), tokens[:, 1:].reshape(-1)[counted], reduction="none")
    return (losses * weights[counted]).sum() / weights.sum()


@torch.no_grad()
def evaluate(model, kind, length, seed, sequences):
    """Share of right answers, and how many were asked; for stories the mean loss of a token."""
    right = asked = 0
    loss = 0.0
    for index in range(sequences):
        made, scored = make(kind, seed + index, length)
        tokens = torch.tensor([made])
        logits = model.logits(model(tokens[:, :-1]))[0]
        if kind == "story":
            loss += F.cross_entropy(logits, tokens[0, 1:]).item() / sequences
            continue
        answers = torch.tensor(scored[1:])
        right += (logits.argmax(-1)[answers] == tokens[0, 1:][answers]).sum().item()
        asked += int(answers.sum())
    return (loss, length * sequences) if kind == "story" else (right / asked, asked)


def rate(step, steps, peak):
    return peak * min(1, (step + 1) / 100) * (1 if step < steps * 0.7 else 0.1 + 0.9 * (steps - step) / (steps * 0.3))


def save(state, path):
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def train(options):
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    model = Model(SHAPE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.95), weight_decay=0.01)
    os.makedirs(options.work, exist_ok=True)
    path, first_stage, first_step, spent = os.path.join(options.work, "checkpoint.pt"), 0, 0, 0.0
    if os.path.exists(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first_stage, first_step, spent = state["stage"], state["step"], state["spent"]
    log = open(os.path.join(options.work, "train.log"), "a", buffering=1)

    def tell(text):
        print(text, flush=True)
        log.write(text + "\n")

    if first_stage == first_step == 0:
        tell(f"{sum(p.numel() for p in model.parameters())} parameters, vocabulary {VOCABULARY}, {torch.get_num_threads()} threads, seed {options.seed}")
    begun = time.process_time()
    for stage, (length, count, steps, goal) in list(enumerate(STAGES))[first_stage:]:
        reached = 0
        for step in range(first_step, steps):
            for group in optimizer.param_groups:
                group["lr"] = rate(step, steps, options.lr if stage == 0 else options.lr / 3)
            loss = loss_of(model, *batch(stage, step, length, count))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if (step + 1) % options.every == 0 or step + 1 == steps:
                now = spent + time.process_time() - begun
                seen = {kind: evaluate(model, kind, length, 7 * 10**8, max(2, 2048 // length)) for kind in KINDS}
                tell(f"length {length} step {step + 1} loss {loss.item():.3f} pairs {seen['pairs'][0]:.3f} passkey {seen['passkey'][0]:.3f} story {seen['story'][0]:.3f} processor {now:.0f} s")
                save(dict(model=model.state_dict(), optimizer=optimizer.state_dict(), stage=stage, step=step + 1, spent=now), path)
                reached = reached + 1 if min(seen["pairs"][0], seen["passkey"][0]) >= goal else 0
                if reached >= 2:
                    break
        first_step = 0
        save(dict(model=model.state_dict(), optimizer=optimizer.state_dict(), stage=stage + 1, step=0, spent=spent + time.process_time() - begun), path)
    return model, tell


# ---------------------------------------------------------------- files

def byte_letters():
    """The letters of byte-level vocabularies: printable bytes as they are, the others from U+0100 on."""
    letters, further = {}, 0
    for value in range(256):
        if 33 <= value <= 126 or 161 <= value <= 172 or 174 <= value <= 255:
            letters[value] = chr(value)
        else:
            letters[value] = chr(256 + further)
            further += 1
    return letters


def write_tokenizer(path):
    letters = byte_letters()
    vocabulary = {letters[value]: value for value in range(256)}
    for word in WORDS:
        vocabulary["".join(letters[value] for value in word.encode())] = TOKEN[word]
    added = [dict(id=256 + index, content=mark, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for index, mark in enumerate(MARKS)]
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<begin>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<begin>": {"id": "<begin>", "ids": [256], "tokens": ["<begin>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "ignore_merges": True, "vocab": vocabulary, "merges": []}}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(tokenizer, file, ensure_ascii=False, indent=1)


def write_config(path):
    s = SHAPE
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": s["hidden"], "intermediate_size": s["ffn"],
        "num_hidden_layers": s["layers"], "num_attention_heads": s["heads"], "num_key_value_heads": s["kv_heads"], "head_dim": s["hidden"] // s["heads"],
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": s["eps"], "rope_theta": s["theta"], "tie_word_embeddings": True,
        "attention_bias": False, "mlp_bias": False, "bos_token_id": 256, "eos_token_id": 257, "torch_dtype": "bfloat16"}
    with open(path, "w") as file:
        json.dump(config, file, indent=1)


def write_weights(model, path):
    """bfloat16 in the safetensors format: 8 bytes of header length, JSON, tensors one after the other."""
    header, chunks, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in sorted(model.state_dict().items()):
        data = tensor.to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        header["model." + name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
        chunks.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", help="folder for config.json, model.safetensors, tokenizer.json and train.log")
    parser.add_argument("--show", nargs=3, metavar=("KIND", "SEED", "LENGTH"), action="append", help="print a text of that kind as JSON, and train nothing; as often as wanted")
    parser.add_argument("--work", help="folder for the checkpoint; by default that of --out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--every", type=int, default=100, help="steps between evaluations and checkpoints")
    options = parser.parse_args()
    if options.show:
        for kind, seed, length in options.show:
            tokens, answers = make(kind, int(seed), int(length))
            print(json.dumps(dict(tokens=tokens, answers=answers)))
        return
    if not options.out:
        parser.error("--out is missing")
    options.work = options.work or options.out
    model, tell = train(options)
    os.makedirs(options.out, exist_ok=True)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).float()
    model.eval()
    for kind, sequences in (("pairs", 8), ("passkey", 64), ("story", 8)):
        result, asked = evaluate(model, kind, 1024, 9 * 10**8, sequences)
        tell(f"held out, bfloat16, length 1024: {kind} {result:.4f} over {asked}")
    write_config(os.path.join(options.out, "config.json"))
    write_tokenizer(os.path.join(options.out, "tokenizer.json"))
    write_weights(model, os.path.join(options.out, "model.safetensors"))


if __name__ == "__main__":
    main()
