"""ReCo Score Layout in a running ComfyUI, and the workflow that keeps the best of four."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from workflows import DOG_PIXELS, PETS, layout_node, node, pictures, value

from comfy_server import Failure
from reco_core.layout import Box, Layout, Region
from reco_core.score import find_by_colors, gather_scores, picture_score

BEST_OF_N = Path(__file__).parents[2] / "example_workflows" / "reco_best_of_n.json"
RED = Layout("", (Region("red wall", Box(0, 0, 0.5, 1)), Region("a dog", Box(0.5, 0, 1, 1))))


def solid(color: int) -> dict:
    return node("EmptyImage", width=128, height=64, batch_size=1, color=color)


def scored(layout: Layout = RED, **inputs) -> dict:
    """A workflow that scores a white and a red picture, in this order, and shows all it says."""
    shown = {
        name: node("PreviewAny", source=["score", place])
        for place, name in enumerate(("best_index", "number", "scores", "report"), start=2)
    }
    return {
        "layout": layout_node(layout),
        "white": solid(0xFFFFFF),
        "red": solid(0xFF0000),
        "batch": node("ImageBatch", image1=["white", 0], image2=["red", 0]),
        "score": node("ReCoScoreLayout", image=["batch", 0], layout=["layout", 0], **inputs),
        "best": node("PreviewImage", images=["score", 0]),
        "overlay": node("PreviewImage", images=["score", 1]),
        **shown,
    }


def texts(entry: dict) -> dict[str, str]:
    return {name: out["text"][0] for name, out in entry["outputs"].items() if "text" in out}


def test_colours_pick_the_best_of_a_batch(run):
    images, entry = run(scored())
    said = texts(entry)
    assert (images["best"] == (255, 0, 0)).all()
    assert (said["best_index"], said["number"]) == ("1", "0.5")
    assert json.loads(said["scores"])["pictures"][0] == {
        "score": 0.0,
        "regions": [
            {"text": "red wall", "score": 0.0, "colors": 0.0},
            {"text": "a dog", "score": None},
        ],
    }
    assert said["report"] == said["score"]
    assert said["report"].startswith(
        "best: picture 2 of 2 (index 1), score 0.50\nscores: 0.00 0.50"
    )


def test_the_overlay_is_large_enough_to_read_and_shows_a_bad_region_in_red(run):
    images, _ = run(scored())
    overlay = images["overlay"]
    assert overlay.shape == (512, 1024, 3)
    red, green, blue = overlay[500, 0].astype(int)  # the left border, of the box that is not red
    assert red > 200 and green < 50 and blue < 50
    assert (overlay[256, 256] == 255).all()


def test_boxes_that_a_detector_found_score_by_their_overlap(run):
    found = {**DOG_PIXELS, "label": "dog", "score": 0.9}
    half = {**found, "width": DOG_PIXELS["width"] // 2}
    _, entry = run(scored(PETS, bboxes=value([[half], [found]])))
    data = json.loads(texts(entry)["scores"])
    dogs = [picture["regions"][0] for picture in data["pictures"]]
    assert [dog["score"] for dog in dogs] == [0.5, 1.0]
    assert [dog["boxes"] for dog in dogs] == [0.5, 1.0]
    assert data["pictures"][1]["regions"][1]["score"] == 0  # the cat was not found
    assert data["best"] == 1


CLIP_LOADER = node("ReCoLoadCheckpoint", ckpt_name="reco-tiny.safetensors")
BAD = {
    "no evidence": (scored(PETS), "no region's text names a colour: connect a detector"),
    "no regions": (scored(Layout("a park")), "has no regions"),
    "boxes of one picture": (
        scored(PETS, bboxes=value([DOG_PIXELS])),
        r"boxes of 1 picture\(s\) and 2 picture\(s\) to score",
    ),
    "half of CLIP": (
        {**scored(clip=["loader", 1]), "loader": CLIP_LOADER},
        "both its halves, and clip_vision is not connected",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_scored_is_refused_with_what_to_connect(server, case):
    workflow, cause = BAD[case]
    with pytest.raises(Failure, match=cause) as failure:
        server.wait(server.post_prompt(workflow))
    assert "(node score)" in str(failure.value)


# CLIP, small, by ComfyUI's own classes


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory) -> str:
    """A CLIP of random weights as transformers saves it."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "projection_dim": 32, "eos_token_id": 49407}
    vision = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3}
    vision |= {"num_attention_heads": 3, "image_size": 32, "patch_size": 8, "projection_dim": 32}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=32)
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    return str(folder)


