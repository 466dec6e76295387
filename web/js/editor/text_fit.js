// How large a text is written into a room so that it fits, wrapped. Pure; lengths in pixels on the
// screen. How wide a piece of text is, in letters of 1 pixel, is asked of `measure`.

const LEAST_PX = 10; // of letters that can still be read
const GREATEST_PX = 22;
const LEAST_WIDTH_PX = 4 * LEAST_PX; // of a room in which a text may be cut off
const SLACK = 1.05; // browsers round the widths of small letters

/** Height of a line, in letters. */
export const LINE = 1.25;

/**
 * {size: of the letters, lines: that it takes, most: that there is room for}: the size as large as
 * fits, or the least for a text of which the end is to be cut. null where there is no room.
 */
export function fitText(text, [width, height], measure) {
  const pieces = piecesOf(text).map(({ piece, spaced }) => ({
    width: SLACK * measure(piece),
    space: spaced ? SLACK * measure(" ") : 0,
  }));
  const at = (size, breaking) => ({
    size,
    lines: countLines(pieces, width / size, breaking),
    most: Math.floor(height / (size * LINE)),
  });
  let best = at(LEAST_PX, true);
  if (best.lines > best.most) {
    const isRoom = best.most > 0 && width >= LEAST_WIDTH_PX;
    return isRoom ? { ...best, lines: best.most } : null;
  }
  let tooLarge = GREATEST_PX + 1;
  while (tooLarge - best.size > 1) {
    const larger = at((best.size + tooLarge) >> 1, false);
    if (larger.lines <= larger.most) best = larger;
    else tooLarge = larger.size;
  }
  return best;
}

/** Into how many lines of a width pieces go; breaking: whether long ones may be broken. */
function countLines(pieces, room, breaking) {
  let [lines, end] = [1, 0];
  for (const { width, space } of pieces) {
    if (end && end + space + width > room) [lines, end] = [lines + 1, 0];
    end += (end && space) + width;
    if (end <= room) continue;
    if (!breaking || room <= 0) return Infinity;
    lines += Math.ceil(end / room) - 1;
    end %= room;
  }
  return lines;
}

const SPACELESS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const words = new Intl.Segmenter(undefined, { granularity: "word" });

/** Pieces that lines are made of: {piece, spaced: whether a space is before it}. */
function piecesOf(text) {
  return text
    .trim()
    .split(/\s+/)
    .flatMap((word) =>
      (SPACELESS.test(word) ? parts(word) : [word]).map((piece, i) => ({ piece, spaced: !i })),
    );
}

/** Parts of a word in writing without spaces; signs stay with what is before them. */
function parts(word) {
  const found = [];
  for (const { segment, isWordLike } of words.segment(word)) {
    if (isWordLike || !found.length) found.push(segment);
    else found[found.length - 1] += segment;
  }
  return found;
}
