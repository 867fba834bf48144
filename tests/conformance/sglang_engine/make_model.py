"""Make the tiny model that the real engine serves: no download, the same weights every time.

Run by `install_sglang` with the engine's own Python: `python make_model.py FOLDER`. The tokenizer is a
byte-level BPE trained on the help texts that come with Python; the model is a Llama with random weights
and one bent direction: a token's logit grows with the length of its text. So where a grammar forces the
text (see `paste_proxy/lab/sglang_server.py`), temperature 0 takes the longest token that fits, and the
text costs about as many steps as the tokenizer would need; with plain random weights it costs twice that.
"""

# mypy: disable-error-code="import-not-found"
# (its imports are in the engine's virtual environment)

import argparse
from pathlib import Path
from pydoc_data.topics import topics

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

VOCABULARY = 4096
"""Enough for whole English words; the grammar's mask and the last layer cost time in proportion to it."""
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKUP = ("<tool_call>", "</tool_call>")
"""Single tokens, as tool-calling models have them, but kept when special tokens are skipped."""
CONTEXT = 32_768
PULL = 2.0
"""Logit per byte of text: well above the noise of the random weights (about 0.3)."""
LONGEST = 12
"""Tokens of so many bytes and more are pulled alike, so that text that nothing forces still varies."""


def make_tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(MARKUP),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(topics.values(), trainer)
    core.add_tokens([AddedToken(text, special=False, normalized=False) for text in MARKUP])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=CONTEXT,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=CONTEXT,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    bend(model, tokenizer)
    return model


def bend(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Keep one dimension of the hidden state constant, and let the last layer read token length from it."""
    lengths = [min(len(tokenizer.decode([token]).encode()), LONGEST) for token in range(VOCABULARY)]
    for token in tokenizer.all_special_ids:
        lengths[token] = 0
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 1.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        model.lm_head.weight[:, 0] = torch.tensor(lengths) * (PULL / 128**0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    disable_progress_bar()
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    make_model(tokenizer).to(torch.float32).save_pretrained(folder)


if __name__ == "__main__":
    main()
