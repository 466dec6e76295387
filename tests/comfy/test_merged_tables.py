"""CLIPs whose tables a merge has spoiled are refused by name, in the graph and from a file."""

from pathlib import Path

import pytest
from random_checkpoint import TEXT_PREFIX, Size, random_state_dict
from safetensors.torch import load_file, save_file

from reco_core.checkpoint_file import read_checkpoint, write_checkpoint

METADATA = {"format": "reco", "unet_heads": "4", "text_heads": "2", "image_size": "128"}
PLAIN_SHAPE = "token_embedding is of another shape (49408 x 64 instead of 50408 x 64)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """ReCo checkpoints of one size, of other sizes, and a plain one."""
    folder = tmp_path_factory.mktemp("merges")
    sizes = {
        "reco": (Size(), 0),
        "other": (Size(), 1),
        "few": (Size(num_bins=100), 2),
        "short": (Size(max_length=154), 3),
        "plain": (Size(num_bins=0, max_length=77), 4),
    }
    for name, (size, seed) in sizes.items():
        weights = random_state_dict(size, seed=seed)
        write_checkpoint(folder / f"{name}.safetensors", weights, METADATA if size.num_bins else {})
    return folder


FIT = {
    "unmerged": [],
    "an average": [["CLIPMergeSimple", "other", 0.6]],
    "an average of itself": [["CLIPMergeSimple", "reco", 0.1]],
    "a difference added": [["CLIPMergeSubtract", "other", 1.0], ["CLIPMergeAdd", "other"]],
    "all of the first": [["CLIPMergeSimple", "other", 1.0]],
    "nothing of a plain one": [["CLIPMergeSimple", "plain", 1.0]],
    "all of the second": [["CLIPMergeSimple", "other", 0.0]],
}


@pytest.mark.parametrize("merge", FIT)
def test_an_average_of_reco_clips_is_used(inside, folder, merge):
    assert inside("merged_clip", folder=str(folder), merges=FIT[merge])["refused"] == ""


SPOILED = {
    "a plain CLIP": ([["CLIPMergeSimple", "plain", 0.7]], PLAIN_SHAPE),
    "a plain CLIP added": ([["CLIPMergeAdd", "plain"]], PLAIN_SHAPE),
    "a plain CLIP subtracted": ([["CLIPMergeSubtract", "plain", 0.5]], PLAIN_SHAPE),
    "a plain CLIP, then a fitting one": (
        [["CLIPMergeSimple", "plain", 0.9], ["CLIPMergeSimple", "other", 0.5]],
        PLAIN_SHAPE,
    ),
    "fewer position tokens": ([["CLIPMergeSimple", "few", 0.5]], "(49508 x 64 instead of 50408"),
    "a shorter sequence": (
        [["CLIPMergeSimple", "short", 0.5]],
        "position_embedding is of another shape (154 x 64 instead of 308 x 64)",
    ),
    "a sum of two": ([["CLIPMergeAdd", "other"]], "multiplies its token_embedding by 2"),
    "a difference": ([["CLIPMergeSubtract", "other", 1.0]], "token_embedding by 0"),
    "half a difference": ([["CLIPMergeSubtract", "other", 0.5]], "token_embedding by 0"),
}


@pytest.mark.parametrize("merge", SPOILED)
def test_a_merge_that_spoils_the_tables_is_refused_by_name(inside, folder, merge):
    merges, cause = SPOILED[merge]
    assert cause in inside("merged_clip", folder=str(folder), merges=merges)["refused"]


@pytest.mark.parametrize("ratio", [0.99, 0.9, 0.7, 0.5, 0.1])
def test_a_saved_merge_with_a_plain_clip_is_refused_on_loading(inside, folder, tmp_path, ratio):
    merges = [["CLIPMergeSimple", "plain", ratio]]
    path = tmp_path / "merged.safetensors"
    inside("merged_clip", folder=str(folder), merges=merges, save=str(path))
    with pytest.raises(ValueError, match=f"merged.safetensors: the token_.* multiplied by {ratio}"):
        read_checkpoint(path)


@pytest.mark.parametrize("ratio", [0.99, 0.5, 0.2])
def test_a_saved_average_is_read(inside, folder, tmp_path, ratio):
    path = tmp_path / "merged.safetensors"
    merges = [["CLIPMergeSimple", "other", ratio]]
    inside("merged_clip", folder=str(folder), merges=merges, save=str(path))
    assert read_checkpoint(path)[1]["text_heads"] == "2"


def test_a_saved_merge_is_found_out_by_its_position_table_too(inside, folder, tmp_path):
    path = tmp_path / "saved.safetensors"
    inside("merged_clip", folder=str(folder), merges=[], save=str(path))
    tensors = load_file(path)
    tensors[f"{TEXT_PREFIX}embeddings.position_embedding.weight"] *= 0.8
    save_file(tensors, path)
    with pytest.raises(ValueError, match="position_embedding .* multiplied by 0.8"):
        read_checkpoint(path)
