// The questions of a pair with their buttons, and which of these are pressed.

import { element } from "../../../web/js/shared/dom.js";
import { BETTER, SIDES, digitOf } from "./study.js";

export const OVERALL = "Which is better overall?";
const BETTER_WORDS = { left: "Left", tie: "Tie", right: "Right" };

export class AnswerRows {
  /** press: is given the question, side and value of a button. */
  constructor(questions, press) {
    this.questions = questions;
    this.press = press;
    this.buttons = []; // {element, question, side, value}
    this.rows = new Map(questions.map((question) => [question.name, this.questionRow(question)]));
    this.elements = [...this.rows.values(), this.betterRow()];
  }

  /** Show the questions that a pair is asked, and what is answered. */
  show(pair, answer) {
    for (const [name, row] of this.rows) row.hidden = !pair.questions.includes(name);
    for (const { element: button, question, side, value } of this.buttons) {
      const given = question === "better" ? answer.better : answer[question]?.[side];
      button.setAttribute("aria-pressed", String(given === value));
    }
  }

  /** The words of a question between its answers for the left and for the right. */
  questionRow({ name, text, help }) {
    const words = element("div", { class: "question", title: help }, text);
    const cells = SIDES.map((side) => {
      const digit = element("kbd", {}, digitOf(this.questions, name, side));
      const choices = [true, false].map((value) => {
        const word = value ? "Yes" : "No";
        const label = `${side}, ${text} ${word}`;
        return this.button(label, word.toLowerCase(), name, side, value, word);
      });
      return element(
        "div",
        { class: `answer ${side}`, role: "group", "aria-label": `${side}: ${text}` },
        digit,
        ...choices,
      );
    });
    return element("div", { class: "row" }, cells[0], words, cells[1]);
  }

  betterRow() {
    const choices = BETTER.map((side) => {
      const word = BETTER_WORDS[side];
      const digit = element("kbd", {}, digitOf(this.questions, "better", side));
      return this.button(`Better: ${word}`, "better", "better", side, side, digit, ` ${word}`);
    });
    return element(
      "div",
      { class: "overall", role: "group", "aria-label": OVERALL },
      element("span", { class: "question" }, OVERALL),
      ...choices,
    );
  }

  button(label, kind, question, side, value, ...words) {
    const press = () => this.press(question, side, value);
    const made = element(
      "button",
      { type: "button", class: `choice ${kind}`, "aria-label": label, on: { click: press } },
      ...words,
    );
    this.buttons.push({ element: made, question, side, value });
    return made;
  }
}
