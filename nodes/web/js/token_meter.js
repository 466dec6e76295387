// How many of the checkpoint's tokens the drawing takes, counted by the server.

import { choice, element, set } from "./dom.js";
import { UNITS } from "./units.js";

const DELAY_MS = 250;

export class TokenMeter {
  constructor(editor) {
    this.editor = editor;
    this.asked = ""; // what the last answer was asked for
    this.timer = null;
    this.bar = element("div", { class: "reco-meter-bar" });
    this.text = element("span", { class: "reco-meter-text" });
    this.unit = choice(
      "Unit of the numbers",
      Object.fromEntries(Object.entries(UNITS).map(([name, { label }]) => [name, label])),
      (unit) => editor.prefer({ unit }),
    );
    const line = element("div", { class: "reco-meter-line" }, this.text, this.unit);
    this.element = element("div", { class: "reco-meter" }, this.bar, line);
  }

  /** Ask again if anything that counts has changed. */
  render() {
    set(this.unit, "value", this.editor.preferences.unit);
    const { layout, regions } = this.editor.complete;
    const checkpoint = this.editor.host.checkpoint();
    const texts = layout.regions.map(({ text }) => text);
    const question = JSON.stringify([checkpoint, layout.caption, texts, regions]);
    if (question === this.asked) return;
    this.asked = question;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(question, layout, regions, checkpoint), DELAY_MS);
  }

  remove() {
    clearTimeout(this.timer);
  }

  async ask(question, layout, regions, checkpoint) {
    let answer;
    try {
      answer = await this.editor.host.count(layout, checkpoint);
    } catch (error) {
      if (question !== this.asked) return;
      this.asked = ""; // so that it is asked again
      set(this.text, "textContent", `Tokens not counted: ${error.message}`);
      return;
    }
    if (question === this.asked) this.show(answer, layout, regions);
  }

  show({ limit, used, caption, regions: tokens, overflow, unknown }, layout, regions) {
    const { editor } = this;
    editor.tokens = [];
    regions.forEach((index, i) => (editor.tokens[index] = String(tokens[i])));
    editor.unfit = new Set(overflow.map((i) => regions[i]));
    const parts = [
      { tokens: caption, color: "var(--descrip-text, #999)" },
      ...tokens.map((count, i) => ({ tokens: count, color: layout.regions[i].color })),
    ];
    const total = Math.max(limit ?? used, used);
    this.bar.replaceChildren(
      ...parts.map((part) => {
        const segment = element("div");
        segment.style.width = `${(100 * part.tokens) / total}%`;
        segment.style.background = part.color;
        return segment;
      }),
    );
    if (limit && used > limit) {
      const mark = element("div", { class: "reco-meter-limit" });
      mark.style.left = `${(100 * limit) / total}%`;
      this.bar.append(mark);
    }
    this.element.classList.toggle("reco-unfit", limit !== null && used > limit);
    const lines = [describe(limit, used, overflow, regions), ...strange(unknown)];
    set(this.text, "textContent", lines.join(" "));
    editor.stage.render();
    editor.list.render();
  }
}

function describe(limit, used, overflow, regions) {
  if (limit === null) return `${used} tokens; connect a checkpoint to see how many it reads.`;
  const numbers = overflow.map((i) => regions[i] + 1);
  if (numbers.length) return `${used} of ${limit} tokens: region ${numbers.join(", ")} will not fit.`;
  if (used > limit) return `${used} of ${limit} tokens: the caption is too long.`;
  return `${used} of ${limit} tokens`;
}

const strange = (words) =>
  words.length ? [`This checkpoint was not trained on: ${words.join(", ")}.`] : [];
