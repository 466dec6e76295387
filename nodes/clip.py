"""ReCo's text encoder as ComfyUI classes: a tokenizer that understands layouts and ReCo prompts,
and CLIP's text model with the longer token and position tables."""

import logging
from collections.abc import Mapping
from functools import partial

import comfy.sd
import torch
from comfy.clip_model import CLIPTextModel
from comfy.sd1_clip import SD1ClipModel, SD1Tokenizer, SDClipModel, SDTokenizer
from comfy.supported_models_base import ClipTarget
from comfy.utils import calculate_parameters, state_dict_prefix_replace

from ..reco_core import (
    BOS_ID,
    EOS_ID,
    CheckpointInfo,
    Layout,
    PositionVocabulary,
    TokenSequence,
    build_sequence,
    fit_layout,
    normalize_text,
    parse_prompt,
)
from ..reco_core.checkpoint import reco_metadata
from ..reco_core.facts import FACTS, Facts, facts_of
from .report import name_regions

UNBOUNDED = 1 << 30  # one chunk, whatever its length: the sequence is cut as a whole, not by text


class NormalizingTokenizer:
    """CLIP's tokenizer behind ReCo's text normalisation.

    SDTokenizer calls it on the plain spans that remain once prompt weights and `embedding:` names
    are parsed, so that neither loses its case or sign.
    """

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer

    def __call__(self, text: str):
        return self._tokenizer(normalize_text(text))

    def __getattr__(self, name: str):
        return getattr(self._tokenizer, name)


class TextTokenizer(SDTokenizer):
    """One text -> [BOS, ..., EOS] of (token id or embedding vector, weight), unpadded and uncut."""

    def __init__(self, embedding_size: int, embedding_directory=None, tokenizer_data=None):
        super().__init__(
            max_length=UNBOUNDED,
            pad_to_max_length=False,
            embedding_directory=embedding_directory,
            embedding_size=embedding_size,
        )
        self.tokenizer = NormalizingTokenizer(self.tokenizer)


class ReCoTokenizer(SD1Tokenizer):
    """Layouts and prompts -> one chunk of exactly the checkpoint's length, in ComfyUI's token form.

    It is reached through `clip.tokenizer`, which clones of a CLIP share; `info` describes the
    checkpoint, and `facts` are what ComfyUI saves of it with the text encoder.
    """

    info: CheckpointInfo
    facts: Facts | None
    vocabulary: PositionVocabulary

    def __init__(self, embedding_directory=None, tokenizer_data=None):
        self.info = tokenizer_data["reco_info"]
        self.facts = tokenizer_data.get("reco_facts")
        self.vocabulary = PositionVocabulary(self.info.num_bins)
        text_tokenizer = partial(TextTokenizer, self.info.text_width)
        super().__init__(embedding_directory, tokenizer=text_tokenizer)
        offset, bins = self.vocabulary.offset, range(self.info.num_bins)
        self.clip_l.inv_vocab.update({offset + number: f"<bin{number:03d}>" for number in bins})

    def state_dict(self) -> dict[str, torch.Tensor]:
        """What ComfyUI saves of a tokenizer beside the weights of its text encoder."""
        return {f"{self.clip}.{FACTS}": self.facts.tensor()} if self.facts else {}

    def tokenize_with_weights(self, text: Layout | str, return_word_ids=False, **kwargs):
        """{"l": [[(token id or vector, weight), ...]]} of one chunk.

        A string is read as a ReCo prompt, and one without position tokens as a plain caption.
        What does not fit is left out, whole regions at a time, with a warning in the log.
        """
        layout = parse_prompt(text, self.vocabulary) if isinstance(text, str) else text
        options = {name: kwargs[name] for name in ("disable_weights",) if name in kwargs}
        layout, dropped = self.fit(layout, **options)
        if dropped:
            logging.warning(
                f"ReCo: the prompt is longer than the {self.info.max_length} tokens this "
                f"checkpoint reads; left out: {name_regions(dropped)}."
            )
        sequence = self.sequence(layout, **options)
        if not sequence.caption_fits:
            logging.warning(
                f"ReCo: the caption is longer than the {self.info.max_length} tokens this "
                "checkpoint reads; its end was cut off."
            )
        items = _with_word_ids(sequence) if return_word_ids else list(sequence.ids)
        return {self.clip_name: [items]}

    def sequence(self, layout: Layout, max_length: int | None = None, **options) -> TokenSequence:
        """The token sequence of a layout, cut to the checkpoint's length or to max_length."""
        tokenize = partial(self._tokenize_text, **options)
        length = self.info.max_length if max_length is None else max_length
        return build_sequence(layout, tokenize, length, self.vocabulary)

    def fit(self, layout: Layout, **options) -> tuple[Layout, dict[int, str]]:
        """The layout with the whole regions that fit, and the others: {index: text}."""
        tokenize = partial(self._tokenize_text, **options)
        fitted, dropped = fit_layout(layout, tokenize, self.info.max_length, self.vocabulary)
        return fitted, {index: layout.regions[index].text for index in dropped}

    def _tokenize_text(self, text: str, **options) -> list:
        return self.clip_l.tokenize_with_weights(text, **options)[0]


