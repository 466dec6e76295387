"""The bench against a real, small peer: a plain diffusers training script."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from train.bench.command import EQUAL, PEER, BenchConfig, Speed, bench, profiled, summary, table
from train.bench.process import run_process
from train.bench.profile import PARTS

ROOT = Path(__file__).parents[2]
PEER_SCRIPT = """
import argparse, json
from pathlib import Path
import numpy as np, torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from PIL import Image
from tqdm import tqdm

parser = argparse.ArgumentParser()
parser.add_argument("--center_crop", action="store_true")
for name, kind in {
    "pretrained_model_name_or_path": str, "train_data_dir": Path, "cache_dir": Path,
    "output_dir": Path, "resolution": int, "train_batch_size": int, "max_train_steps": int,
    "learning_rate": float, "lr_scheduler": str, "lr_warmup_steps": int, "mixed_precision": str,
    "checkpointing_steps": int, "seed": int,
}.items():
    parser.add_argument("--" + name, type=kind, required=True)
args = parser.parse_args()
if args.learning_rate != 1e-5:
    raise SystemExit("not the rate it was promised")
pipe = StableDiffusionPipeline.from_pretrained(args.pretrained_model_name_or_path)
noises = DDPMScheduler.from_config(pipe.scheduler.config)
optimizer = torch.optim.AdamW(pipe.unet.parameters(), lr=args.learning_rate)
lines = map(json.loads, (args.train_data_dir / "metadata.jsonl").read_text().splitlines())
rows = list(lines)[: args.train_batch_size]
for _ in tqdm(range(args.max_train_steps), mininterval=0):
    side = (args.resolution, args.resolution)
    images = [Image.open(args.train_data_dir / r["file_name"]).resize(side) for r in rows]
    pixels = torch.tensor(np.stack(images) / 127.5 - 1).float().permute(0, 3, 1, 2)
    texts = [r["text"] for r in rows]
    ids = pipe.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
    assert ids.input_ids.shape[1] == 77
    with torch.no_grad():
        latents = pipe.vae.encode(pixels).latent_dist.sample() * pipe.vae.config.scaling_factor
        states = pipe.text_encoder(ids.input_ids).last_hidden_state
    noise, times = torch.randn_like(latents), torch.randint(1000, (len(rows),))
    predicted = pipe.unet(noises.add_noise(latents, noise, times), times, states).sample
    torch.nn.functional.mse_loss(predicted, noise).backward()
    optimizer.step()
    optimizer.zero_grad()
"""


@pytest.fixture
def peer(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text(PEER_SCRIPT, encoding="utf-8")
    return script


def test_the_table_shows_ours_beside_a_peer(peer, tmp_path):
    words = ["--steps", "3", "--rounds", "1", "--image-size", "32", "--batch-size", "2", "--tiny"]
    words += ["--ours", "cached"]
    command = [sys.executable, "-m", "train", "bench", "--peer", peer, "--output", tmp_path / "out"]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert list(result["trainers"]) == [PEER, "cached"]
    measured = result["rounds"][0]
    for name, figures in result["trainers"].items():
        ratio = measured[name]["images_per_second"] / measured[PEER]["images_per_second"]
        assert figures["times_peer"]["median"] == pytest.approx(ratio)
        assert 0.1 < figures["peak_gib"] < 8, "a process with torch in it, on a small model"
    assert (tmp_path / "out" / "bench.md").read_text() in done.stdout
    runs = tmp_path / "out" / "runs"
    assert list((runs / "cached" / "cache").glob("text-*/*"))
    assert list((runs / "cached" / "cache").glob("*/part-*"))


def test_a_bar_of_as_many_files_is_not_that_of_the_steps(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text(
        "import time\nfrom tqdm import tqdm\n"
        "for wait in (0, 0.1):\n    for _ in tqdm(range(5), mininterval=0):\n"
        "        time.sleep(wait)\n"
    )
    run = run_process([sys.executable, str(script)], tmp_path / "log.txt", 1, 5)
    assert [stamp.step for stamp in run.stamps] == [0, 1, 2, 3, 4, 5]
    steady = run.steady("the peer")
    assert steady.step == 3 and steady.wall > 0.2


def test_ratios_are_of_the_same_round():
    rounds = [
        {PEER: Speed(2.0, 4.0, 2**30), EQUAL: Speed(3.0, 8.0, 2**31)},
        {PEER: Speed(1.0, 4.0, 2**30), EQUAL: Speed(1.5, 4.0, 2**31)},
        {PEER: Speed(9.0, 4.0, 2**30), EQUAL: Speed(9.0, 6.0, 2**31)},
    ]
    ours = summary(rounds)["trainers"][EQUAL]
    assert ours["images_per_second"] == {"median": median([3, 1.5, 9]), "min": 1.5, "max": 9}
    assert ours["times_peer"] == {"median": 1.5, "min": 1.0, "max": 1.5}
    assert ours["times_peer_by_cpu"] == {"median": 1.5, "min": 1.0, "max": 2.0}
    assert "| 1.50 (1.00..2.00) | 2.00 |" in table({EQUAL: ours})


def test_a_peer_that_fails_is_quoted(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text("raise SystemExit('needs a licence')", encoding="utf-8")
    with pytest.raises(ValueError, match="needs a licence"):
        bench(BenchConfig(script, tmp_path / "out", tiny=True, image_size=32))


def test_a_peer_without_a_progress_bar_is_named(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text("print('done')", encoding="utf-8")
    with pytest.raises(ValueError, match="peer shows no progress bar of 12 steps"):
        bench(BenchConfig(script, tmp_path / "out", tiny=True, image_size=32, steps=10))


def test_the_profile_finds_every_part_of_a_step(tmp_path, monkeypatch):
    monkeypatch.setattr("train.bench.command.keep_memory", lambda: None)  # torch is here already
    small = {"steps": 2, "image_size": 32, "batch_size": 2, "tiny": True}
    rows = [
        line.split("|") for line in profiled(BenchConfig(Path(), tmp_path, **small)).split("\n")
    ]
    shares = {row[1].strip(): float(row[2].strip(" %")) for row in rows if "%" in row[-2:][0]}
    assert [part for part in PARTS if not shares[part] > 0] == []
    assert sum(shares[part] for part in (*PARTS, "the rest")) == pytest.approx(100, abs=0.5)
    assert shares["the rest"] >= 0 and shares["`aten::mkldnn_convolution`"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rounds": 0}, "--rounds 0"), ({"image_size": 100}, "--image-size 100")],
)
def test_options_that_cannot_work_are_refused(options, message, peer, tmp_path):
    with pytest.raises(ValueError, match=message):
        bench(BenchConfig(peer, tmp_path / "out", **options))
