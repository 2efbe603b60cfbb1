// The classic comparison of frameworks: a figure of this run for each row, or none.

import { el, section, table } from "./dom.js";
import { cellsOfSide, median, sideName, store, string } from "./data.js";
import { hasGap } from "./native_tracing.js";

function hasAllSpans(at) {
  const c = store.columns;
  const names = string(c.shape[at]).split(/[(),\s]+/);
  const counted = (name) => names.filter((one) => one === name).length;
  return counted("chat") >= c.requests[at] - c.retries[at] && counted("execute_tool") >= c.reached[at];
}

const sharesOf = (cells, test) => [cells.filter(test).length, cells.length];

function medianOfPassed(side, column) {
  const times = cellsOfSide(side).filter((at) => store.columns.passed[at] && column[at] !== null).map((at) => column[at]);
  return times.length ? [median(times) / 1e6] : [];
}

/** By the key of a row whose figures are those of its cells: the figures of a side, computed anew. */
export const CLASSIC_FIGURES = {
  retrieval: (side) => {
    const found = cellsOfSide(side).map((at) => store.columns.documents[at]).filter(Boolean);
    return [0, 1].map((at) => found.reduce((sum, one) => sum + one[at], 0));
  },
  performance: (side) => medianOfPassed(side, store.columns.overhead),
  cpu: (side) => medianOfPassed(side, store.columns.cpu),
  debugging: (side) => sharesOf(cellsOfSide(side).filter((at) => string(store.columns.shape[at])), hasAllSpans),
  own_tracing: (side) => sharesOf(cellsOfSide(side).filter((at) => store.columns.tracing[at]), (at) => !hasGap(at)),
};

export function classic() {
  const head = [{ text: "what, and its figure of this run" }, ...store.data.sides.map((_, at) => ({ text: sideName(at), right: true }))];
  const rows = store.data.classic.map((row) => [[row.what, el("span", { class: "quiet" }, row.how)], ...store.data.sides.map((_, at) => row.values[at] || el("span", { class: "quiet" }, "not measured"))]);
  return section("classic", "The classic comparison", "The rows of the usual comparison of frameworks. What this run has no figure for is not measured here, and no opinion stands for it.", table("The classic comparison", head, rows, { class: "classic" }));
}
