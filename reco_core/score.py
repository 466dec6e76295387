"""How well pictures obey a layout: scores of regions from boxes, colours and CLIP features.

A *finding* is what one kind of evidence says of one region; a region's score is the mean of its
findings, a picture's score the mean of its regions'. All scores go from 0 (not obeyed) to 1.
"""

from __future__ import annotations

import colorsys
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .color_names import BASIC_COLORS, basic_colors, colors_in_text
from .interop import detected_boxes
from .layout import Box, Layout
from .prompt import normalize_text

if TYPE_CHECKING:
    import numpy as np

FULL_SHARE = 0.5
"""A thing whose colour fills this share of its box fills it: few things are rectangles (a triangle
has half of its box, a disc 0.79)."""

CLIP_SCALE = 100.0
"""By which CLIP multiplies cosines before its softmax (Radford et al. 2021, section 2.5)."""

NOT_SCORED = "#808080"


@dataclass(frozen=True)
class Finding:
    """What one kind of evidence says of a region. score: 0 to 1; said: why, in words."""

    score: float
    said: str


@dataclass(frozen=True)
class RegionScore:
    """What is known of a region, by kind of evidence: "boxes", "colors", "clip"."""

    text: str
    findings: Mapping[str, Finding]

    @property
    def score(self) -> float | None:
        """The mean over its findings, 0 to 1; None without any."""
        return _mean([finding.score for finding in self.findings.values()])


Findings = Sequence[Finding | None]
"""One for each region of a layout; None where the evidence has nothing to say."""


def gather_scores(layout: Layout, evidence: Mapping[str, Findings]) -> tuple[RegionScore, ...]:
    """The regions' scores in one picture. evidence: kind -> findings, one for each region."""
    return tuple(
        RegionScore(
            region.text,
            {kind: found for kind, findings in evidence.items() if (found := findings[index])},
        )
        for index, region in enumerate(layout.regions)
    )


def picture_score(regions: Sequence[RegionScore]) -> float:
    """The mean over the regions that have a score, 0 to 1; 0 if none has."""
    return _mean([region.score for region in regions if region.score is not None]) or 0.0


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1; 0 when both are empty."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    both = max(width, 0.0) * max(height, 0.0)
    either = a.area + b.area - both
    return min(both / either, 1.0) if either > 0 else 0.0


def find_by_boxes(layout: Layout, detected: Sequence[tuple[Box, str]]) -> list[Finding | None]:
    """Score regions by the best intersection over union with a box that a detector found.

    detected: boxes with labels. When any box has a label, only those count that fit the region's
    text: every word of the label is one of the text's (a plural s aside).
    """
    import numpy as np

    by_label: dict[str, list[Box]] = {}
    for box, label in detected:
        by_label.setdefault(label, []).append(box)
    labelled = any(by_label)
    groups = [
        (_words(label), np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes]))
        for label, boxes in by_label.items()
    ]
    findings: list[Finding | None] = []
    for region in layout.regions:
        words = _words(region.text)
        fitting = [boxes for label, boxes in groups if not labelled or (label and label <= words)]
        iou = max((_best_iou(region.box, boxes) for boxes in fitting), default=0.0)
        count = f"{sum(map(len, fitting))} of {len(detected)} detected boxes"
        said = f"IoU {iou:.2f} with the best of {count}{' fit its text' if labelled else ''}"
        findings.append(Finding(iou, said if fitting else f"none of {count} fits its text"))
    return findings


def find_by_colors(layout: Layout, pixels: np.ndarray) -> list[Finding | None]:
    """Score regions whose texts name a colour by where the picture has that colour.

    The score is the share of the colour's pixels that lie in the box, times the share of the box
    that they fill, of which FULL_SHARE counts as all. What lies in the boxes of other regions of
    that colour counts for those. None for a text that names no colour.

    pixels: (H, W, 3) uint8, sRGB.
    """
    named = [colors_in_text(region.text) for region in layout.regions]
    if not any(named):
        return [None] * len(named)
    nearest = basic_colors(pixels)
    findings: list[Finding | None] = [None] * len(named)
    for colors in dict.fromkeys(filter(None, named)):
        has_color, elsewhere = _color_map(layout, named, colors, nearest)
        for index, others in enumerate(named):
            if others == colors:
                box = layout.regions[index].box
                findings[index] = _find_color(box, colors, has_color, elsewhere)
    return findings


def compared_texts(layout: Layout) -> list[str]:
    """What a crop is compared with: every region's text, the caption, and the empty text, which
    stands for nothing in particular."""
    return list(dict.fromkeys([*(region.text for region in layout.regions), layout.caption, ""]))


def find_by_similarity(
    layout: Layout, cosines: Sequence[Mapping[str, float]]
) -> list[Finding | None]:
    """Score regions by how much more CLIP takes a crop for its own text than for the others.

    The score is the softmax of the cosines times CLIP_SCALE: the probability of the own text.
    cosines: for each region's crop, {text: cosine} over compared_texts(layout).
    """
    return [
        _find_similar(region.text, to_texts)
        for region, to_texts in zip(layout.regions, cosines, strict=True)
    ]


def read_detections(
    boxes: Any, pictures: int, width: int, height: int
) -> list[list[tuple[Box, str]]]:
    """What a detector found in each of some width x height pictures: boxes with labels.

    Raises ValueError when these are not boxes, or not of as many pictures.
    """
    is_batch = isinstance(boxes, list | tuple) and all(isinstance(b, list | tuple) for b in boxes)
    frames = boxes if is_batch and boxes else [boxes]
    if len(frames) != pictures:
        raise ValueError(
            f"there are boxes of {len(frames)} picture(s) and {pictures} picture(s) to score: "
            "connect the detector to the same images"
        )
    return [detected_boxes(frame, width, height) for frame in frames]


