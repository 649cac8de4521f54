#!/usr/bin/env python3
"""Trains the small model that the quality of codecs is measured with, on processors alone.

    OMP_NUM_THREADS=1 /usr/bin/python3 benchmarks/quality/train.py --out benchmarks/quality/model

A model of the Llama family (RMSNorm, RoPE, GQA, SwiGLU) of 2.6 M parameters learns three kinds of text that this script makes itself: pairs of key and
value with questions behind them, a story with pass keys in it and questions behind it, and stories alone. Keys, values and words are single tokens.

Recall needs two heads in a row: one that brings each token what stood before it, one that looks for the token that follows what is asked for (Olsson et
al., "In-context Learning and Induction Heads", 2022). From random weights such a pair is found after many thousands of steps or never, for half of it
gains nothing alone. So both are roughly there from the beginning (`Model.place_recall`), and training makes them good: lengths of 64, 256 and 1,024 tokens.

It is seeded: the same machine and version of PyTorch give the same weights. It goes on from its checkpoint when it is started again.
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

SHAPE = dict(hidden=256, layers=4, heads=8, kv_heads=4, ffn=512, theta=500000.0, eps=1e-5)


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
        self.lm_head = nn.Linear(s["hidden"], VOCABULARY, bias=False)
        self.shape = s
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
        for layer in self.layers:
            for matrix in (layer.self_attn.o_proj, layer.mlp["down_proj"]):
                nn.init.normal_(matrix.weight, std=0.02 / math.sqrt(2 * s["layers"]))
        self.place_recall()

    @torch.no_grad()
    def place_recall(self, gain=30.0, strength=0.05, match=1.5):
        """Roughly the heads that recall needs; training makes them good.

        Every embedding is a part of its own, of norm 0.8, and 0.4 of one direction that all share. Two key heads of layer 0 attend to the token one and two
        positions before: queries and keys see the shared direction alone, in the three fastest pairs of RoPE, the key turned against the query so that their
        product is largest at the distance. Their values write what stood there, seen through `content`, into a space of its own. In layer 1 one key head
        looks for the token that follows what is asked for, another for the one that stands two behind what stood before the question's last token; both bring its content.
        """
        s, width = self.shape, self.layers[0].self_attn.width
        group = s["heads"] // s["kv_heads"]
        embeddings = self.embed_tokens.weight
        shared = F.normalize(torch.randn(s["hidden"]), dim=0)
        embeddings.sub_(torch.outer(embeddings @ shared, shared))
        embeddings.div_(embeddings.norm(dim=1, keepdim=True)).mul_(0.8).add_(shared * 0.4)
        angles = s["theta"] ** (-torch.arange(0, width, 2).float() / width)
        asked = torch.zeros(width)
        asked[:3] = 1.0
        sharpness = math.sqrt(gain * math.sqrt(width)) / 10
        spaces = orthogonal(5 * width, s["hidden"])
        content, before, copied = spaces[:width], (spaces[width:2 * width], spaces[2 * width:3 * width]), (spaces[3 * width:4 * width], spaces[4 * width:])
        look, find = self.layers[0].self_attn, self.layers[1].self_attn
        for head, (wanted, offered) in enumerate(((content, before[0]), (before[0], before[1]))):
            distance = head + 1
            turned = torch.cat((asked[:width // 2] * (angles * distance).cos(), asked[:width // 2] * (angles * distance).sin()))
            keys = slice(head * width, (head + 1) * width)
            look.k_proj.weight[keys] = torch.outer(turned, shared) * sharpness + torch.randn(width, s["hidden"]) * 0.005
            look.v_proj.weight[keys] = content
            find.k_proj.weight[keys] = offered * match
            find.v_proj.weight[keys] = copied[head]
            for query in range(head * group, (head + 1) * group):
                rows = slice(query * width, (query + 1) * width)
                look.q_proj.weight[rows] = torch.outer(asked, shared) * sharpness + torch.randn(width, s["hidden"]) * 0.005
                look.o_proj.weight[:, rows] = before[head].T * strength
                find.q_proj.weight[rows] = wanted * match + torch.randn(width, s["hidden"]) * 0.005
                find.o_proj.weight[:, rows] = copied[head].T * strength

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
        return self.lm_head(hidden)


def orthogonal(rows, columns):
    return torch.linalg.qr(torch.randn(columns, rows))[0].T.contiguous()


# ---------------------------------------------------------------- training

# length, sequences a step, most steps, accuracy at which the next stage begins
STAGES = [(64, 8, 700, 0.98), (256, 4, 600, 0.98), (1024, 1, 2000, 0.99)]
MIX = ["pairs", "passkey", "pairs", "story", "pairs", "passkey"]
# What nobody can foretell, as which key comes next, teaches nothing: pairs count by their answers alone. Pass keys are few in their texts.
ANSWER_WEIGHT = {"pairs": 4.0, "passkey": 24.0, "story": 0.0}
TEXT_WEIGHT = {"pairs": 0.0, "passkey": 0.25, "story": 1.0}


def batch(stage, step, length, count):
    tokens, weights = [], []
    for row in range(count):
        kind = MIX[(step * count + row) % len(MIX)]
        made, scored = make(kind, (stage + 1) * 10**9 + step * 1000 + row, length)
        tokens.append(made)
        weights.append([ANSWER_WEIGHT[kind] if answer else TEXT_WEIGHT[kind] for answer in scored])
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


def rate(stage, step, steps, peak):
    """Rises in a stage's first steps; falls to a tenth in the last part of the last stage."""
    rising = peak * min(1, (step + 1) / 100)
    return rising if stage < len(STAGES) or step < steps * 0.7 else rising * (0.1 + 0.9 * (steps - step) / (steps * 0.3))


