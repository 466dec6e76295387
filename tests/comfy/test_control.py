"""Control of regions: guidance, strengths, times, negatives, containment, joined sequences."""

from __future__ import annotations

import pytest

from comfy_server import ROOT
from reco_core.containment import HOW
from reco_core.control import Control
from reco_core.layout import Box, Layout, Region

SHAPES = str(ROOT / "models" / "reco-shapes.safetensors")
LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)
CONTAINMENTS = HOW


def layout(*controls: Control, texts=("a red circle", "a blue square")) -> str:
    boxes = (LEFT, RIGHT)
    regions = [
        Region(text, box, control=control)
        for text, box, control in zip(
            texts, boxes, (*controls, Control(), Control())[:2], strict=True
        )
    ]
    return Layout("a red circle and a blue square", tuple(regions), 128, 128).to_json()


PLAIN = layout()


@pytest.fixture
def ask(inside):
    return lambda check, *args, **kwargs: inside(
        f"control_checks.{check}", path=SHAPES, layout=args[0] if args else PLAIN, **kwargs
    )


def test_without_settings_it_is_the_plain_sampling_to_the_bit(ask):
    assert ask("difference", settings={}) == 0
    assert ask("difference", settings={"feather": 20, "contain_from": 0.5}, negative="green") == 0


@pytest.mark.parametrize(("guidance", "cfg"), [(2.0, 4.0), (0.5, 3.0), (1.7, 1.0)])
def test_region_guidance_is_the_sum_of_its_three_parts(ask, guidance, cfg):
    assert ask("guidance_by_hand", guidance=guidance, cfg=cfg) < 2e-3
    assert ask("difference", settings={"region_guidance": guidance}) > 0.1


@pytest.mark.parametrize(
    ("settings", "control", "cfg", "rows"),
    [
        ({}, Control(), 4, 2),
        ({"region_guidance": 2.0}, Control(), 4, 3),
        ({"region_guidance": 2.0}, Control(), 1, 2),
        ({"region_guidance": 0.0}, Control(), 4, 2),
        ({}, Control(strength=2), 4, 2),
        ({}, Control(start=0.2, end=0.7), 4, 2),
        ({}, Control(negative="green"), 4, 2),
        *(({"containment": how}, Control(), 4, 2) for how in CONTAINMENTS),
        ({"containment": CONTAINMENTS[1], "region_guidance": 2.0}, Control(strength=2), 4, 3),
    ],
)
def test_the_rows_of_a_step_in_one_call(ask, settings, control, cfg, rows):
    assert ask("rows", layout(control), settings=settings, cfg=cfg) == [rows] * 4


def test_each_step_gets_the_regions_that_count_then(ask):
    times = layout(Control(start=0.3), Control(end=0.6))
    assert ask("states_of_steps", times, steps=10) == [0] * 3 + [1] * 3 + [2] * 4


def test_a_step_on_a_boundary_is_of_the_later_phase_alone(ask):
    """Of the normal scheduler's three steps the second is at a half of the sampling."""
    assert ask("states_of_steps", layout(Control(start=0.5)), steps=3) == [0, 1, 1]


def test_the_stronger_a_region_the_more_the_picture_attends_to_it(ask):
    shares = [
        ask("attention", layout(Control(strength=strength)), settings={})["mean"]
        for strength in (0.1, 0.4, 1.6, 6.4)
    ]
    assert shares == sorted(shares) and shares[-1] > 3 * shares[0] > 0
    assert ask("difference", layout(Control(strength=1.6)), settings={}) > 0


def test_the_node_offers_every_containment(ask):
    assert ask("containments") == ["off", *CONTAINMENTS]


@pytest.mark.parametrize("how", CONTAINMENTS)
def test_a_contained_region_is_seen_in_its_box_alone(ask, how):
    seen = ask("attention", settings={"containment": how, "feather": 0})
    assert seen["outside"] == 0 < 0.01 < seen["inside"]


