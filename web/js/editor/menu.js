// A menu of commands at a place of the page, in ComfyUI's clothes: for the mouse and for keys.

import { element } from "../shared/dom.js";

const EDGE_PX = 8; // the least distance to the page's edges

export class Menu {
  #element = null;
  #before = null; // what had the focus
  #away = (event) => {
    if (!this.#element.contains(event.target)) this.close();
  };

  get isOpen() {
    return this.#element !== null;
  }

  /**
   * items: [words, keys, run], or null for a line between them. at: {x, y} on the page. focus: what
   * has the focus when the menu is gone.
   */
  open(label, items, { x, y }, focus) {
    this.close();
    this.#before = focus;
    this.#element = element(
      "div",
      {
        class: "reco-menu",
        role: "menu",
        "aria-label": label,
        on: {
          keydown: (event) => this.keyDown(event),
          contextmenu: (event) => event.preventDefault(),
        },
      },
      ...items.map((item) => this.makeItem(item)),
    );
    const above = document.querySelector("dialog.reco-large"); // which would hide it
    (above ?? document.body).append(this.#element);
    const { offsetWidth, offsetHeight, style } = this.#element;
    style.left = `${Math.max(EDGE_PX, Math.min(x, innerWidth - offsetWidth - EDGE_PX))}px`;
    style.top = `${Math.max(EDGE_PX, Math.min(y, innerHeight - offsetHeight - EDGE_PX))}px`;
    for (const event of ["pointerdown", "wheel"]) addEventListener(event, this.#away, true);
    this.buttons[0].focus({ preventScroll: true });
  }

  makeItem(item) {
    if (!item) return element("div", { class: "reco-menu-line", role: "separator" });
    const [words, keys, run] = item;
    return element(
      "button",
      {
        type: "button",
        class: "reco-menu-item",
        role: "menuitem",
        tabIndex: -1,
        "aria-label": words,
        on: {
          click: () => {
            this.close();
            run();
          },
          pointermove: ({ currentTarget }) => currentTarget.focus({ preventScroll: true }),
        },
      },
      element("span", {}, words),
      element("span", { class: "reco-menu-keys", "aria-hidden": "true" }, keys),
    );
  }

  get buttons() {
    return [...this.#element.querySelectorAll(".reco-menu-item")];
  }

  close() {
    if (!this.isOpen) return;
    for (const event of ["pointerdown", "wheel"]) removeEventListener(event, this.#away, true);
    this.#element.remove();
    this.#element = null;
    this.#before?.focus({ preventScroll: true });
  }

  keyDown(event) {
    if (event.ctrlKey || event.metaKey) return this.leaveTo(event);
    event.stopPropagation();
    const { buttons } = this;
    const at = buttons.indexOf(document.activeElement);
    const next = {
      ArrowDown: (at + 1) % buttons.length,
      ArrowUp: (at - 1 + buttons.length) % buttons.length,
      Home: 0,
      End: buttons.length - 1,
    }[event.key];
    if (next !== undefined) buttons[next].focus({ preventScroll: true });
    else if (event.key === "Escape" || event.key === "Tab") this.close();
    else return;
    event.preventDefault();
  }

  /** What ComfyUI has on Control it does; what the menu is about may be gone then. */
  leaveTo({ key }) {
    if (!["Control", "Meta"].includes(key)) this.close();
  }
}
