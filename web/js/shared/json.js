// JSON of which nothing is lost: what JavaScript would drop or change in silence is refused. Pure.

const TOKENS = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]|-?\d[\d.eE+-]*/g;

/** The value of a text. Throws an Error that says what is wrong. */
export function parseJson(text) {
  const value = JSON.parse(text);
  const objects = []; // the names of each that is open here
  for (const [token, string, colon] of text.matchAll(TOKENS)) {
    if (token === "{") objects.push(new Set());
    else if (token === "}") objects.pop();
    else if (colon) addName(JSON.parse(string), objects.at(-1));
    else if (!string) checkNumber(token);
  }
  return value;
}

function addName(name, names) {
  if (names.has(name)) {
    throw new Error(`${JSON.stringify(name).slice(0, 60)} stands twice in one object: keep one`);
  }
  names.add(name);
}

function checkNumber(digits) {
  const number = Number(digits);
  const isWhole = /^-?\d+$/.test(digits);
  if (isWhole ? Number.isSafeInteger(number) : Number.isFinite(number)) return;
  throw new Error(`its number ${digits.slice(0, 60)} is too large`);
}
