"""The pack's addresses under wrong and large requests: a message, soon, and never a fault."""

from __future__ import annotations

import http.client
import json
import threading

import pytest
from processor_time import spent
from workflows import node

from comfy_server import Failure
from reco_core.limits import MAX_DOCUMENT, MAX_REGIONS, MAX_TEXT

PATHS = ("count", "read", "write")
SOON = 4.0  # seconds of the server's processor time, twice what an answer may take


def region(text: str = "a", **more) -> dict:
    return {"text": text, "box": [0, 0, 1, 1], **more}


def layout(*regions: dict, **more) -> dict:
    return {"caption": "a", "width": 64, "height": 64, "regions": list(regions), **more}


def post(server, path: str, body: bytes, chunked: bool = False) -> tuple[int, dict]:
    """Status and JSON of the answer, which must come soon."""
    started = spent(server)
    read = ask(server, path, body, chunked)
    assert spent(server) - started < SOON
    return read


def ask(server, path: str, body: bytes, chunked: bool = False) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        sent = iter([body[:1000], body[1000:]]) if chunked else body
        connection.request("POST", f"/api/reco/{path}", sent, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def refusal(server, path: str, body: bytes, **options) -> str:
    status, answer = post(server, path, body, **options)
    assert (status, list(answer)) == (400, ["error"])
    assert len(answer["error"]) < 500 and "\n" not in answer["error"]
    return answer["error"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"layout"',
        b"NaN",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"layout": ' * 100_000,
        b'{"layout": null, "text": null}',
        b'{"layout": [], "text": [], "width": 64, "height": 64}',
        b'{"layout": "{}", "text": 5, "width": 64, "height": 64}',
        b'{"layout": {}, "text": "a", "width": "64", "height": 64}',
        b'{"layout": {"regions": 5}, "readers": 5}',
        b'{"layout": {"caption": "", "width": 8, "height": 8, "regions": []}, "readers": [5]}',
        b'{"text": "a", "width": 1e400, "height": 64}',
        b'{"text": "a", "width": %s, "height": 64}' % (b"8" * 5000),
        b'{"text": "a", "width": true, "height": 64}',
        b'{"layout": {"regions": [], "caption": "\\ud800"}}',
        b'{"surprise": 1}',
        b'{"layout": {"caption": ""}, "text": "a", "width": 8, "height": 8, "more": 1}',
    ],
)
def test_a_wrong_request_is_answered_by_a_message(server, path, body):
    refusal(server, path, body)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_a_request_that_is_too_long_is_not_read_to_its_end(server, path, chunked):
    body = b" " * (MAX_DOCUMENT + 1)
    assert f"at most {MAX_DOCUMENT:,}" in refusal(server, path, body, chunked=chunked)


LARGE = {
    "a text of 1.9 MB": layout(region("x" * 1_900_000)),
    "40,000 regions": layout(*[region()] * 40_000),
    "the longest texts": layout(*[region("(ab)(c)(d)" * (MAX_TEXT // 10))] * 4),
    "the longest word": layout(*[region("ab" * (MAX_TEXT // 2))] * 4),
    "different words": layout(*[region(f"w{i} x{i * 7919 % 9973}") for i in range(MAX_REGIONS)]),
    "deep brackets": layout(region("(" * MAX_TEXT)),
    "embeddings": layout(*[region("a " + "embedding:b " * 1_600)] * 4),
}


@pytest.mark.parametrize("case", LARGE)
def test_large_layouts_are_counted_and_written_soon(server, case):
    body = json.dumps({"layout": LARGE[case]}).encode()
    for path in ("count", "write"):
        status, _ = post(server, path, body)
        assert status in (200, 400)
    text = json.dumps({"text": json.dumps(LARGE[case])[:1_500_000], "width": 64, "height": 64})
    post(server, "read", text.encode())


def test_the_server_answers_others_meanwhile(server):
    many = layout(*[region(f"w{i}") for i in range(MAX_REGIONS // 2)])
    body = json.dumps({"layout": many}).encode()
    asking = [threading.Thread(target=ask, args=(server, "write", body)) for _ in range(4)]
    for thread in asking:
        thread.start()
    answers = 0
    while any(thread.is_alive() for thread in asking):
        server.get("/queue")
        answers += 1
    assert answers >= 10  # if writing held it up, each would wait for one of the four


@pytest.mark.parametrize(
    "made",
    [
        node("ReCoLayoutFromText", text="<1>" * 600_000, width=64, height=64),
        node("ReCoLayoutFromText", text='{"a":' * 390_000, width=64, height=64),
        node("ReCoLayoutEditor", editor="[" * 1_900_000, width=64, height=64),
        node("ReCoLayoutFromCoco", instances="{" * 9_000_000, image="", caption=""),
        node("ReCoReorderRegions", order=" " * 100_000 + "x", others="leave out", layout=["in", 0]),
        node("ReCoReorderRegions", order="1-9999 " * 10_000, others="leave out", layout=["in", 0]),
        node("ReCoAddRegion", text=" " * 9_000_000, x=0, y=0, width=9, height=9),
    ],
    ids=lambda made: made["class_type"],
)
def test_checking_a_workflow_holds_nobody_up(server, made):
    """ComfyUI validates on the loop that answers everybody; what is long is refused by the run."""
    shown = node("PreviewAny", source=["layout", 0])
    start = node("ReCoLayoutFromText", text="a", width=64, height=64)
    prompt = {"in": start, "layout": made, "shown": shown}
    started = spent(server)
    with pytest.raises(Failure, match=r"\(node layout\)") as failure:
        server.wait(server.post_prompt(prompt))
    assert spent(server) - started < SOON
    assert len(str(failure.value)) < 1_000
