// What is asked, what was answered, and what comes next. Pure: answers are never changed, each
// function returns new ones.
//
// answers: one object per pair, {count: {left, right}, relation, attributes, better, seconds}; a
// question that is not answered is absent or null.

export const SIDES = ["left", "right"];
export const BETTER = ["left", "tie", "right"];
/** The digits of the questions, on the left and on the right, and of `better`. */
const DIGITS = { left: ["1", "2", "3"], right: ["4", "5", "6"], better: ["7", "8", "9"] };

export const noAnswers = (pairs) => pairs.map(() => ({ seconds: 0 }));

/** The digit that answers a question of a side, or chooses a side of "better". */
export function digitOf(questions, question, side) {
  if (question === "better") return DIGITS.better[BETTER.indexOf(side)];
  return DIGITS[side][questions.findIndex(({ name }) => name === question)];
}

/** What a digit answers: {question, side}, or null when this pair is not asked that. */
export function slotOf(questions, pair, digit) {
  for (const [side, digits] of Object.entries(DIGITS)) {
    const index = digits.indexOf(digit);
    if (index < 0) continue;
    if (side === "better") return { question: "better", side: BETTER[index] };
    const question = questions[index]?.name;
    return pair.questions.includes(question) ? { question, side } : null;
  }
  return null;
}

/** Give an answer; the one that is there already is taken back. */
export function withAnswer(answer, question, side, value) {
  if (question === "better") {
    return { ...answer, better: answer.better === side ? null : side };
  }
  const given = answer[question] ?? {};
  const both = { left: given.left ?? null, right: given.right ?? null };
  both[side] = both[side] === value ? null : value;
  return { ...answer, [question]: both };
}

/** The answer that comes after in yes, no, none: what pressing a digit gives. */
export function turned(answer, question, side) {
  const value = answer[question]?.[side] ?? null;
  return withAnswer(answer, question, side, value === null);
}

export function isComplete(pair, answer) {
  return Boolean(
    answer.better &&
      pair.questions.every((name) => SIDES.every((side) => answer[name]?.[side] != null)),
  );
}

export const countComplete = (pairs, answers) =>
  pairs.filter((pair, index) => isComplete(pair, answers[index])).length;

/** The next pair after `at`, and around the end, that lacks an answer; -1 when none does. */
export function nextOpen(pairs, answers, at) {
  for (let step = 1; step <= pairs.length; step++) {
    const index = (at + step) % pairs.length;
    if (!isComplete(pairs[index], answers[index])) return index;
  }
  return -1;
}

/** What is saved: every pair that has an answer. */
export function fileOf(page, rater, answers) {
  const given = answers.flatMap(({ seconds, ...answer }, pair) =>
    isTouched(answer) ? [{ pair, ...answer, seconds: Math.round(seconds * 10) / 10 }] : [],
  );
  return { page, rater, answers: given };
}

const isTouched = (answer) =>
  Object.values(answer).some((value) =>
    typeof value === "object" && value ? SIDES.some((side) => value[side] != null) : value != null,
  );

/** A name that every file system takes. */
export function fileName(rater) {
  const safe = rater.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}_-]+/gu, "-");
  return `answers-${safe.replace(/^-+|-+$/g, "") || "rater"}.json`;
}
