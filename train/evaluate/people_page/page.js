// The page: what is on it and what keys and mouse do. What is asked and counted is in study.js.

import { element } from "../../../web/js/shared/dom.js";
import { clearBoxes, drawBoxes, paint } from "./boxes.js";
import { Store } from "./store.js";
import {
  BETTER,
  SIDES,
  countComplete,
  digitOf,
  fileName,
  fileOf,
  isComplete,
  nextOpen,
  noAnswers,
  slotOf,
  turned,
  withAnswer,
} from "./study.js";

const { page, pairs, questions } = JSON.parse(document.getElementById("study").textContent);
const by = (id) => document.getElementById(id);
const store = new Store(page);
const SMALL = 256; // pixels up to which a picture is shown with its pixels as squares
const LEGEND = [
  ["1 2 3", "left: yes, no, none"],
  ["4 5 6", "right: yes, no, none"],
  ["7 8 9", "better: left, tie, right"],
  ["Enter", "next unanswered"],
  ["← →", "back, next"],
  ["b", "boxes"],
  ["s", "save"],
];
const OVERALL = "Which is better overall?";
const BETTER_WORDS = { left: "Left", tie: "Tie", right: "Right" };

let rater = "";
let answers = noAnswers(pairs);
let at = 0;
let withBoxes = false;
let since = null; // when the time of this pair was last added up; null while nobody looks
const buttons = []; // {element, question, side, value}
const rows = new Map(); // question: its row

function begin(name) {
  rater = name;
  store.rater = name;
  const kept = store.load(name);
  answers = noAnswers(pairs).map((none, index) => ({ ...none, ...kept?.answers?.[index] }));
  by("start").hidden = true;
  by("study-view").hidden = false;
  by("rater-name").textContent = name;
  show(Math.min(kept?.at ?? 0, pairs.length - 1));
  say(store.keeps ? "" : "This browser keeps nothing: save the file before you close the page.");
  document.activeElement?.blur();
}

function leave() {
  keep();
  rater = store.rater = "";
  by("rater").value = "";
  by("start").hidden = false;
  by("study-view").hidden = true;
  by("rater").focus();
}

// Making the page

function build() {
  by("start-count").textContent = pairs.length === 1 ? "one pair" : `${pairs.length} pairs`;
  for (const { text, help } of questions) {
    by("start-questions").append(element("dt", {}, text), element("dd", {}, help));
  }
  by("start-questions").append(
    element("dt", {}, OVERALL),
    element("dd", {}, "All in all; a tie is an answer too"),
  );
  for (const side of SIDES) {
    const image = element("img", { alt: `The ${side} picture`, draggable: false });
    by(side).append(element("div", { class: "frame" }, image));
  }
  by("sketch").append(element("div", { class: "frame" }), element("ol", { id: "regions" }));
  for (const question of questions) {
    const row = questionRow(question);
    rows.set(question.name, row);
    by("pair").append(row);
  }
  by("pair").append(betterRow());
  for (const [keys, what] of LEGEND) {
    const parts = keys.split(" ").map((key) => element("kbd", {}, key));
    by("legend").append(element("li", {}, ...parts, ` ${what}`));
  }
  by("start-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = by("rater").value.trim();
    if (name) begin(name);
  });
  const presses = {
    back: () => move(-1),
    next: () => move(1),
    boxes: toggleBoxes,
    other: leave,
    save,
  };
  for (const [id, press] of Object.entries(presses)) by(id).addEventListener("click", press);
  addEventListener("keydown", onKey);
  addEventListener("resize", () => rater && drawLayouts());
  addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) keep();
    since = document.hidden ? null : performance.now();
  });
}

