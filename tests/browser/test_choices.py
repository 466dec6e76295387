"""Choices in texts, beside those that ComfyUI's own text fields make.

Nothing is drawn here, so one renderer is enough: a field is asked what it sends to a prompt.
"""

from __future__ import annotations

import json
import random

import pytest
from comfy_page import ComfyPage

from comfy_server import PACK

SIGNS = ["{", "{", "|", "|", "}", "}", "\\", "\\", "/", "*", "//", "/*", "*/", "\n", "a", " ", "🌳"]
LOST = "\\undefined"  # what ComfyUI writes for a single backslash at the end
CHOSEN = """
async ([node, path, texts, numbers]) => {
        const { choose } = await import(path);
        const field = harness.widget(node, "text");
        const { random } = Math;
        const chosen = (place, choice) => {
            let asked = 0;
            Math.random = () => numbers[(place + asked++) % numbers.length];
            try { return [choice(), asked]; } finally { Math.random = random; }
        };
        return texts.map((text, place) => {
            field.value = text;
            return [chosen(place, () => field.serializeValue()), chosen(place, () => choose(text))];
        });
    }
"""


def random_text(chance: random.Random) -> str:
    return "".join(chance.choice(SIGNS) for _ in range(chance.randrange(40)))


@pytest.mark.parametrize("renderer", ["classic"])
def test_the_editor_chooses_as_comfyuis_own_text_fields_do(comfy: ComfyPage) -> None:
    chance = random.Random(0)
    texts = [random_text(chance) for _ in range(5000)]
    numbers = [chance.random() for _ in range(997)]
    node = comfy.add_node("CLIPTextEncode")
    path = f"/extensions/{PACK}/js/editor/choices.js"
    both = comfy.page.evaluate(CHOSEN, [node, path, texts, numbers])
    comfy.set_value(node, "text", "")
    lost = 0
    for text, ((theirs, asked), ours) in zip(texts, both, strict=True):
        if theirs.endswith(LOST):
            theirs, lost = theirs.removesuffix(LOST) + "\\", lost + 1
        assert [theirs, asked] == ours, json.dumps(text)
    assert lost < len(texts) / 5
    assert sum(asked > 2 for (_, asked), _ in both) > 400