def _with_word_ids(sequence: TokenSequence) -> list[tuple]:
    """Items with a third member: 0 for what is not a word, else the number of the caption or
    region it belongs to, counted from 1."""
    numbers = [0] * len(sequence.ids)
    spans = (sequence.caption_span, *sequence.region_spans)
    for number, (start, stop) in enumerate(spans, start=1):
        for position in range(start, stop):
            if _is_word(sequence.ids[position][0]):
                numbers[position] = number
    return [(*item, number) for item, number in zip(sequence.ids, numbers, strict=True)]


def _is_word(token) -> bool:
    return not isinstance(token, int) or token < min(BOS_ID, EOS_ID)


def text_config(info: CheckpointInfo) -> dict:
    """The Hugging Face style configuration of a checkpoint's text encoder."""
    return {
        "num_hidden_layers": info.text_layers,
        "hidden_size": info.text_width,
        "num_attention_heads": info.text_heads,
        "intermediate_size": info.text_intermediate,
        "hidden_act": "quick_gelu",
        "max_position_embeddings": info.max_length,
        "vocab_size": PositionVocabulary().offset + info.num_bins,
        "eos_token_id": EOS_ID,
    }


class ReCoTextModel(CLIPTextModel):
    """CLIP's text model with a token table of `vocab_size` rows, which ComfyUI's own ignores."""

    def __init__(self, config_dict, dtype, device, operations):
        super().__init__(config_dict, dtype, device, operations)
        rows, width = config_dict["vocab_size"], config_dict["hidden_size"]
        self.set_input_embeddings(operations.Embedding(rows, width, dtype=dtype, device=device))


class ReCoClipL(SDClipModel):
    """ComfyUI's runner around the text model: weights, embeddings, clip skip."""

    def __init__(self, info: CheckpointInfo, device="cpu", dtype=None, model_options=None):
        super().__init__(
            device=device,
            dtype=dtype,
            max_length=info.max_length,
            textmodel_json_config=text_config(info),
            model_class=ReCoTextModel,
            return_projected_pooled=False,
            model_options=model_options or {},
        )


class ReCoClipModel(SD1ClipModel):
    """Keeps SD1's attribute names (`clip_l`), so that LoRA and ControlNet keys map."""

    def __init__(self, info: CheckpointInfo, device="cpu", dtype=None, model_options=None):
        clip_l = partial(ReCoClipL, info)
        super().__init__(device, dtype, model_options=model_options or {}, clip_model=clip_l)


def build_clip(
    state_dict: dict,
    info: CheckpointInfo,
    embedding_directory: list[str] | None = None,
    model_options: dict | None = None,
    disable_dynamic: bool = False,
) -> comfy.sd.CLIP:
    """ComfyUI's CLIP around a ReCo text encoder.

    Takes its weights out of state_dict, whose keys are those of a single-file checkpoint.
    """
    prefixes = {"cond_stage_model.": "clip_l."}
    facts = facts_of(state_dict, info.metadata | reco_metadata(info))
    weights = state_dict_prefix_replace(state_dict, prefixes, filter_keys=True)
    found = {key: weight.shape for key, weight in weights.items()}
    target = ClipTarget(ReCoTokenizer, ReCoClipModel)
    target.params = {"info": info}
    clip = comfy.sd.CLIP(
        target,
        embedding_directory=embedding_directory,
        tokenizer_data={"reco_info": info, "reco_facts": facts},
        parameters=calculate_parameters(weights),
        state_dict=weights,
        model_options=model_options or {},
        disable_dynamic=disable_dynamic,
    )
    text_model = clip.cond_stage_model.clip_l.transformer.text_model
    check_complete("text encoder", text_model, "clip_l.transformer.text_model.", found)
    return clip


def check_complete(
    part: str, module: torch.nn.Module, prefix: str, found: Mapping[str, torch.Size]
) -> None:
    """Raise ValueError when a file lacked weights of a module, or had others than it takes.

    Call it once the module is loaded: before that ComfyUI may hold no weights (comfy/ops.py), and
    in loading it replaces missing ones by zeros and takes any shape.

    found: shapes of the file's weights, from before they were loaded.
    """
    wanted = _loaded_shapes(module)
    missing = [name for name in wanted if prefix + name not in found]
    if missing:
        raise ValueError(
            f"The checkpoint is incomplete: its {part} lacks {len(missing)} of its weights, for "
            f"instance {missing[0]!r}. Fetch or convert it again."
        )
    for name, shape in wanted.items():
        if found[prefix + name] != shape:
            raise ValueError(
                f"The checkpoint's {part} has a weight {name!r} of shape "
                f"{tuple(found[prefix + name])}, and ComfyUI needs {tuple(shape)}. Fetch or "
                "convert it again."
            )


def _loaded_shapes(module: torch.nn.Module) -> dict[str, torch.Size]:
    """Shapes by name of a loaded module's weights, of layers that take any shape the right one."""
    shapes = {name: weight.shape for name, weight in module.state_dict().items()}
    for name, layer in module.named_modules():
        if isinstance(layer, torch.nn.Linear):
            shapes[f"{name}.weight"] = torch.Size((layer.out_features, layer.in_features))
        elif isinstance(layer, torch.nn.Embedding):
            shapes[f"{name}.weight"] = torch.Size((layer.num_embeddings, layer.embedding_dim))
    return shapes
