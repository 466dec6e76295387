"""One real ComfyUI server and one ComfyUI without a server, shared by the tests in this folder."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path.append(str(HERE))

from inside import Inside  # noqa: E402
from random_checkpoint import CLIP_VOCABULARY, HEADS, Size, random_state_dict  # noqa: E402
from workflows import layout_node, node  # noqa: E402

from comfy_server import (  # noqa: E402
    FETCHED_COMFYUI,
    PACK,
    ComfyServer,
    Failure,
    given_comfyui,
)
from reco_core.checkpoint_file import write_checkpoint  # noqa: E402

STOCK_LOADER = "stock_loader.py"
TINY = "reco-tiny.safetensors"
TINY_METADATA = {
    "format": "reco",
    "unet_heads": "4",
    "text_heads": "2",
    "words": json.dumps(["a", "and", "blue", "circle", "red", "square"]),
}
TEXT = "cond_stage_model.transformer.text_model."
TOKEN_TABLE = f"{TEXT}embeddings.token_embedding.weight"


class CodeInAPickle:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def lora() -> dict[str, torch.Tensor]:
    """A LoRA of rank 1 on one matrix of the tiny text encoder."""
    name = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    width = Size().text_width
    return {
        f"{name}.lora_up.weight": torch.randn(4 * width, 1),
        f"{name}.lora_down.weight": torch.randn(1, width),
        f"{name}.alpha": torch.tensor(1.0),
    }


@pytest.fixture(scope="session")
def comfyui() -> Path:
    return given_comfyui() or FETCHED_COMFYUI


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory) -> Path:
    """ComfyUI's base directory, with a tiny ReCo checkpoint and files that are none."""
    folder = tmp_path_factory.mktemp("comfyui")
    checkpoints = folder / "models" / "checkpoints"
    checkpoints.mkdir(parents=True)
    weights = random_state_dict(Size())
    write_checkpoint(checkpoints / TINY, weights, TINY_METADATA)
    whole = (checkpoints / TINY).read_bytes()
    (checkpoints / "truncated.safetensors").write_bytes(whole[: len(whole) // 2])
    plain = {**weights, TOKEN_TABLE: weights[TOKEN_TABLE][:CLIP_VOCABULARY]}
    write_checkpoint(checkpoints / "plain-sd1.safetensors", plain, HEADS)
    parts = {"unet": "model.diffusion_model.out.", "text": f"{TEXT}final_layer_norm."}
    for name, part in parts.items():
        some = {key: weight for key, weight in weights.items() if not key.startswith(part)}
        write_checkpoint(checkpoints / f"incomplete-{name}.safetensors", some, TINY_METADATA)
    (folder / "models" / "loras").mkdir()
    save_file(lora(), folder / "models" / "loras" / "lora.safetensors")
    sdxl = {"conditioner.embedders.0.transformer.text_model.final_layer_norm.bias": torch.zeros(4)}
    write_checkpoint(checkpoints / "foreign.safetensors", sdxl, {})
    (folder / "custom_nodes").mkdir()
    loader = f"import sys\nsys.path.append({str(HERE)!r})\nfrom stock_loader import *\n"
    (folder / "custom_nodes" / STOCK_LOADER).write_text(loader, "utf-8")
    code = {"state_dict": weights, "extra": CodeInAPickle(folder / "code-has-run")}
    torch.save(code, checkpoints / "code.ckpt")
    return folder


@pytest.fixture(scope="session")
def tiny(base_dir: Path) -> Path:
    return base_dir / "models" / "checkpoints" / TINY


@pytest.fixture(scope="session")
def server(comfyui: Path, base_dir: Path):
    # Without a cache every workflow is computed anew, also one that ran before.
    flags = ["--cache-none", "--whitelist-custom-nodes", PACK, STOCK_LOADER]
    with ComfyServer(base_dir, flags, comfyui=comfyui) as running:
        yield running


@pytest.fixture(scope="session")
def inside(comfyui: Path):
    process = Inside(comfyui, "--fp32-text-enc")
    yield process
    process.close()


@pytest.fixture
def run(server):
    """Run an API-format workflow: {node id: (H, W, 3) array of its first image}, history."""

    def run_workflow(workflow: dict) -> tuple[dict[str, np.ndarray], dict]:
        entry = server.wait(server.post_prompt(workflow))
        images = {
            node: np.asarray(Image.open(io.BytesIO(server.view(output["images"][0]))))
            for node, output in entry["outputs"].items()
            if "images" in output
        }
        return images, entry

    return run_workflow


@pytest.fixture
def boxes_of(server):
    """Run a workflow in API format: the boxes, elements and texts of its node named layout."""

    def run_and_read(**nodes):
        shown = {
            name: node("PreviewAny", source=["to_boxes", index])
            for index, name in enumerate(("bboxes", "elements", "texts"))
        }
        to_boxes = node("ReCoLayoutToBoxes", layout=["layout", 0])
        outputs = server.wait(server.post_prompt({**nodes, "to_boxes": to_boxes, **shown}))
        bboxes, elements, texts = (outputs["outputs"][name]["text"][0] for name in shown)
        (frame,) = json.loads(bboxes)
        return frame, json.loads(elements), texts

    return run_and_read


@pytest.fixture
def refused(boxes_of):
    """Check that a workflow's node named layout is refused for a cause; ComfyUI lives on."""

    def check(nodes: dict, cause: str) -> None:
        with pytest.raises(Failure, match=cause) as failure:
            boxes_of(**nodes)
        assert "(node layout)" in str(failure.value)
        boxes_of(layout=layout_node())

    return check
