"""What is counted in pictures of everyday things, and the tables that tell it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from train.evaluate.judge.scores import ThingScore
from train.evaluate.suite import Table

WORST = 15
"""Things in the table of those that are right least."""
CONTROLS = {
    "rendered_truth": ("rendered truth", "at least 99"),
    "other_things": ("other things in the boxes", "at most 2"),
    "ground_alone": ("the ground alone", "at most 2"),
    "shuffled_layouts": ("pictures against other layouts", "at most 10"),
}
"""What is judged, and the percent right that a judge may be trusted with."""


def regions_right(pictures: Sequence[Sequence[ThingScore]]) -> float:
    """Share of regions that are right, over all pictures."""
    return statistics.fmean(region.right for regions in pictures for region in regions)


def part_figures(part: str, pictures: Sequence[Sequence[ThingScore]]) -> dict[str, Any]:
    """All that is counted in a part's pictures, by the scores of their regions."""
    regions = [region for own in pictures for region in own]
    coloured = [x.found_colour == x.colour for x in regions if x.colour]
    by_thing: dict[str, list[bool]] = defaultdict(list)
    for region in regions:
        by_thing[region.thing].append(region.right)
    figures: dict[str, Any] = {
        "pictures": len(pictures),
        "regions": len(regions),
        "region_accuracy": regions_right(pictures),
        "located": statistics.fmean(x.is_met for x in regions),
        "named": statistics.fmean(x.named == x.thing for x in regions),
        "coloured": statistics.fmean(coloured) if coloured else None,
        "coloured_regions": len(coloured),
        "picture_accuracy": statistics.fmean(all(x.right for x in own) for own in pictures),
        "mean_iou": statistics.fmean(x.iou for x in regions),
        "by_things": {
            count: regions_right([own for own in pictures if len(own) == count])
            for count in sorted({len(own) for own in pictures})
        },
        "by_thing": {
            name: {"right": statistics.fmean(right), "regions": len(right)}
            for name, right in sorted(by_thing.items())
        },
    }
    if part == "held_out":  # the first thing of such a picture is the one of the pair
        figures["unseen_pairs"] = statistics.fmean(own[0].right for own in pictures)
    return figures


def things_found(pictures: Sequence[Mapping[str, bool]]) -> dict[str, Any]:
    """Of the things that captions name, which are in their pictures."""
    return {
        "pictures": len(pictures),
        "things": sum(map(len, pictures)),
        "there": statistics.fmean(is_there for own in pictures for is_there in own.values()),
        "picture_accuracy": statistics.fmean(all(own.values()) for own in pictures),
    }


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """The report's tables."""
    boxed = {part: own for part, own in figures.items() if "region_accuracy" in own}
    rows: list[tuple[Any, ...]]
    columns: tuple[str, ...]
    made = [_regions(boxed)] if boxed else []
    if pairs := boxed.get("held_out"):
        rows = [("held_out", pairs["unseen_pairs"], pairs["pictures"])]
        columns = ("part", "unseen pairs right %", "pairs")
        made.append(Table("Pairs that training never shows", columns, rows))
    if alone := figures.get("caption"):
        rows = [("caption", alone["there"], alone["picture_accuracy"], alone["things"])]
        columns = ("part", "things there %", "pictures right %", "things")
        note = "A thing is there when the judge, slid over the picture, finds it anywhere."
        made.append(Table("From captions alone", columns, rows, note))
    if mixed := boxed.get("mixed"):
        rows = list(mixed["by_things"].items())
        made.append(Table("By number of things", ("things", "regions right %"), rows))
        least = sorted(mixed["by_thing"].items(), key=lambda item: item[1]["right"])[:WORST]
        rows = [(name, own["right"], own["regions"]) for name, own in least]
        made.append(Table("Right least", ("thing", "regions right %", "regions"), rows))
    for kind, shares in figures["controls"].items():
        rows = [(CONTROLS[name][0], share, CONTROLS[name][1]) for name, share in shares.items()]
        what = "regions right %" if kind == "regions" else "things there %"
        title = f"Controls of the judge: {kind}"
        made.append(Table(title, ("control", what, "to be trusted"), rows))
    return made


def _regions(boxed: Mapping[str, Any]) -> Table:
    columns = {
        "regions right %": "region_accuracy",
        "boxes met %": "located",
        "named %": "named",
        "colours right %": "coloured",
        "pictures right %": "picture_accuracy",
        "mean IoU": "mean_iou",
        "regions": "regions",
    }
    rows = [(part, *(own[name] for name in columns.values())) for part, own in boxed.items()]
    note = (
        "A region is right when the judge names its thing in its box (named), a thing that the "
        "judge finds when it is slid over the picture has an IoU of at least 0.5 with the box (the "
        "box is met), and has the colour that the text names, if any."
    )
    return Table("Regions", ("part", *columns), rows, note)
