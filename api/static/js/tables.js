// Names with values, and figures in rows.

import { el } from "./dom.js";

/** A description list of names and values. */
export function facts(entries) {
  const parts = entries.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  return el("dl", { class: "facts" }, ...parts);
}

/** A table in a box that scrolls: `columns` are `{name, isNumber}`, the first column heads its row. */
export function table({ caption, columns, rows, total = null }) {
  const kind = (place) => (columns[place].isNumber ? "num" : null);
  const cell = (value, place) => {
    const parts = Array.isArray(value) ? value : [value];
    const tag = place === 0 ? "th" : "td";
    return el(tag, { scope: place === 0 ? "row" : null, class: kind(place) }, ...parts);
  };
  const line = (values) => el("tr", {}, ...values.map(cell));
  const heads = columns.map((column, place) =>
    el("th", { scope: "col", class: kind(place) }, column.name),
  );
  return el(
    "div",
    // What scrolls must be reachable by keyboard.
    { class: "table-box", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads)),
      el("tbody", {}, ...rows.map(line)),
      total && el("tfoot", {}, line(total)),
    ),
  );
}
