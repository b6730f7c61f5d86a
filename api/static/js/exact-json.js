// JSON whose numbers stay exact: whole numbers become BigInt, nothing stands twice, nothing is guessed.

const DEPTH_MAX = 64;
const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORDS = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);

/** A text that is not JSON as we take it. */
export class NotJson extends Error {}

/** The value of a text; `2400` is 2400n, `2400.0` is a number that no reader of ours takes. */
export function parseExact(text) {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.skip();
  if (parser.at < text.length) parser.refuse("something stands behind the end");
  return value;
}

class Parser {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  value(depth) {
    if (depth > DEPTH_MAX) this.refuse(`nested more than ${DEPTH_MAX} deep`);
    this.skip();
    const first = this.text[this.at];
    if (first === "{") return this.object(depth);
    if (first === "[") return this.list(depth);
    if (first === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  object(depth) {
    const members = Object.create(null);
    this.at += 1;
    if (this.take("}")) return members;
    do {
      this.skip();
      const name = this.string();
      if (name in members) this.refuse(`"${name.slice(0, 40)}" stands twice in one object`);
      if (!this.take(":")) this.refuse("a colon is missing");
      members[name] = this.value(depth + 1);
    } while (this.take(","));
    if (!this.take("}")) this.refuse("an object does not end");
    return members;
  }

  list(depth) {
    const items = [];
    this.at += 1;
    if (this.take("]")) return items;
    do items.push(this.value(depth + 1));
    while (this.take(","));
    if (!this.take("]")) this.refuse("a list does not end");
    return items;
  }

  string() {
    return JSON.parse(this.match(STRING, "a string is expected")[0]);
  }

  number() {
    const [digits, fraction, exponent] = this.match(NUMBER, "a value is expected");
    return fraction || exponent ? Number(digits) : BigInt(digits);
  }

  match(pattern, otherwise) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) this.refuse(otherwise);
    this.at = pattern.lastIndex;
    return found;
  }

  take(char) {
    this.skip();
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  skip() {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  refuse(rule) {
    const line = this.text.slice(0, this.at).split("\n").length;
    throw new NotJson(`line ${line}: ${rule}`);
  }
}