@pytest.mark.parametrize("how", CONTAINMENTS)
def test_a_contained_shape_is_seen_in_itself_alone(ask, how):
    """In the left quarter of its box, which is all of the picture."""
    regions = (Region("a red circle", Box(0, 0, 1, 1)), Region("a blue square", RIGHT))
    whole = Layout("a red circle and a blue square", regions, 128, 128).to_json()
    settings = {"containment": how, "feather": 0}
    seen = ask("attention", whole, settings=settings, shape=[255, 0, 0, 0])
    assert seen["outside"] == 0 < 0.01 < seen["inside"]
    assert ask("attention", whole, settings=settings)["outside"] > 0.01


def test_padding_is_hidden_where_it_has_read_regions(ask):
    found = ask("hidden", layout(Control(end=0.5), Control(end=0.5)), how=CONTAINMENTS[1])
    assert [len(spans) for spans in found[0]] == [1, 0]
    assert found[1] == [[]]
    [_, [spans]] = ask("hidden", layout(Control(negative="green")), how=CONTAINMENTS[1])
    assert len(spans) == 1
    assert ask("hidden", how=CONTAINMENTS[0]) == [[[]], [[]]]


def test_a_feather_lets_it_be_seen_beyond(ask):
    settings = {"containment": CONTAINMENTS[0], "feather": 32}
    assert ask("attention", settings=settings)["outside"] > 0.001


def test_containment_has_a_time(ask):
    never = {"containment": CONTAINMENTS[0], "contain_from": 0.4, "contain_until": 0.5}
    late = {"containment": CONTAINMENTS[0], "contain_from": 0.5}
    always = {"containment": CONTAINMENTS[0]}
    changes = [ask("difference", settings=settings) for settings in (never, late, always)]
    assert changes[0] == 0 < changes[1] < changes[2]


def test_what_holds_at_no_step_of_a_run_is_said_once(ask):
    """Of the normal scheduler's eight steps a run at denoise 0.5 samples the last four."""
    half = {"denoise": 0.5}
    [region] = ask("said", layout(Control(end=0.5)), **half)
    assert region == (
        "ReCo: region 1 ('a red circle') counts at no step: its start = 0 and end = 0.5 are shares "
        "of the whole noise schedule, of which this run samples 0.57 to 1.00; move them into that, "
        "or sample with a higher denoise or more steps."
    )
    bounds = {"containment": CONTAINMENTS[0], "contain_until": 0.5}
    negative = layout(Control(negative="green"))  # contained too
    [containment] = ask("said", negative, settings=bounds, **half)
    assert "containment holds at no step: contain_from = 0 and contain_until = 0.5" in containment
    assert len(ask("said", layout(Control(start=0.4, end=0.6)))) == 1  # between two steps


def test_of_what_holds_at_a_step_nothing_is_said(ask):
    bounds = {"containment": CONTAINMENTS[0], "contain_until": 0.5}
    times = layout(Control(end=0.5), Control(start=0.6))
    assert ask("said", times, settings=bounds) == []
    late = {"containment": CONTAINMENTS[0], "contain_until": 0.6}
    assert ask("said", layout(Control(end=0.6)), settings=late, denoise=0.5) == []
    assert ask("said", layout(Control(strength=0)), settings=late, denoise=0.5) == []


def test_negatives_of_regions_are_in_the_negative_in_their_boxes(ask):
    report = ask("negative_report", layout(Control(negative="green")), negative="a black circle")
    assert "region 1: 7 tokens: (0, 0) to (64, 128): green" in report
    assert "caption: 5 tokens: a black circle" in report
    off = layout(Control(strength=0, negative="green"))
    assert "region 1" not in ask("negative_report", off, negative="")


def test_more_regions_than_a_sequence_holds_are_joined_in_one_call(ask):
    many = [Region("a red circle", Box(i / 20, 0, (i + 1) / 20, 1)) for i in range(20)]
    found = ask("joined", Layout("shapes", tuple(many), 128, 128).to_json())
    assert found["states"] == [[1, 192, 128], [1, 96, 128]]
    assert found["rows"] == [2, 2]
    assert "186 of 192 tokens used, 20 regions, in 2 sequences" in found["report"]
    assert "left out" not in found["report"]
    assert "region 20: 9 tokens: (121.6, 0) to (128, 128): a red circle" in found["report"]


