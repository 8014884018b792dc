"""Makes the tokenizer and chat-template oracles: what the reference implementations give.

    python test/text/oracle/generate.py        (transformers 5.23.0, tiktoken 0.12, tokenizers from transformers)

Writes, beside itself: tokenizers/*.json.gz (small tokenizers trained on the repository's own rows, one per kind of
pipeline in use), tokens.json.gz (fuzz texts and their ids), templates.json.gz (conversations and their renderings).
"""

import base64, gzip, json, pathlib, random

import tiktoken
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
MODEL = ROOT / "test/models/polyglot-moe-18m"
random.seed(20251122)

rows = [
    json.loads(line)
    for name in ("languages", "multilingual-dialogues")
    for line in (ROOT / f"datasets/{name}/{name}.jsonl").read_text("utf-8").splitlines()
]
contents = [m["content"] for r in rows for m in r["messages"] if m["content"]]


def dump(path, value):
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as out:
        out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


# --- texts -----------------------------------------------------------------------------------------------------------
RANGES = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF),
          (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x3040, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x1F300, 0x1FAFF), (0x20000, 0x200FF)]
ODD = ["\u200d", "\u00a0", "\u3000", "\r\n", "\n\n\n", "   ", "\t", "\u2028", "e\u0301", "\u1e9b\u0323", "ﬁ", "İ", "ß",
       "👨‍👩‍👧", "🇬🇷", "\u0000", "<|im_end|>", "<think>", "'s", "'LL", " 12345", "½", "Ⅷ", "\ufeff", "…", "—"]


def fuzz():
    parts = []
    for _ in range(random.randint(1, 12)):
        kind = random.random()
        if kind < 0.35:
            text = random.choice(contents)
            start = random.randrange(len(text))
            parts.append(text[start : start + random.randint(1, 60)])
        elif kind < 0.7:
            low, high = random.choice(RANGES)
            parts.append("".join(chr(random.randint(low, high)) for _ in range(random.randint(1, 10))))
        else:
            parts.append(random.choice(ODD) * random.randint(1, 3))
    return "".join(parts)


texts = ["", " ", "a", *(fuzz() for _ in range(400)), *(c[:400] for c in random.sample(contents, 30))]

# --- tokenizers ------------------------------------------------------------------------------------------------------
SPECIALS = ["<|im_start|>", "<|im_end|>", "<think>"]
LLAMA_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
               r"\s+(?!\S)|\s+")


