"""The tiny model made wider, so that reading costs what it costs beside writing on a GPU.

Run with the engine's own Python: `python live_model.py MODEL FOLDER`. All that is learnt or bent in MODEL,
its words and the pull towards long ones, stays; its layers are others, with random weights. Attention is as
narrow as it can be, since this engine's attention asks anew for all that it has in memory, too: what is paid
per token that is read, and saved by memory, is the rest of the layer.
"""

# mypy: disable-error-code="import-not-found"
# (its imports are in the engine's virtual environment)

import sys

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

WIDER = {
    "num_hidden_layers": 1,
    "intermediate_size": 32_768,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 32,
}
"""13 million weights in the layer: one core reads 1,700 tokens a second. A step of writing, for which it reads
each weight once, takes 10 ms alone and 12 for three, half of it the engine's own; a further layer adds two."""


def widened(folder: str) -> LlamaForCausalLM:
    torch.manual_seed(0)
    tiny = LlamaForCausalLM.from_pretrained(folder)
    wide = LlamaForCausalLM(LlamaConfig.from_pretrained(folder, **WIDER))
    wide.model.embed_tokens, wide.lm_head = tiny.model.embed_tokens, tiny.lm_head
    with torch.no_grad():
        for layer in wide.model.layers:  # the bent direction passes as it is
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
    return wide


def main() -> None:
    source, folder = sys.argv[1:]
    disable_progress_bar()
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    widened(source).save_pretrained(folder)


if __name__ == "__main__":
    main()
