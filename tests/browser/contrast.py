"""How well what the product writes into a page of ComfyUI can be read."""

from __future__ import annotations

from comfy_page import ComfyPage

LEAST = 4.5  # what WCAG asks of small letters

# What is drawn below a text is painted on a canvas, from the outermost ground inwards.
_CONTRASTS = """roots => {
    const paper = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = ([r, g, b]) => [r, g, b]
        .map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const paint = (color, alpha = 1) => {
        paper.globalAlpha = alpha;
        paper.fillStyle = color;
        paper.fillRect(0, 0, 1, 1);
        return light(paper.getImageData(0, 0, 1, 1).data);
    };
    const contrast = (part, color) => {
        const grounds = [];
        let [opacity, ground] = [1, 0];
        for (let at = part; at; at = at.parentElement) {
            grounds.unshift(getComputedStyle(at).backgroundColor);
            if (at.closest(roots)) opacity *= getComputedStyle(at).opacity;
        }
        for (const each of grounds) ground = paint(each);
        const ink = paint(color, opacity);
        return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    };
    const texts = [];
    for (const root of document.querySelectorAll(roots)) {
        for (const part of root.querySelectorAll("*")) {
            if (!part.checkVisibility() || part.matches("option, :disabled")) continue;
            const own = [...part.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
            const { placeholder, value } = part;
            if (placeholder && !value) {
                texts.push([placeholder, part, getComputedStyle(part, "::placeholder").color]);
            } else if (own || part.matches("textarea, select, [type=number]")) {
                const text = part.selectedOptions?.[0].text ?? (value || part.textContent);
                texts.push([text, part, getComputedStyle(part).color]);
            }
        }
    }
    return texts.map(([text, part, color]) => [text.slice(0, 40), contrast(part, color)]);
}"""


def contrasts(comfy: ComfyPage, roots: str) -> list[tuple[str, float]]:
    """The first 40 letters and the contrast of each text that is seen in what a selector finds."""
    return [(text, ratio) for text, ratio in comfy.page.evaluate(_CONTRASTS, roots)]
