// Making elements.

/**
 * An element with properties and children. Strings become text, never HTML.
 *
 * properties: `class`, `dataset`, `style` and `on` ({event: listener}) as objects or strings; names
 * with a dash and `role` are attributes; all else is set on the element.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name === "dataset" || name === "style") Object.assign(made[name], value);
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (name.includes("-") || name === "role") {
      made.setAttribute(name, value);
    } else made[name] = value;
  }
  made.append(...children);
  return made;
}

const shown = new WeakMap(); // an element -> the things that it showed last

/** Whether an element is to show other things than when this was asked last; none is looked into. */
export function isNews(target, ...things) {
  const last = shown.get(target);
  shown.set(target, things);
  return !last?.every((thing, i) => thing === things[i]);
}

/** Set a property only when it differs, so that unchanged elements cost nothing. */
export function set(target, name, value) {
  if (target[name] !== value) target[name] = value;
}
