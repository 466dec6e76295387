// The row of buttons above the canvas.

import { element, set } from "../shared/dom.js";
import { choice, iconButton } from "./controls.js";
import { CHOICES, MOST_DIM } from "./preferences.js";

/** Preferences chosen from a menu -> what the menu is called. */
const MENUS = {
  snap: "Snap edges to a grid (hold Alt to draw freely)",
  guides: "Guide lines",
  background: "Picture behind the boxes",
};

export class Toolbar {
  constructor(editor) {
    const { model } = editor;
    this.editor = editor;
    this.menus = Object.fromEntries(
      Object.entries(MENUS).map(([name, label]) => [
        name,
        choice(label, CHOICES[name], (value) => model.prefer({ [name]: value })),
      ]),
    );
    this.snapBoxes = element("input", {
      type: "checkbox",
      on: { change: () => model.prefer({ snapBoxes: this.snapBoxes.checked }) },
    });
    this.dim = element("input", {
      type: "range",
      class: "reco-dim",
      min: 0,
      max: MOST_DIM,
      step: 0.1,
      title: "Dim the background",
      "aria-label": "Dim the background",
      on: {
        input: () => editor.stage.dimBackground(Number(this.dim.value)),
        change: () => model.prefer({ dim: Number(this.dim.value) }),
      },
    });
    this.undo = iconButton("undo", "Undo (Ctrl+Z)", () => this.travel("undo"));
    this.redo = iconButton("refresh", "Redo (Ctrl+Y)", () => this.travel("redo"));
    this.clear = iconButton("eraser", "Clear all: remove every region", () => editor.clear());
    this.element = this.arrange();
  }

  arrange() {
    const { editor, menus } = this;
    return element(
      "div",
      { class: "reco-toolbar", role: "toolbar", "aria-label": "Layout editor" },
      iconButton("plus", "Add a region (Insert)", () => editor.addRegion()),
      this.undo,
      this.redo,
      this.clear,
      menus.snap,
      element(
        "label",
        { class: "reco-check", title: "Snap to the edges and middle of the image and to other boxes" },
        this.snapBoxes,
        "boxes",
      ),
      menus.guides,
      menus.background,
      this.dim,
      iconButton("arrow-right-arrow-left", "Copy or paste the layout as text", () =>
        editor.exchange.open(),
      ),
    );
  }

  /** Undo and redo are ComfyUI's own. */
  travel(way) {
    this.editor.stage.focus();
    this.editor.model.commitChanges();
    this.editor.host[way]();
  }

  render() {
    const { model, host } = this.editor;
    set(this.undo, "disabled", !host.canTravel("undo"));
    set(this.redo, "disabled", !host.canTravel("redo"));
    set(this.clear, "disabled", !model.drawing.regions.length);
    const { preferences } = model;
    for (const [name, menu] of Object.entries(this.menus)) set(menu, "value", preferences[name]);
    set(this.snapBoxes, "checked", preferences.snapBoxes);
    set(this.dim, "value", String(preferences.dim));
    set(this.dim, "hidden", !host.background(preferences.background));
  }
}
