// What the frameworks' own tracing told of their runs, against what passed the wire and the tool runner.

import { badge, count, counted, el, section, table } from "./dom.js";
import { cellsOfSide, median, sideName, store, string } from "./data.js";
import { address } from "./address.js";

const MAX_LINKS = 20;
const hasTokensRight = (score) => ["input_tokens", "output_tokens"].every((name) => (score[name] ?? 0) === (score[`${name}_seen`] ?? 0));
const isOneTree = (score) => score.traces <= 1 && !score.orphans;
/** By the kind of a gap: whether a run has it. */
const GAP_TESTS = {
  fewer_model_calls: (score) => score.model_calls_seen < score.model_calls,
  more_model_calls: (score) => score.model_calls_seen > score.model_calls,
  no_repeats: (score) => score.requests > score.model_calls && score.model_calls_seen < score.requests,
  other_tokens: (score) => !hasTokensRight(score),
  fewer_tools: (score) => score.tools_seen < score.tools,
  more_tools: (score) => score.tools_seen > score.tools,
  no_error: (score) => score.errors_seen < score.errors,
  no_tree: (score) => !isOneTree(score),
};

/** How much of a run its own tracing told; null where that was not scored. */
export function scoreOf(at) {
  const values = store.columns.tracing[at];
  return values ? Object.fromEntries(store.data.scored.map((name, place) => [name, values[place]])) : null;
}

/** Whether the own tracing of a run that was scored does not tell all of it, or tells it wrong. */
export function hasGap(at) {
  return Object.values(GAP_TESTS).some((test) => test(scoreOf(at)));
}

/** The numbers of a side, computed from its cells, and the cells with each gap. */
export function tracedSide(side) {
  const cells = cellsOfSide(side).filter((at) => store.columns.tracing[at]);
  const scores = cells.map(scoreOf);
  const sum = (name) => scores.reduce((all, score) => all + score[name], 0);
  const runs = (test) => scores.filter(test).length;
  return {
    numbers: {
      runs: cells.length,
      model_calls: sum("model_calls"),
      model_calls_seen: sum("model_calls_seen"),
      with_model_calls_right: runs((score) => score.model_calls === score.model_calls_seen),
      with_tokens_right: runs(hasTokensRight),
      tools: sum("tools"),
      tools_seen: sum("tools_seen"),
      with_errors: runs((score) => score.errors),
      with_errors_seen: runs((score) => score.errors && score.errors_seen >= score.errors),
      with_parents_right: runs(isOneTree),
    },
    cpu: median(scores.filter((score) => score.cpu_with && score.cpu_without).map((score) => score.cpu_with / score.cpu_without)),
    gaps: Object.fromEntries(Object.entries(GAP_TESTS).map(([kind, test]) => [kind, cells.filter((_, place) => test(scores[place]))])),
  };
}

const share = (some, all) => (all ? badge(some === all ? "good" : "bad", `${count(some)}/${count(all)}`) : el("span", { class: "quiet" }, "none"));

function linkTo(at) {
  const c = store.columns;
  const state = { view: "cell", task: store.data.tasks[c.task[at]].id, side: sideName(c.side[at]), repeat: c.repeat[at] || null, fault: string(c.fault[at]), perturb: string(c.perturb[at]) };
  const more = [state.fault, state.perturb, state.repeat ? `repeat ${state.repeat + 1}` : null].filter(Boolean);
  return el("li", {}, el("a", { href: address(state) }, [state.task, ...more].join(", ")));
}

/** The table of the overview, with the runs that have each gap; null where nothing was scored. */
export function nativeTracing() {
  const { tracing } = store.data.claims;
  if (!tracing.length) return null;
  const head = ["side", "runs", "model calls told / made", "right in", "tokens right", "tool calls told / run", "errors told", "one tree", "CPU, ×"];
  const rows = tracing.map((row) => [
    sideName(row.side), count(row.runs),
    `${count(row.model_calls_seen)} / ${count(row.model_calls)}`, share(row.with_model_calls_right, row.runs),
    share(row.with_tokens_right, row.runs),
    `${count(row.tools_seen)} / ${count(row.tools)}`,
    share(row.with_errors_seen, row.with_errors),
    share(row.with_parents_right, row.runs),
    row.cpu ? [row.cpu.estimate.toFixed(2), " ", el("span", { class: "range" }, `${row.cpu.low.toFixed(2)} to ${row.cpu.high.toFixed(2)}`)] : "n/a",
  ]);
  const gaps = tracing.map((row) => {
    const computed = tracedSide(row.side).gaps;
    return [el("h3", {}, sideName(row.side)), row.gaps.length
      ? row.gaps.map((gap) => el("details", {}, el("summary", {}, `${gap.text}: ${count(gap.runs)} of ${counted(row.runs, "run")}`),
        el("ul", {}, computed[gap.kind].slice(0, MAX_LINKS).map(linkTo)),
        computed[gap.kind].length > MAX_LINKS ? el("p", { class: "quiet" }, `and ${count(computed[gap.kind].length - MAX_LINKS)} more`) : null))
      : el("p", { class: "quiet" }, "No gap was found.")];
  });
  return section("tracing", "The frameworks' own tracing", "What each framework's own spans tell of its runs, against what passed the wire and the tool runner. Right and errors are counted in runs; those with an error are the ones in which a tool failed, or the last model call. CPU is that of a run with this tracing by that of one without it, the median with its 95 % bootstrap interval.",
    table("The frameworks' own tracing against the wire", head.map((text, at) => ({ text, right: at > 0 })), rows), gaps);
}

/** The gaps of one run in words; null where its own tracing was not scored. */
export function gapsOf(at) {
  const score = scoreOf(at);
  if (score === null) return null;
  const words = new Map(store.data.claims.tracing.flatMap((row) => row.gaps.map((gap) => [gap.kind, gap.text])));
  return Object.entries(GAP_TESTS).filter(([, test]) => test(score)).map(([kind]) => words.get(kind) ?? kind).join("; ") || "none";
}

/** What the own tracing of one run told, beside what there was; null where it was not scored. */
export function tracedRun(at) {
  const score = scoreOf(at);
  if (score === null) return null;
  const names = [["model calls", "model_calls"], ["input tokens", "input_tokens"], ["output tokens", "output_tokens"], ["tool calls", "tools"], ["errors", "errors"]];
  const rows = names.map(([text, name]) => [text, count(score[name]), count(score[`${name}_seen`])]);
  rows.push(["trees of spans", "1", count(score.traces + score.orphans)]);
  return section("own-tracing", "The framework's own tracing", `What its spans tell of this run, beside what passed the wire and the tool runner. There were ${counted(score.requests, "request")}, further attempts included.`,
    table("The framework's own tracing of this run", [{ text: "" }, { text: "there were", right: true }, { text: "the spans tell", right: true }], rows));
}