/** The words of a question between its answers for the left and for the right. */
function questionRow({ name, text, help }) {
  const words = element("div", { class: "question", title: help }, text);
  const cells = SIDES.map((side) => {
    const digit = element("kbd", {}, digitOf(questions, name, side));
    const choices = [true, false].map((value) => {
      const word = value ? "Yes" : "No";
      const label = `${side}, ${text} ${word}`;
      return answerButton(label, word.toLowerCase(), name, side, value, word);
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

function betterRow() {
  const choices = BETTER.map((side) => {
    const word = BETTER_WORDS[side];
    const digit = element("kbd", {}, digitOf(questions, "better", side));
    return answerButton(`Better: ${word}`, "better", "better", side, side, digit, ` ${word}`);
  });
  return element(
    "div",
    { class: "overall", role: "group", "aria-label": OVERALL },
    element("span", { class: "question" }, OVERALL),
    ...choices,
  );
}

function answerButton(label, kind, question, side, value, ...words) {
  const press = () => change(withAnswer(answers[at], question, side, value));
  const made = element(
    "button",
    { type: "button", class: `choice ${kind}`, "aria-label": label, on: { click: press } },
    ...words,
  );
  buttons.push({ element: made, question, side, value });
  return made;
}

// Showing a pair

function show(index) {
  at = index;
  since = performance.now();
  const pair = pairs[at];
  by("caption").textContent = pair.caption;
  by("caption").hidden = !pair.caption;
  by("pair").style.setProperty("--ratio", String(pair.width / pair.height));
  for (const side of SIDES) {
    const image = by(side).querySelector("img");
    image.src = `data:image/png;base64,${pair[side]}`;
    image.classList.toggle("small", Math.max(pair.width, pair.height) <= SMALL);
  }
  by("sketch").classList.toggle("empty", !pair.regions.length);
  by("regions").replaceChildren(...pair.regions.map(regionItem));
  for (const [name, row] of rows) row.hidden = !pair.questions.includes(name);
  drawLayouts();
  showAnswers();
  say("");
  keep();
}

function drawLayouts() {
  const { regions } = pairs[at];
  const frameOf = (id) => by(id).querySelector(".frame");
  drawBoxes(frameOf("sketch"), regions, { texts: false });
  for (const side of SIDES) {
    if (withBoxes) drawBoxes(frameOf(side), regions);
    else clearBoxes(frameOf(side));
  }
}

function regionItem({ text, color }, index) {
  const number = element("span", { class: "number", style: paint(color) }, `${index + 1}`);
  return element("li", {}, number, text);
}

function showAnswers() {
  const answer = answers[at];
  for (const { element: button, question, side, value } of buttons) {
    const given = question === "better" ? answer.better : answer[question]?.[side];
    button.setAttribute("aria-pressed", String(given === value));
  }
  const complete = countComplete(pairs, answers);
  by("place").textContent = `Pair ${at + 1} of ${pairs.length}`;
  by("progress").max = pairs.length;
  by("progress").value = complete;
  by("done").textContent = `${complete}/${pairs.length} answered`;
  by("pair").classList.toggle("complete", isComplete(pairs[at], answer));
  by("back").disabled = at === 0;
  by("next").disabled = at === pairs.length - 1;
  by("save").classList.toggle("primary", complete === pairs.length);
}

function say(text) {
  by("status").textContent = text;
}

// Doing

function change(answer) {
  answers = answers.with(at, answer);
  keep();
  showAnswers();
  const all = countComplete(pairs, answers) === pairs.length;
  say(all ? "All pairs are answered: press s to save the file." : "");
}

/** Add up the time of this pair and keep the answers. */
function keep() {
  if (!rater) return;
  if (since !== null) {
    const now = performance.now();
    const seconds = answers[at].seconds + (now - since) / 1000;
    answers = answers.with(at, { ...answers[at], seconds });
    since = now;
  }
  store.save(rater, { answers, at });
}

function goTo(index) {
  keep();
  show(index);
}

function move(step) {
  if (pairs[at + step]) goTo(at + step);
}

function toNextOpen() {
  const next = nextOpen(pairs, answers, at);
  if (next < 0) say("All pairs are answered: press s to save the file.");
  else if (next === at) say("Only this pair still lacks an answer.");
  else goTo(next);
}

function toggleBoxes() {
  withBoxes = !withBoxes;
  by("boxes").setAttribute("aria-pressed", String(withBoxes));
  drawLayouts();
}

function save() {
  keep();
  const text = JSON.stringify(fileOf(page, rater, answers), null, 1);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const name = fileName(rater);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  const open = pairs.length - countComplete(pairs, answers);
  say(`Saved ${name}${open ? ` (${open} pairs still lack answers)` : ""}.`);
}

function onKey(event) {
  if (!rater || event.ctrlKey || event.metaKey || event.altKey) return;
  // By place on the keyboard: where digits take Shift, as on French ones, the same keys work.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
  const presses = {
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    Enter: toNextOpen,
    b: toggleBoxes,
    s: save,
  };
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const press = digit ? () => pressDigit(digit) : presses[name];
  if (!press) return;
  event.preventDefault();
  if (!event.repeat || event.key.startsWith("Arrow")) press();
}

function pressDigit(digit) {
  const slot = slotOf(questions, pairs[at], digit);
  if (!slot) return;
  const { question, side } = slot;
  const answer = answers[at];
  if (question === "better") change(withAnswer(answer, question, side, side));
  else change(turned(answer, question, side));
}

build();
if (store.rater) begin(store.rater);
