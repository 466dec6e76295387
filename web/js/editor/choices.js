// Choices in texts, as ComfyUI's own text fields make them when a prompt is queued: of {red|blue} one
// is taken; // and /* */ are comments; \{ \| \} are the signs themselves. Pure; linear in the text,
// or, where signs are escaped, in the text times the depth of its choices.

const ESCAPED = /\\([{}|])/g;

/**
 * Take one of each choice, from the outside in and from left to right, so that as often as ComfyUI
 * asks for a random number, and in its order, an option is picked. What is taken is read as a text
 * of its own, so in a choice \\{ is \{ first and { at last, as there. Only a single \ at the end
 * stays that, where ComfyUI writes \undefined.
 * pick: one of a choice's options, {from, length}.
 */
export function choose(text, pick = anyOf) {
  if (!/[{\\/]/.test(text)) return text; // as most are
  const source = withoutComments(text);
  const choices = choicesIn(source);
  const escapes = source.includes("\\");
  const unescaped = (part) => (escapes ? part.replace(ESCAPED, "$1") : part);
  const begun = []; // choices: {before: what was written before it, end: where it ends}
  let written = "";
  const leave = () => {
    const { before, end } = begun.pop();
    written = before + unescaped(written);
    return end;
  };
  for (let at = 0; at < source.length; at++) {
    const sign = source[at];
    if (sign === "{") {
      const { options, end } = choices.get(at);
      begun.push({ before: written, end });
      written = "";
      at = pick(options).from - 1;
    } else if ((sign === "|" || sign === "}") && begun.length) at = leave();
    else written += sign === "\\" ? sign + (source[++at] ?? "") : sign;
  }
  while (begun.length) leave();
  return unescaped(written);
}

/** The longest of some options: the most that a choice may take. */
export const longestOf = (options) =>
  options.reduce((longest, option) => (option.length > longest.length ? option : longest));

const anyOf = (options) => options[Math.floor(Math.random() * options.length)];

/**
 * The choices of a text without comments, by where each begins: {options, end}. An option is {from:
 * where it begins, length: how many signs it becomes at most}. One that is never closed goes to the
 * end of the text.
 */
function choicesIn(source) {
  const choices = new Map();
  const begun = [];
  const lengthen = (by) => begun.length && (begun.at(-1).options.at(-1).length += by);
  const close = (end) => {
    const choice = begun.pop();
    choice.end = end;
    lengthen(longestOf(choice.options).length);
  };
  for (let at = 0; at < source.length; at++) {
    const sign = source[at];
    if (sign === "{") {
      begun.push({ options: [{ from: at + 1, length: 0 }] });
      choices.set(at, begun.at(-1));
    } else if (sign === "|" && begun.length) {
      begun.at(-1).options.push({ from: at + 1, length: 0 });
    } else if (sign === "}" && begun.length) close(at);
    else {
      if (sign === "\\") at++;
      lengthen(1);
    }
  }
  while (begun.length) close(source.length);
  return choices;
}

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?(\*\/|$)|\/\/.*/g, (comment, end) =>
    // What is never closed is no comment.
    end === "" ? comment.replace(/\/\/.*/g, "") : "",
  );
}
