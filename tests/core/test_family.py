"""Families: what describes a base, and how it becomes known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reco_core.family import (
    SD1,
    Family,
    Heads,
    TextEncoder,
    families,
    family_named,
    register,
)
from reco_core.weights import find_family

(CLIP,) = SD1.encoders
UNET = "model.diffusion_model.out.2.weight"


def test_stable_diffusion_1_is_what_it_was():
    """Numbers of the released code and of ComfyUI's and diffusers' configurations."""
    assert (SD1.latent_scale, SD1.prediction, SD1.is_sized, SD1.side) == (
        0.18215,
        "eps",
        False,
        512,
    )
    assert (SD1.noise.beta_start, SD1.noise.beta_end) == (0.00085, 0.012)
    assert SD1.context_width == 768 and SD1.unet_heads.at(320) == SD1.unet_heads.at(1280) == 8
    assert CLIP.token_embedding == (
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
    )
    assert (CLIP.module, CLIP.padding, CLIP.activation) == ("clip_l", 49407, "quick_gelu")
    assert (CLIP.layer, CLIP.final_norm, CLIP.heads.at(768)) == (-1, True, 12)


def test_it_is_the_only_family_and_the_one_that_files_without_a_name_are_of():
    assert families() == (SD1,)
    assert family_named("") is family_named("sd1") is SD1
    with pytest.raises(ValueError, match="family = 'sd9' is unknown here, where .* sd1"):
        family_named("sd9")


def test_a_file_is_of_the_family_of_which_all_tables_are_there():
    assert find_family([UNET, *CLIP.tables]) is SD1
    assert find_family([UNET, *(key.replace("text_model.", "") for key in CLIP.tables)]) is SD1
    for lacking in ([UNET], [*CLIP.tables], [UNET, CLIP.token_embedding]):
        with pytest.raises(ValueError, match="not a Stable Diffusion 1.x checkpoint"):
            find_family(lacking)


def test_heads_are_counted_or_their_channels_are():
    assert Heads(8).at(64) == Heads(channels=8).at(64) == 8
    assert Heads(8).known_at(64, full=320) is None and Heads(8).known_at(320, full=320) == 8
    assert Heads(channels=16).known_at(64, full=320) == 4
    for neither_or_both in ({}, {"number": 8, "channels": 8}):
        with pytest.raises(ValueError, match="either the number of heads, or the channels"):
            Heads(**neither_or_both)


UNFIT = {
    "the same name": ({"latent_scale": 1.0}, "'sd1' has the name"),
    "the same keys": ({"name": "other"}, "the text encoders' keys of 'sd1'"),
    "two text encoders": (
        {"name": "two", "encoders": (CLIP, replace(CLIP, prefix="second."))},
        "2 text encoders, is_sized = False",
    ),
    "a UNet that is told sizes": (
        {"name": "sized", "is_sized": True, "encoders": (replace(CLIP, prefix="sized."),)},
        "1 text encoders, is_sized = True",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_family_that_cannot_be_told_apart_or_used_is_not_registered(case):
    changes, message = UNFIT[case]
    with pytest.raises(ValueError, match=message):
        register(replace(SD1, **changes))
    assert families() == (SD1,)


def test_what_is_registered_already_changes_nothing():
    register(SD1)
    assert families() == (SD1,)


def test_descriptions_that_mean_nothing_are_refused():
    for changes in ({"layer": 0}, {"final_norm": False}):
        with pytest.raises(ValueError, match="layers are counted from the end"):
            replace(CLIP, **changes)
    assert isinstance(replace(CLIP, layer=-2, final_norm=False), TextEncoder)
    for changes in ({"encoders": ()}, {"latent_scale": 0.0}, {"latent_scale": float("nan")}):
        with pytest.raises(ValueError, match="needs a text encoder, and a scale above 0"):
            replace(SD1, **changes)
    assert isinstance(SD1, Family)
