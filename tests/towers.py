"""Small seeded networks of transformers and open_clip, and folders with them as their libraries save them."""

import json
from pathlib import Path

import torch

PROCESSOR = {
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
    "do_normalize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "size": {"height": 32, "width": 32},
}
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 20,
}
WORDS = ["a", "cathedral", "made", "of", "coral", "cat", "reef"]


def drawn(network, seed=0):
    """`network` in eval mode, every weight moved by a seeded amount: none is 0 or 1 as it began."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return network.eval()


def saved(folder, network, processor=PROCESSOR):
    """`network` of transformers in `folder`."""
    network.save_pretrained(folder)
    if processor:
        (Path(folder) / "preprocessor_config.json").write_text(json.dumps(processor))
    return Path(folder)


def tokenizer(folder):
    """A CLIP tokenizer of a few words in `folder`."""
    from transformers import CLIPTokenizer

    letters = sorted({letter for word in WORDS for letter in word})
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges = []
    for word in WORDS:
        symbols = [*word[:-1], f"{word[-1]}</w>"]
        while len(symbols) > 1:
            pair = (symbols[0], symbols[1])
            symbols = ["".join(pair), *symbols[2:]]
            if pair not in merges:
                merges.append(pair)
                pieces.append(symbols[0])
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    made = CLIPTokenizer(vocab=vocabulary, merges=merges)
    made.save_pretrained(folder)
    return made


def clip(seed=0, words=100, **vision):
    from transformers import CLIPConfig, CLIPModel

    ends = {"bos_token_id": words - 2, "eos_token_id": words - 1, "pad_token_id": words - 1}
    config = CLIPConfig(
        text_config={**TEXT, "vocab_size": words, **ends},
        vision_config={**VISION, **vision},
        projection_dim=16,
    )
    torch.manual_seed(seed)
    return drawn(CLIPModel(config), seed)


def clip_folder(folder, seed=0, **vision):
    """A whole small CLIP with its tokenizer, and the network itself."""
    made = tokenizer(folder)
    network = clip(seed, len(made), **vision)
    saved(folder, network)
    return network
