// Answers in this browser, apart for each page and rater. Where it keeps nothing (some do not for
// files), they live as long as the page is open.

const ROOT = "picture pairs";

export class Store {
  constructor(page) {
    this.page = page;
    this.keeps = true;
  }

  /** Who answered last, or "". */
  get rater() {
    return this.read([ROOT, this.page]) ?? "";
  }

  set rater(name) {
    this.write([ROOT, this.page], name);
  }

  /** {answers, at} of a rater, or null. */
  load(rater) {
    return this.read([ROOT, this.page, rater]);
  }

  save(rater, state) {
    this.write([ROOT, this.page, rater], state);
  }

  read(parts) {
    try {
      return JSON.parse(localStorage.getItem(JSON.stringify(parts)));
    } catch {
      this.keeps = false;
      return null;
    }
  }

  write(parts, value) {
    try {
      localStorage.setItem(JSON.stringify(parts), JSON.stringify(value));
    } catch {
      this.keeps = false;
    }
  }
}
