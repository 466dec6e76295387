// What the measures ask inside of the page, as window.measures.

window.measures = {
  // Every text that is to be seen below an element: {text, ratio} by WCAG 2.
  contrasts(root) {
    const style = document.createElement("style");
    style.textContent = "* { pointer-events: auto !important; transition: none !important; }";
    document.head.append(style); // so that nothing is left out of what lies below a point
    const found = [...texts(root)].map((each) => ({ ...each, ratio: contrastOf(each) }));
    style.remove();
    return found.map(({ text, ratio }) => ({ text, ratio }));
  },
};

/** {element, text, color, rect} of what is written, or stands in a field or as its placeholder. */
function* texts(root) {
  for (const element of root.querySelectorAll("*")) {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest("option, [aria-hidden=true]") || element.disabled) continue;
    const isField = element.matches("input:not([type=checkbox], [type=color], [type=range]), textarea, select");
    const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const written = isField ? "" : own.map((node) => node.data.trim()).join(" ").trim();
    const value = isField ? (element.selectedOptions?.[0]?.text ?? element.value) : "";
    const text = written || value || (isField && element.placeholder);
    if (!text) continue;
    const pseudo = isField && !value ? "::placeholder" : null;
    const style = getComputedStyle(element, pseudo);
    let rect = element.getBoundingClientRect();
    if (!isField) {
      const range = document.createRange();
      range.selectNodeContents(own.find((node) => node.data.trim()));
      rect = range.getBoundingClientRect();
    }
    const opacity = pseudo ? Number(style.opacity) : 1;
    yield { element, text: text.slice(0, 60), color: rgba(style.color, opacity), rect };
  }
}

function contrastOf({ element, color, rect }) {
  element.scrollIntoView({ block: "nearest" });
  const now = element.getBoundingClientRect();
  const [x, y] = [now.x + Math.min(rect.width, now.width) / 2, now.y + now.height / 2];
  const stack = document.elementsFromPoint(x, y);
  // What lies above the text does not lie behind it.
  const below = stack.slice(Math.max(0, stack.indexOf(element)));
  let ground = [255, 255, 255];
  for (const each of [...below].reverse()) {
    const style = getComputedStyle(each);
    ground = over(rgba(style.backgroundColor, opacityOf(each)), ground);
  }
  const [r, g, b, alpha] = color;
  const ink = over([r, g, b, alpha * opacityOf(element)], ground);
  const [light, dark] = [luminance(ink), luminance(ground)].sort((one, other) => other - one);
  return (light + 0.05) / (dark + 0.05);
}

function opacityOf(element) {
  let opacity = 1;
  for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
  return opacity;
}

const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** Any color of CSS as [r, g, b, alpha]. */
function rgba(color, opacity = 1) {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, alpha] = context.getImageData(0, 0, 1, 1).data;
  return [r, g, b, (alpha / 255) * opacity];
}

const over = ([r, g, b, alpha], ground) =>
  [r, g, b].map((value, i) => value * alpha + ground[i] * (1 - alpha));

function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
