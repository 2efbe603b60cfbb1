// The overview: verdict, results, matrix, and all that follows.

import { badge, count, counted, el, section } from "./dom.js";
import { store } from "./data.js";
import { MEASURES, boxes, ecdf, hasValues } from "./charts.js";
import { about, consistency, faults, results, schemas, steps, tests } from "./tables.js";
import { classic } from "./classic.js";
import { nativeTracing } from "./native_tracing.js";
import { matrix } from "./matrix.js";

export function overview(state, checks) {
  const { head, sentences, sides, tasks } = store.data;
  const verdict = el("section", { id: "verdict", class: "verdict", "aria-labelledby": "verdict-title" },
    el("p", { class: "quiet" }, head.description),
    el("h1", { id: "verdict-title" }, `${head.suite}: ${sentences[0].text}`),
    checks.wrong.length ? el("p", { class: "note bad" }, `${count(checks.wrong.length)} numbers of this report do not match its cells: `, el("a", { href: "#at=about" }, "see which")) : null,
    el("ul", { class: "chips" }, [counted(tasks.length, "task"), counted(sides.length, "side"), counted(head.repeats, "repeat"), counted(store.columns.task.length, "run"), `model ${head.model}`, head.date].filter(Boolean).map((text) => el("li", {}, text))),
    el("ul", { class: "sentences" }, sentences.slice(1).map((one) => el("li", {}, badge(one.kind, ""), el("span", {}, one.text)))));
  const measures = Object.keys(MEASURES).filter(hasValues);
  const distributions = measures.length
    ? section("distributions", "Distributions", "Of the runs that passed. The scale is logarithmic, and ends at the 99th percentile.", el("div", { class: "figures" }, measures.map((measure) => [ecdf(measure), boxes(measure)])))
    : null;
  return [verdict, results(), matrix(state), tests(), distributions, steps(), consistency(), faults(), schemas(), nativeTracing(), classic(), about(checks)].filter(Boolean);
}
