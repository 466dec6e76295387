"""ComfyServer and the demo's steps on a real ComfyUI with workflows of core nodes."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import dev


def plain(color: int) -> dict:
    """A workflow that saves a picture of one colour; a repeated one would come from the cache."""
    image = {"width": 64, "height": 32, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a/b"}},
    }


UNREADABLE = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "text.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "text"}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dev.ComfyServer]:
    base_dir = tmp_path_factory.mktemp("base")
    (base_dir / "input").mkdir()
    (base_dir / "input" / "text.png").write_text("no picture")
    with dev.ComfyServer(base_dir, comfyui=dev.given_comfyui() or dev.fetch_comfyui()) as running:
        yield running
    assert running.process is not None and running.process.poll() is not None


def saved(workflow: dict, folder: Path) -> Path:
    path = folder / "workflow.json"
    path.write_text(json.dumps(workflow))
    return path


def test_a_queued_workflow_ends_with_its_picture(server: dev.ComfyServer) -> None:
    entry = server.wait(server.post_prompt(plain(0x0000FF)))
    [image] = entry["outputs"]["2"]["images"]
    assert server.view(image).startswith(b"\x89PNG")


def test_a_workflow_that_is_not_valid_names_the_node(server: dev.ComfyServer) -> None:
    invalid = plain(0)
    invalid["1"]["inputs"]["width"] = "wide"
    with pytest.raises(dev.Failure, match=r"EmptyImage \(node 1\): .*wide"):
        server.post_prompt(invalid)


def test_a_node_that_fails_is_named_with_its_message(server: dev.ComfyServer) -> None:
    with pytest.raises(dev.Failure, match=r"LoadImage \(node 1\): .*text\.png"):
        server.wait(server.post_prompt(UNREADABLE))


def test_the_demo_saves_pictures_under_the_names_of_the_workflow(
    server: dev.ComfyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "OUTPUT", tmp_path / "output")
    titles: list[str] = []
    addresses = dev.run_workflow(server, saved(plain(0xFF0000), tmp_path), titles.append)
    [picture] = dev.save_pictures(server, addresses)
    assert picture == tmp_path / "output" / "a_b.png"
    assert Image.open(picture).getpixel((0, 0)) == (255, 0, 0)
    assert titles == ["EmptyImage", "SaveImage"]


def test_the_demo_names_the_node_that_failed(server: dev.ComfyServer, tmp_path: Path) -> None:
    with pytest.raises(dev.Failure, match=r"LoadImage \(node 1\): .*text\.png") as failed:
        dev.run_workflow(server, saved(UNREADABLE, tmp_path))
    assert "\n" not in str(failed.value)


def test_a_comfyui_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "ComfyUI"
    broken.mkdir()
    (broken / "main.py").write_text("import no_such_module")
    server = dev.ComfyServer(tmp_path / "base", comfyui=broken)
    with pytest.raises(dev.Failure, match="could start: .* No module named 'no_such_module'"):
        server.__enter__()
    with pytest.raises(dev.Failure, match="could finish the workflow: .* 'no_such_module'"):
        server.wait("queued-before-it-ended")


def test_a_port_that_was_taken_meanwhile_is_changed_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports = iter([taken.getsockname()[1], dev.free_port()])
        monkeypatch.setattr("comfy_server.free_port", lambda: next(ports))
        comfyui = dev.given_comfyui() or dev.fetch_comfyui()
        with dev.ComfyServer(tmp_path, comfyui=comfyui) as server:
            assert server.get("/system_stats")
    assert not list(ports)


def test_a_silent_comfyui_is_stopped_when_its_time_is_over(tmp_path: Path) -> None:
    silent = tmp_path / "ComfyUI"
    silent.mkdir()
    (silent / "main.py").write_text("import time; time.sleep(600)")
    server = dev.ComfyServer(tmp_path / "base", comfyui=silent, timeout=0.5)
    with pytest.raises(dev.Failure, match="did not start in 0 s|did not start in 1 s"):
        server.__enter__()
    assert server.process is not None and server.process.poll() is not None


def test_a_stale_link_to_the_pack_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "custom_nodes" / "comfyui-reco"
    link.parent.mkdir()
    if os.name != "nt":
        link.symlink_to(tmp_path / "moved-away", target_is_directory=True)
    dev.comfyui_command(Path("ComfyUI"), tmp_path)
    assert (link / "dev.py").samefile(dev.__file__)
