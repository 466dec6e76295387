// Buttons and selects in the editor's clothes.

import { element } from "../shared/dom.js";

/** A button that shows an icon and is called `label` by tooltip and screen reader. */
export function iconButton(icon, label, press) {
  return element(
    "button",
    { type: "button", class: "reco-button", title: label, "aria-label": label, on: { click: press } },
    element("i", { class: `pi pi-${icon}`, "aria-hidden": "true" }),
  );
}

/** A button with a word on it; what it does, in more words, is its tooltip. */
export const wordButton = (text, title, press) =>
  element("button", { type: "button", class: "reco-word", title, on: { click: press } }, text);

/** A select of {value: text}, called `label`. */
export function choice(label, texts, change) {
  const made = element(
    "select",
    {
      class: "reco-choice",
      title: label,
      "aria-label": label,
      on: { change: () => change(made.value) },
    },
    ...options(texts),
  );
  return made;
}

/** The options of a select: {value: text}. */
export const options = (texts) =>
  Object.entries(texts).map(([value, text]) => element("option", { value }, text));

/** Make parts at the end of a list, or take some away, until there are `count`. */
export function setCount(parts, count, parent, make) {
  const elementOf = (part) => part.element ?? part;
  while (parts.length > count) elementOf(parts.pop()).remove();
  while (parts.length < count) {
    parts.push(make(parts.length));
    parent.append(elementOf(parts.at(-1)));
  }
}