def many(*controls: Control) -> str:
    """Twice as many regions as a sequence holds, with two controls in turn."""
    regions = tuple(
        Region("a red circle", Box(i / 20, 0, (i + 1) / 20, 1), control=controls[i % 2])
        for i in range(20)
    )
    return Layout("", regions, 128, 128).to_json()


def test_regions_that_do_not_count_at_once_need_not_fit_together(ask):
    early, late = Control(end=0.5), Control(start=0.5)
    for overflow in ("error", "drop regions that do not fit"):
        report = ask("report", many(early, late), overflow=overflow)
        assert "from 0% to 50%: regions 1, 3, 5, 7, 9, 11, 13, 15, 17, 19\n" in report
        assert "left out" not in report


def test_what_has_no_room_in_any_part_is_told(ask):
    report = ask(
        "report", many(Control(end=0.5), Control()), overflow="drop regions that do not fit"
    )
    assert (
        "left out: region 11 (a red circle)" in report and "region 20 (a red circle)" not in report
    )


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("another model", "connect the model output of ReCo Control"),
        ("average", "averaged or joined with another"),
        ("zero out", "or zeroed out"),
        ("area", "use ConditioningSetMask in place of the area"),
    ],
)
def test_what_would_be_sampled_as_if_nothing_were_set_is_refused(ask, spoil, why):
    strong = layout(Control(strength=2, negative="green"))
    settings = {"containment": CONTAINMENTS[0]}
    assert why in ask("refusal", strong, spoil=spoil, settings=settings)
    assert ask("refusal", strong, spoil="", settings=settings) == ""


def test_what_needs_no_control_goes_with_any_model(ask):
    assert ask("refusal", spoil="another model") == ""


def test_adapters_of_image_prompts_keep_what_they_add(ask):
    left = ask("adapter_stays")
    assert left["of the adapter"] > 0.01 and left["of the bounds"] > 0.01


def test_a_lora_counts_in_its_region_alone(ask):
    found = ask("lora_of_a_region")
    assert found["with, inside"] < 1e-4 and found["without, outside"] < 1e-4
    assert found["effect"] > 0.1 and found["rows"] == [2, 2]


@pytest.mark.parametrize("x0", [4, 5, 8, 12])  # between the middles of two cells, or over one
def test_a_lora_counts_in_a_region_that_is_thinner_than_a_latent_cell(ask, tmp_path, x0):
    thin = Layout("", (Region("a line", Box(x0 / 128, 0.25, (x0 + 3) / 128, 0.75)),), 128, 128)
    cells = ask("cells_of_a_lora", thin.to_json(), folder=str(tmp_path), feather=16)
    assert max(cells[8]) >= 0.5 and max(cells[0]) == 0
    assert max(cells[8][6:]) == 0


def test_loras_of_two_regions_share_the_picture_out(ask):
    """The boxes are its halves, so that nothing is left for neither."""
    found = ask("loras_of_regions")
    assert found["hooks"] == [1, 1] and found["shares"] == [0.5, 0.5]
    assert found["sum"] == 0


def test_loras_of_overlapping_regions_add_up_where_both_are(ask):
    regions = (Region("a red circle", Box(0, 0, 0.5, 1)), Region("a dog", Box(0.25, 0, 0.75, 1)))
    found = ask("loras_of_regions", Layout("", regions, 128, 128).to_json())
    assert sorted(found["hooks"]) == [0, 1, 1, 2] and found["shares"] == [0.25] * 4
    assert found["sum"] == 0


def test_what_of_a_lora_has_no_place_is_said(ask, tmp_path):
    other, text = ask("lora_that_does_not_fit", folder=str(tmp_path))
    assert "other.safetensors has no weights of this model's UNet" in other
    assert "text.safetensors also changes the text encoder" in text


def test_each_picture_of_a_batch_keeps_its_mask_beside_a_lora(ask):
    assert ask("lora_in_a_masked_batch") == [[0.5, 0], [0.5, 0]]


def test_a_lora_that_is_not_there_is_refused_before_the_run(ask):
    none, gone, linked = ask("lora_names_refused")
    assert "put one into" in none and "'gone.safetensors'" in gone and linked is True
