// Choices in texts, as ComfyUI's own text fields make them when a prompt is queued: of {red|blue} one
// is taken; // and /* */ are comments; \{ \| \} are the signs themselves. Pure, linear in the text.

/** Take one of each choice, of those inside others too. pick: one of a list of texts. */
export function choose(text, pick = anyOf) {
  const begun = []; // choices: {before: what was written before it, options}
  let written = "";
  const close = () => {
    const { before, options } = begun.pop();
    written = before + pick([...options, written]);
  };
  const source = withoutComments(text);
  for (let at = 0; at < source.length; at++) {
    const sign = source[at];
    if (sign === "\\") written += sign + (source[++at] ?? "");
    else if (sign === "{") {
      begun.push({ before: written, options: [] });
      written = "";
    } else if (sign === "|" && begun.length) {
      begun.at(-1).options.push(written);
      written = "";
    } else if (sign === "}" && begun.length) close();
    else written += sign;
  }
  while (begun.length) close(); // one that is never closed goes to the end of the text
  return written.replace(/\\([{}|])/g, "$1");
}

/** The longest of some texts: the most that a choice may take. */
export const longestOf = (options) =>
  options.reduce((longest, option) => (option.length > longest.length ? option : longest));

const anyOf = (options) => options[Math.floor(Math.random() * options.length)];

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?(\*\/|$)|\/\/.*/g, (comment, end) =>
    // What is never closed is no comment.
    end === "" ? comment.replace(/\/\/.*/g, "") : "",
  );
}
