"""What a ComfyUI with its cache has the text encoder read when a layout stays or changes."""

import pytest

from comfy_server import PACK, ROOT, ComfyServer
from docs.benchmarks.encoding import passes
from docs.benchmarks.measuring import PROBE

CHECKPOINT, LENGTH = "reco-shapes.safetensors", 96


@pytest.fixture
def caching(comfyui, tmp_path):
    packs = {PACK: ROOT, "probe": PROBE}
    with ComfyServer(tmp_path, comfyui=comfyui, packs=packs) as running:
        yield running


def test_a_change_of_a_region_is_encoded_once_and_an_unchanged_layout_not_at_all(caching):
    read = passes(caching, CHECKPOINT)
    assert sorted(read["first"]) == [2, 2, LENGTH, LENGTH]  # the negative is one of them
    assert read["unchanged"] == []
    assert sorted(read["a region changed"]) == [2, 2, LENGTH]
