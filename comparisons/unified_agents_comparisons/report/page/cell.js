// The view of one run, and of two side by side.

import { badge, count, el, ms, section, table } from "./dom.js";
import { bodiesOf, sideName, store, string } from "./data.js";
import { address } from "./address.js";
import { gapsOf, tracedRun } from "./native_tracing.js";
import { waterfall } from "./charts.js";
import { exchanges, firstDifference, sideBySide, toolCalls, transcript } from "./exchanges.js";

function findRow(state) {
  return store.rows.find((row) => row.id === state.task && (string(row.fault) || "") === (state.fault || "") && (string(row.perturb) || "") === (state.perturb || ""));
}

function findCell(row, name, repeat) {
  const c = store.columns;
  const side = store.data.sides.findIndex((_, at) => sideName(at) === name);
  const cells = row.sides.get(side) || [];
  return cells.find((at) => c.repeat[at] === Number(repeat || 0)) ?? null;
}

function links(label, items, current) {
  return el("nav", { class: "links", "aria-label": label }, el("span", { class: "quiet" }, label), items.map(([text, state, kind]) => el("a", { href: address(state), class: kind, "aria-current": text === current ? "true" : null }, text)));
}

function missing() {
  return [section("missing", "Not in this report", "The address names a run that this page does not have.", el("p", {}, el("a", { href: "#" }, "Back to the overview")))];
}

function facts(at) {
  const c = store.columns;
  const status = c.passed[at] ? badge("good", "passed") : badge("bad", `not passed, ${string(c.status[at])}`);
  return [
    ["outcome", [status, c.infrastructure[at] ? " failure of the infrastructure" : "", " ", string(c.what[at])]],
    ["answer", string(c.answer[at]) ?? "none"],
    ["error", string(c.kind[at]) || "none"],
    ["total", ms(c.total[at])], ["model", ms(c.model[at])], ["tools", ms(c.tool[at])], ["waiting", ms(c.waiting[at])], ["overhead", ms(c.overhead[at])],
    ["first token", ms(c.first_token[at])],
    ["requests", `${count(c.requests[at])}, of these ${count(c.retries[at])} retries`],
    ["tokens in / out", `${count(c.input[at])} / ${count(c.output[at])}`],
    ["cached, written, reasoning", `${count(c.cached[at])}, ${count(c.written[at])}, ${count(c.reasoning[at])}`],
    ["cost", c.cost[at] === null ? "unknown" : `${c.cost[at].toPrecision(4)} ${store.data.head.currency ?? ""}`],
    ["bytes of each request", c.bytes[at].map(count).join(", ") || "none"],
    ...(store.data.claims.tracing.length ? [["gaps of its own tracing", gapsOf(at) ?? "not scored"]] : []),
  ];
}

function heading(state, row, text) {
  const task = store.data.tasks[row.task];
  const extra = [string(row.fault), string(row.perturb)].filter(Boolean).join(", ");
  const { q, re, filter, sort } = state;
  return [el("p", {}, el("a", { href: address({ q, re, filter, sort, at: "matrix" }), class: "back" }, "← All tasks")), el("h1", {}, `${row.id}${extra ? `, ${extra}` : ""}`), el("p", { class: "lead" }, text), task.description ? el("p", {}, task.description) : null,
    task.native ? el("p", { class: "note" }, `Under native handling: ${task.native}`) : null];
}

export async function cellView(state) {
  const row = findRow(state);
  const at = row ? findCell(row, state.side, state.repeat) : null;
  if (at === null) return missing();
  const c = store.columns;
  const base = { ...state, view: "cell" };
  const sides = [...row.sides.keys()].sort((a, b) => a - b).map((side) => [sideName(side), { ...base, side: sideName(side) }, row.sides.get(side).every((one) => c.passed[one]) ? "good" : "bad"]);
  const repeats = row.sides.get(c.side[at]).map((one) => [String(c.repeat[one] + 1), { ...base, repeat: c.repeat[one] || null }, c.passed[one] ? "good" : "bad"]);
  const others = sides.filter(([name]) => name !== state.side).map(([name]) => [name, { ...state, view: "pair", other: name }, ""]);
  const head = el("section", { id: "cell" }, heading(state, row, `${state.side}, repeat ${c.repeat[at] + 1}`),
    links("Side", sides, state.side), repeats.length > 1 ? links("Repeat", repeats, String(c.repeat[at] + 1)) : null, others.length ? links("Side by side with", others, null) : null,
    el("dl", { class: "facts" }, facts(at).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    c.reasons[at].length ? [el("h3", {}, "Why it did not pass"), el("ul", {}, c.reasons[at].map((reason) => el("li", {}, string(reason))))] : null);
  const traced = tracedRun(at);
  const bodies = await bodiesOf(at);
  if (bodies === null) return [head, traced, section("texts", "Texts of this run", null, el("p", { class: "quiet" }, "This page does not carry the texts of this run. The folder details/ beside it may have them."))].filter(Boolean);
  return [head, section("waterfall", "Waterfall", null, waterfall(bodies.spans)), section("transcript", "Conversation", null, transcript(bodies)), section("calls", "Tool calls", null, toolCalls(bodies)),
    section("exchanges", "Exchanges with the model", "Each has four texts: what the framework sent, what we sent, what the model answered, and what the framework got.", exchanges(bodies)), traced].filter(Boolean);
}

export async function pairView(state) {
  const row = findRow(state);
  const [one, other] = row ? [state.side, state.other].map((name) => findCell(row, name, state.repeat)) : [null, null];
  if (one === null || other === null) return missing();
  const [mine, theirs] = [facts(one), facts(other)];
  const rows = mine.map(([name, value], at) => [name, value, theirs[at][1]]);
  const left = `${state.side}`;
  const right = `${state.other}`;
  const head = el("section", { id: "cell" }, heading(state, row, `${left} and ${right}, repeat ${Number(state.repeat || 0) + 1}`),
    links("Alone", [[left, { ...state, view: "cell", other: null }, ""], [right, { ...state, view: "cell", side: right, other: null }, ""]], null),
    table("Figures of both runs", [{ text: "" }, { text: left }, { text: right }], rows));
  const [a, b] = [await bodiesOf(one), await bodiesOf(other)];
  if (a === null || b === null) return [head, section("texts", "Texts of these runs", null, el("p", { class: "quiet" }, "This page does not carry the texts of both runs."))];
  return [head, section("difference", "Where they part", "The first exchange in which they differ: in what we sent, else in what the model answered, else in what the framework sent.", firstDifference(a, b, left, right)),
    section("sides", "Conversations", null, sideBySide(a, b, left, right)),
    section("waterfalls", "Waterfalls", null, el("div", { class: "figures" }, [[left, a], [right, b]].map(([name, bodies]) => el("div", {}, el("h3", {}, name), waterfall(bodies.spans)))))];
}
