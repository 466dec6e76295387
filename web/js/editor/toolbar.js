// The row of buttons above the canvas.

import { choice, iconButton } from "./controls.js";
import { element, set } from "../shared/dom.js";
import { addInTheMiddle } from "./keys.js";

export class Toolbar {
  constructor(editor) {
    this.editor = editor;
    this.choices = {
      snap: choice(
        "Snap edges to a grid (hold Alt to draw freely)",
        { off: "snap: no", cells: "snap: 8 px", grid: "snap: grid" },
        (snap) => editor.prefer({ snap }),
      ),
      guides: choice(
        "Guide lines",
        { none: "guides: no", thirds: "thirds", grid: "grid" },
        (guides) => editor.prefer({ guides }),
      ),
      background: choice(
        "Picture behind the boxes",
        { none: "ground: no", image: "image input", last: "last picture" },
        (background) => editor.prefer({ background }),
      ),
    };
    this.snapBoxes = element("input", {
      type: "checkbox",
      on: { change: () => editor.prefer({ snapBoxes: this.snapBoxes.checked }) },
    });
    this.dim = element("input", {
      type: "range",
      class: "reco-dim",
      min: 0,
      max: 0.9,
      step: 0.1,
      title: "Dim the background",
      "aria-label": "Dim the background",
      on: {
        input: () => editor.stage.dimBackground(Number(this.dim.value)),
        change: () => editor.prefer({ dim: Number(this.dim.value) }),
      },
    });
    this.element = element(
      "div",
      { class: "reco-toolbar", role: "toolbar", "aria-label": "Layout editor" },
      iconButton("plus", "Add a region (Insert)", () => addInTheMiddle(editor)),
      this.choices.snap,
      element(
        "label",
        { class: "reco-check", title: "Snap to the edges and middle of the image and to other boxes" },
        this.snapBoxes,
        "boxes",
      ),
      this.choices.guides,
      this.choices.background,
      this.dim,
      iconButton("arrow-right-arrow-left", "Copy or paste the layout as text", () =>
        editor.exchange.open(),
      ),
    );
  }

  render() {
    const { preferences } = this.editor;
    for (const [name, select] of Object.entries(this.choices)) {
      set(select, "value", preferences[name]);
    }
    set(this.snapBoxes, "checked", preferences.snapBoxes);
    set(this.dim, "value", String(preferences.dim));
    set(this.dim, "hidden", !this.editor.host.background(preferences.background));
  }
}