def byte_level():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA_SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(contents, trainers.BpeTrainer(vocab_size=2000, special_tokens=["<s>", *SPECIALS],
                          initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return t


def byte_fallback():
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.pre_tokenizer = pre_tokenizers.Split("▁", "isolated")
    t.train_from_iterator(contents, trainers.BpeTrainer(vocab_size=3000, limit_alphabet=600, show_progress=False,
                          special_tokens=["<unk>", "<s>", *(f"<0x{b:02X}>" for b in range(256)), *SPECIALS]))
    state = json.loads(t.to_str())
    state["pre_tokenizer"] = None
    # The bytes are vocabulary, not added tokens: training needs them declared, using them does not.
    state["added_tokens"] = [a for a in state["added_tokens"] if not a["content"].startswith("<0x")]
    state["post_processor"] = None
    return Tokenizer.from_str(json.dumps(state))


tokens = {"texts": texts, "ids": {}, "withSpecials": {}}


def record(name, encode):
    tokens["ids"][name] = [encode(text, False) for text in texts]
    with_specials = [encode(text, True) for text in texts[:40]]
    if with_specials != tokens["ids"][name][:40]:
        tokens["withSpecials"][name] = with_specials


model = AutoTokenizer.from_pretrained(MODEL)
record("polyglot-moe-18m", lambda text, special: model.encode(text, add_special_tokens=special))
for make in (byte_level, byte_fallback):
    trained = make()
    dump(HERE / f"tokenizers/{make.__name__}.json.gz", json.loads(trained.to_str()))
    fast = PreTrainedTokenizerFast(tokenizer_object=trained)
    record(make.__name__, lambda text, special: fast.encode(text, add_special_tokens=special))

# tiktoken: the byte-level tokenizer's merges as ranks, in a tiktoken.model with the pattern in the model's own Python.
alphabet = {c: b for b, c in zip(
    [*range(33, 127), *range(161, 173), *range(174, 256), *[b for b in range(256) if b not in {*range(33, 127), *range(161, 173), *range(174, 256)}]],
    [*map(chr, [*range(33, 127), *range(161, 173), *range(174, 256)]), *map(chr, range(256, 324))])}
state = json.loads(gzip.open(HERE / "tokenizers/byte_level.json.gz").read())
learned = [t for t, _ in sorted(state["model"]["vocab"].items(), key=lambda item: item[1]) if t not in ("<s>", *SPECIALS)]
pieces = sorted((bytes(alphabet[c] for c in t) for t in learned), key=lambda p: len(p) > 1)
ranks = {piece: rank for rank, piece in enumerate(pieces)}
pattern = "|".join([
    r"""[\p{Han}]+""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*""",
    r"""\p{N}{1,3}""", r""" ?[^\s\p{L}\p{N}]+[\r\n]*""", r"""\s*[\r\n]+""", r"""\s+(?!\S)""", r"""\s+"""])
specials = {**{f"<|reserved_token_{i}|>": i for i in range(len(ranks), len(ranks) + 256)}}
for offset, name in enumerate(SPECIALS):
    del specials[f"<|reserved_token_{len(ranks) + offset}|>"]
    specials[name] = len(ranks) + offset
encoding = tiktoken.Encoding("small", pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)
record("tiktoken", lambda text, _: encoding.encode(text, allowed_special="all"))
dump(HERE / "tokenizers/tiktoken.json.gz", {
    "model": "".join(f"{base64.b64encode(p).decode()} {r}\n" for p, r in ranks.items()), "pattern": pattern, "specials": SPECIALS})

# The large encodings, from the ranks that the npm package carries.
for name in ("cl100k_base", "o200k_base"):
    data = json.loads((ROOT / f"node_modules/tiktoken/encoders/{name}.json").read_text())
    large = {}
    for line in data["bpe_ranks"].split("\n"):
        _, offset, *words = line.split(" ")
        for index, word in enumerate(words):
            large[base64.b64decode(word)] = int(offset) + index
    reference = tiktoken.Encoding(name, pat_str=data["pat_str"], mergeable_ranks=large, special_tokens=data["special_tokens"])
    record(name, lambda text, _: reference.encode(text, allowed_special="all"))
dump(HERE / "tokens.json.gz", tokens)

# --- chat templates --------------------------------------------------------------------------------------------------
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Ο καιρός & \"λοιπά\"", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Θήβα", "days": 2, "deep": {"a": [1, None, True]}}}}
CONVERSATIONS = {
    "plain": {"messages": [{"role": "user", "content": "Γεια"}, {"role": "assistant", "content": "  Hello\n"}]},
    "system": {"messages": [{"role": "system", "content": "Be brief.\n"}, {"role": "user", "content": "1 < 2 & 3?"}, {"role": "assistant", "content": "Yes."},
                            {"role": "user", "content": "Sure? "}, {"role": "assistant", "content": "Yes.\n\n"}]},
    "reasoning": {"messages": [{"role": "user", "content": "A"}, {"role": "assistant", "reasoning_content": "first thought", "content": "B"},
                               {"role": "user", "content": "C"}, {"role": "assistant", "reasoning_content": "\nsecond thought\n", "content": "D"}]},
    "tools": {"tools": TOOLS, "messages": [{"role": "user", "content": "Καιρός;"}, {"role": "assistant", "content": "", "tool_calls": [CALL]},
                                           {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": "{\"temp\": 31}"},
                                           {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": "dry"},
                                           {"role": "assistant", "content": "31°"}]},
    "repeats": {"messages": [{"role": "user", "content": "ok"}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "ok user"},
                             {"role": "assistant", "content": "assistant"}]},
    "empty": {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]},
}
templates = {path.stem: path.read_text("utf-8") for path in sorted((HERE / "templates").glob("*.jinja"))}
templates["polyglot-moe-18m"] = model.chat_template
cases = []
for template_name, template in templates.items():
    for conversation_name, conversation in CONVERSATIONS.items():
        for arguments in ({}, {"enable_thinking": False, "preserve_thinking": True}):
            messages = conversation["messages"]
            if "string-arguments" in template_name:
                messages = json.loads(json.dumps(messages))
                for message in messages:
                    for call in message.get("tool_calls", []):
                        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False, separators=(",", ":"))
            case = {"template": template_name, "conversation": conversation_name, "arguments": arguments}
            try:
                case["text"] = model.apply_chat_template(messages, tools=conversation.get("tools"), chat_template=template,
                                                         tokenize=False, add_generation_prompt=False, **arguments)
            except Exception as error:  # noqa: BLE001 - what the template raises is part of the oracle
                case["error"] = str(error)
            cases.append(case)
dump(HERE / "templates.json.gz", {"templates": templates, "conversations": CONVERSATIONS, "cases": cases})
print(len(texts), "texts;", len(cases), "renderings,", sum("error" in c for c in cases), "refused")
