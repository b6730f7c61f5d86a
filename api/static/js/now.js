// The pictures of the neighbourhood's page, and its going on with time.

import { drawDay, drawPrices } from "./chart.js";
import { drawFlow } from "./flow.js";
import { keepLive } from "./live.js";
import { energy, t } from "./words.js";

const EVENTS = ["window", "period"];

function draw(part) {
  const { windows, flows } = JSON.parse(part.querySelector("#now-data").textContent);
  const flow = part.querySelector("[data-flow]");
  if (flow) {
    drawFlow(flow, {
      nodes: [
        { id: "sun", kind: "sun", label: t("js.now.sun") },
        { id: "grid-source", kind: "grid", label: t("js.now.grid_source") },
        { id: "grid-sink", kind: "grid", label: t("js.now.grid_sink") },
        { id: "homes", kind: "homes", label: t("js.now.homes") },
      ],
      flows: flows.map(({ from, to, ...energies }) => ({
        from: from === "grid" ? "grid-source" : from,
        to: to === "grid" ? "grid-sink" : to,
        ...energies,
      })),
      name: flow.closest("figure").querySelector("figcaption").textContent.trim(),
      figure: (wh) => energy(wh),
    });
  }
  const day = part.querySelector("[data-day-curve]");
  if (day) drawDay(day, windows, {
    given: t("js.now.given"), taken: t("js.now.taken"), traded: t("js.now.traded"),
  });
  const price = part.querySelector("[data-price-curve]");
  if (price) drawPrices(price, windows, {
    local: t("js.now.price"), gridImport: t("js.now.grid_import"), gridExport: t("js.now.grid_export"),
  });
}

const live = () => document.getElementById("live");
if (live().dataset.live === "on") keepLive("live", EVENTS, draw);
draw(live());

let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) {
    width = innerWidth;
    draw(live());
  }
});
for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
  matchMedia(query).addEventListener("change", () => draw(live()));
}
