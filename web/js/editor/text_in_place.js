// Writing a region's text on its box.

import { element } from "../shared/dom.js";
import { changeRegions } from "./drawing.js";

export class TextInPlace {
  /** stage: the element whose size is the image's. */
  constructor(model, stage) {
    this.model = model;
    this.index = null;
    this.area = element("textarea", {
      class: "reco-in-place",
      hidden: true,
      "aria-label": "Text of the region",
      on: {
        keydown: (event) => this.keyDown(event),
        blur: () => this.keep(),
        pointerdown: (event) => event.stopPropagation(),
      },
    });
    stage.append(this.area);
    this.stage = stage;
  }

  open(index) {
    this.index = index;
    this.area.value = this.model.drawing.regions[index].text;
    this.area.ariaLabel = `Text of region ${index + 1}`;
    this.area.hidden = false;
    this.follow();
    this.area.focus();
    this.area.select();
  }

  /** Stay on the box; close when it is gone. */
  follow() {
    if (this.index === null) return;
    const region = this.model.drawing.regions[this.index];
    if (!region) return this.close();
    const [x0, y0, x1, y1] = region.box;
    const width = Math.max(x1 - x0, 140 / (this.stage.clientWidth || 1));
    const height = Math.max(y1 - y0, 32 / (this.stage.clientHeight || 1));
    this.area.style.left = `${100 * Math.max(0, Math.min(x0, 1 - width))}%`;
    this.area.style.top = `${100 * Math.max(0, Math.min(y0, 1 - height))}%`;
    this.area.style.width = `${100 * width}%`;
    this.area.style.height = `${100 * height}%`;
  }

  /** Take over what was written. */
  keep() {
    if (this.index === null) return;
    const [index, text] = [this.index, this.area.value];
    this.close();
    if (this.model.drawing.regions[index]?.text !== text) {
      this.model.update(changeRegions(this.model.drawing, [index], { text }));
    }
  }

  close() {
    this.index = null; // before hiding it, which makes it lose the focus
    this.area.hidden = true;
  }

  contains(target) {
    return target === this.area;
  }

  keyDown(event) {
    event.stopPropagation();
    if (event.isComposing) return; // Enter ends a word of an input method
    const keeps = event.key === "Enter" && !event.shiftKey;
    if (!keeps && event.key !== "Escape") return;
    event.preventDefault();
    if (keeps) this.keep();
    else this.close();
    this.stage.focus();
  }
}