def show_scores(layout: Layout, regions: Sequence[RegionScore]) -> Layout:
    """The layout with scores in the regions' texts and colours, from red (0) to green (1), to be
    drawn."""
    shown = [
        replace(
            region, text=f"({_percent(scored.score)}) {region.text}", color=_color(scored.score)
        )
        for region, scored in zip(layout.regions, regions, strict=True)
    ]
    return replace(layout, regions=tuple(shown))


def describe_scores(pictures: Sequence[Sequence[RegionScore]], best: int) -> str:
    """A readable account: the pictures in a few lines, an empty line, then region by region."""
    scores = [picture_score(regions) for regions in pictures]
    lines = [
        f"best: picture {best + 1} of {len(pictures)} (index {best}), score {scores[best]:.2f}",
        f"scores: {' '.join(f'{score:.2f}' for score in scores)}",
    ]
    for number, (score, regions) in enumerate(zip(scores, pictures, strict=True), start=1):
        lines += ["", f"picture {number}: {score:.2f}"]
        lines += [_describe_region(index, region) for index, region in enumerate(regions, start=1)]
    return "\n".join(lines)


def scores_to_json(pictures: Sequence[Sequence[RegionScore]], best: int) -> str:
    """All scores: {"best": index, "pictures": [{"score", "regions": [{"text", "score", ...}]}]}.

    A region also has the score of each kind of evidence under its name. Numbers are not rounded;
    null stands for a region without a score.
    """
    listed = [
        {
            "score": picture_score(regions),
            "regions": [
                {
                    "text": region.text,
                    "score": region.score,
                    **{kind: found.score for kind, found in region.findings.items()},
                }
                for region in regions
            ],
        }
        for regions in pictures
    ]
    return json.dumps({"best": best, "pictures": listed}, ensure_ascii=False)


def _best_iou(box: Box, others: np.ndarray) -> float:
    """The greatest `box_iou` of a box with others, (N, 4) xyxy."""
    import numpy as np

    x0, y0, x1, y1 = others.T
    width = np.minimum(box.x1, x1) - np.maximum(box.x0, x0)
    height = np.minimum(box.y1, y1) - np.maximum(box.y0, y0)
    both = width.clip(0) * height.clip(0)
    either = box.area + (x1 - x0) * (y1 - y0) - both
    return float(
        np.divide(both, either, out=np.zeros_like(both), where=either > 0).clip(max=1).max()
    )


def _color_map(
    layout: Layout, named: Sequence[frozenset[str]], colors: frozenset[str], nearest: np.ndarray
) -> tuple[np.ndarray, int]:
    """Where a picture has any of some colours, (H, W) bool, and how many of these pixels lie in no
    box whose text names one of them. nearest: (H, W) places in BASIC_COLORS."""
    import numpy as np

    has_color = np.isin(nearest, [list(BASIC_COLORS).index(color) for color in colors])
    height, width = nearest.shape
    elsewhere = has_color.copy()
    for region, others in zip(layout.regions, named, strict=True):
        if colors & others:
            left, top, right, bottom = region.box.covered_pixels(width, height)
            elsewhere[top:bottom, left:right] = False
    return has_color, int(elsewhere.sum())


def _find_color(box: Box, colors: frozenset[str], has_color: np.ndarray, elsewhere: int) -> Finding:
    """has_color, elsewhere: of _color_map."""
    height, width = has_color.shape
    x0, y0, x1, y1 = box.covered_pixels(width, height)
    inside = has_color[y0:y1, x0:x1]
    kept = inside.sum() / max(inside.sum() + elsewhere, 1)
    share = inside.mean()
    name = " and ".join(sorted(colors))
    said = f"{share:.0%} of the box is {name}, and {kept:.0%} of what is {name} is in it"
    return Finding(float(kept * min(share / FULL_SHARE, 1.0)), said)


def _find_similar(text: str, cosines: Mapping[str, float]) -> Finding:
    own = cosines[text]
    others = {
        other: cosine
        for other, cosine in cosines.items()
        if normalize_text(other) != normalize_text(text)
    }
    # Above 700 exp overflows, and the score is 0 all the same.
    odds = [math.exp(min(CLIP_SCALE * (cosine - own), 700)) for cosine in others.values()]
    rival = max(others, key=others.__getitem__, default=None)
    said = f"cosine {own:.3f}"
    if rival is not None:
        said += f"; next is {others[rival]:.3f}, {repr(rival) if rival else 'the empty text'}"
    return Finding(1 / (1 + sum(odds)), said)


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"\w+", normalize_text(text))}


def _describe_region(number: int, region: RegionScore) -> str:
    said = "; ".join(f"{kind}: {found.said}" for kind, found in region.findings.items())
    text = " ".join(region.text.split())
    return f"  region {number} ({text}): {_number(region.score)}{f' - {said}' if said else ''}"


def _number(score: float | None) -> str:
    return "not scored" if score is None else f"{score:.2f}"


def _percent(score: float | None) -> str:
    return "not scored" if score is None else f"{score:.0%}"


def _color(score: float | None) -> str:
    """ "#rrggbb" from red through yellow to green."""
    if score is None:
        return NOT_SCORED
    channels = colorsys.hsv_to_rgb(score / 3, 0.85, 0.9)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