def test_clip_scores_agree_with_transformers(inside, small_clip):
    found = inside("clip_scores", folder=small_clip)
    for name, tolerance in {"cosines": 1e-5, "scores": 1e-3}.items():
        assert found[name]["found"] == pytest.approx(found[name]["expected"], abs=tolerance)
    assert len(set(found["cosines"]["found"])) == 8


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("no projection", "lacks the projection"),
        ("other size", "features have 48 numbers, and the text encoder's do not (clip_l: 32)"),
        ("reco", "the CLIP of a ReCo checkpoint"),
    ],
)
def test_texts_that_are_not_in_clips_space_are_refused(inside, small_clip, tiny, case, cause):
    assert cause in inside("clip_error", folder=small_clip, case=case, reco=str(tiny))


@pytest.mark.slow
def test_one_full_size_clip_file_serves_both_of_comfyuis_loaders(run, base_dir):
    """A file of the keys and sizes of OpenAI's ViT-L/14, as in its repository; random weights."""
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    text |= {"projection_dim": 768}
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
    vision |= {"num_attention_heads": 16, "patch_size": 14, "projection_dim": 768}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=768)
    weights = CLIPModel(config).half().state_dict()
    for folder in ("clip_vision", "text_encoders"):
        file = base_dir / "models" / folder / "vit-l.safetensors"
        file.parent.mkdir(exist_ok=True)
        save_file({name: weight.contiguous() for name, weight in weights.items()}, file)
    workflow = scored(PETS, clip_vision=["vision", 0], clip=["text", 0])
    workflow["vision"] = node("CLIPVisionLoader", clip_name="vit-l.safetensors")
    workflow["text"] = node("CLIPLoader", clip_name="vit-l.safetensors", type="stable_diffusion")
    _, entry = run(workflow)
    regions = json.loads(texts(entry)["scores"])["pictures"][0]["regions"]
    assert all(0 < region["clip"] < 1 for region in regions)


# The example workflow


def with_all_pictures(saved: dict) -> dict:
    """The workflow, also saving what the best is taken from."""
    [decode] = [node for node in saved["nodes"] if node["type"] == "VAEDecode"]
    [save] = [node for node in saved["nodes"] if node["type"] == "SaveImage"]
    slot = {"name": "images", "type": "IMAGE", "link": 100}
    more = {**save, "id": 100, "widgets_values": ["all"], "inputs": [slot, *save["inputs"][1:]]}
    decode["outputs"][0]["links"].append(100)
    link = [100, decode["id"], 0, 100, 0, "IMAGE"]
    return {**saved, "nodes": [*saved["nodes"], more], "links": [*saved["links"], link]}


def test_the_best_of_n_workflow_saves_the_picture_with_the_highest_score(server, tmp_path):
    saved = json.loads(BEST_OF_N.read_text("utf-8"))
    [editor] = [node for node in saved["nodes"] if node["type"] == "ReCoLayoutEditor"]
    layout = Layout.from_json(editor["widgets_values"][2])
    workflow = tmp_path / "best_of_n.json"
    workflow.write_text(json.dumps(with_all_pictures(saved)), "utf-8")
    made = pictures(server, workflow)
    scores = [
        picture_score(gather_scores(layout, {"colors": find_by_colors(layout, picture)}))
        for picture in made["all"]
    ]
    assert len(scores) == 4
    print("scores:", scores)
    [best] = made["best_of_n"]
    assert np.array_equal(best, made["all"][scores.index(max(scores))])
    assert max(scores) > 0.8