def step_of(model, optimizer, learning_rate, loss):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


class Run:
    """What a training has come to: model, optimizer, stage and step, kept in a checkpoint that the next start goes on from."""

    def __init__(self, options):
        torch.manual_seed(options.seed)
        torch.use_deterministic_algorithms(True)
        os.makedirs(options.work, exist_ok=True)
        self.options = options
        self.model = Model(SHAPE)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=options.lr, betas=(0.9, 0.98), weight_decay=0.01)
        self.path, self.log = os.path.join(options.work, "checkpoint.pt"), open(os.path.join(options.work, "train.log"), "a", buffering=1)
        self.stage, self.step, spent = 1, 0, 0.0
        if os.path.exists(self.path):
            state = torch.load(self.path)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.stage, self.step, spent = (state[name] for name in ("stage", "step", "spent"))
        self.begun = time.process_time() - spent
        if spent == 0:
            self.tell(f"{sum(p.numel() for p in self.model.parameters())} parameters, vocabulary {VOCABULARY}, {torch.get_num_threads()} threads, seed {options.seed}")

    def tell(self, text):
        print(text, flush=True)
        self.log.write(f"{text} processor {time.process_time() - self.begun:.0f} s\n")

    def save(self):
        state = dict(model=self.model.state_dict(), optimizer=self.optimizer.state_dict(), stage=self.stage, step=self.step, spent=time.process_time() - self.begun)
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def next_stage(self):
        self.stage, self.step = self.stage + 1, 0
        self.save()

    def learn_texts(self):
        """Texts of one length after the other, each until both kinds of questions are answered twice in a row."""
        while self.stage <= len(STAGES):
            length, count, steps, goal = STAGES[self.stage - 1]
            reached = 0
            while self.step < steps and reached < 2:
                loss = loss_of(self.model, *batch(self.stage, self.step, length, count))
                step_of(self.model, self.optimizer, rate(self.stage, self.step, steps, self.options.lr), loss)
                self.step += 1
                if self.step % self.options.every == 0 or self.step == steps:
                    seen = {kind: evaluate(self.model, kind, length, 7 * 10**8, max(2, 2048 // length))[0] for kind in KINDS}
                    self.tell(f"length {length} step {self.step} loss {loss.item():.3f} pairs {seen['pairs']:.3f} passkey {seen['passkey']:.3f} story {seen['story']:.3f}")
                    self.save()
                    reached = reached + 1 if min(seen["pairs"], seen["passkey"]) >= goal else 0
            self.next_stage()


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
        "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": s["eps"], "rope_theta": s["theta"], "tie_word_embeddings": False,
        "attention_bias": False, "mlp_bias": False, "bos_token_id": 256, "eos_token_id": 257, "torch_dtype": "bfloat16"}
    with open(path, "w") as file:
        json.dump(config, file, indent=1)


def write_weights(model, path):
    """bfloat16 in the safetensors format: 8 bytes of header length, JSON, tensors one after the other."""
    header, chunks, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in sorted(model.state_dict().items()):
        data = tensor.to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        header[name if name.startswith("lm_head.") else "model." + name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
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
    parser.add_argument("--lr", type=float, default=6e-4)
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
    run = Run(options)
    run.learn_texts()
    model = run.model
    os.makedirs(options.out, exist_ok=True)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).float()
    model.eval()
    for kind, sequences in (("pairs", 8), ("passkey", 64), ("story", 8)):
        result, asked = evaluate(model, kind, 1024, 9 * 10**8, sequences)
        run.tell(f"held out, bfloat16, length 1024: {kind} {result:.4f} over {asked}")
    write_config(os.path.join(options.out, "config.json"))
    write_tokenizer(os.path.join(options.out, "tokenizer.json"))
    write_weights(model, os.path.join(options.out, "model.safetensors"))


if __name__ == "__main__":
    main()
