// Tables of the overview that need no choice by the reader.

import { badge, brief, count, el, ms, percent, section, table } from "./dom.js";
import { cellsOfSide, mean, median, sideName, store, string } from "./data.js";

const seconds = (value) => (value === null || value === undefined ? null : value * 1e6);
const interval = (value, show) => (value ? [show(value.estimate), " ", el("span", { class: "range" }, `${show(value.low)} to ${show(value.high)}`)] : "n/a");
const right = (texts, from = 1) => texts.map((text, at) => ({ text, right: at >= from }));

const kindsOfTokens = (usage) => [[usage.cached_input_tokens, "cached"], [usage.cache_write_tokens, "written"], [usage.reasoning_tokens, "reasoning"]]
  .filter(([value]) => value !== null).map(([value, name]) => `${brief(value)} ${name}`).join(", ") || "n/a";

/** What a side cost; unknown where no price was given, or a server told of no tokens. */
function costOf(group) {
  if (group.cost === null) return "unknown";
  const { currency } = store.data.head;
  return `${group.cost.toPrecision(4)}${currency ? ` ${currency}` : ""}${group.unpriced ? `, ${count(group.unpriced)} runs unknown` : ""}`;
}

export function results() {
  const head = right(["side", "passed", "pass rate", "by task or source", "median total", "p95", "median overhead", "first token", "requests", "retries", "tokens in / out", "of these", "cost", "bytes sent"]);
  const wrong = store.data.head.perturb.length > 0;
  const rows = store.data.claims.groups.map((group, side) => [
    sideName(side),
    badge(group.passed === (wrong ? 0 : group.total) ? "good" : group.passed === 0 || wrong ? "bad" : "mixed", `${group.passed}/${group.total}`),
    interval(group.pass_rate, percent),
    interval(group.clustered, percent),
    interval(group.seconds, (value) => ms(seconds(value))),
    ms(seconds(group.p95)),
    interval(group.overhead, (value) => ms(seconds(value))),
    interval(group.first_token, (value) => ms(seconds(value))),
    count(group.requests), count(group.retries),
    `${brief(group.usage.input_tokens)} / ${brief(group.usage.output_tokens)}`,
    kindsOfTokens(group.usage),
    costOf(group),
    brief(group.request_bytes),
  ]);
  const lost = store.data.claims.groups.reduce((sum, group) => sum + group.infrastructure, 0);
  return section("results", "Results", `Times are medians of the runs that passed, with 95 % bootstrap intervals; failed runs enter no time. Overhead is what is left of a run without model, tools and waiting.${lost ? ` ${count(lost)} runs failed for want of the model's server; they enter no pass rate.` : ""}`, table("Results of each side", head, rows));
}

const METRICS = { passed: "passes", total: "total time", overhead: "overhead" };

export function tests() {
  const { tests: found } = store.data.claims;
  if (!found.length) return null;
  const percentOf = (value, metric) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(100 * value).toFixed(1)} ${metric === "passed" ? "pt" : "%"}`;
  const head = right(["what", "left", "right", "pairs", "effect, left against right", "p, adjusted", "conclusion"], 3).map((one, at) => (at === 6 ? { text: one.text } : one));
  const rows = found.map((test) => {
    const kind = test.shown ? "shown" : test.conclusion === "alike" ? "good" : "open";
    const scope = test.shown ? (test.generalises ? "for tasks like these too" : "on these tasks") : test.why;
    return [METRICS[test.metric], sideName(test.left), sideName(test.right), count(test.pairs),
      [percentOf(test.effect.estimate, test.metric), " ", el("span", { class: "range" }, `${percentOf(test.effect.low, test.metric)} to ${percentOf(test.effect.high, test.metric)}`)],
      test.p_adjusted < 0.001 ? "< 0.001" : test.p_adjusted.toFixed(3), [badge(kind, test.conclusion), " ", el("span", { class: "quiet" }, scope)]];
  });
  const { looks, power } = store.data.head;
  return section("tests", "More than chance?", `Run by run: passes by McNemar's exact test, times by a paired permutation test on runs that passed on both sides. Adjusted by Holm's method${looks > 1 ? ` and for ${looks} looks` : ""}; shown below 0.05. Alike: within 5 % or 5 points, by two one-sided tests.`, table("Tests of the sides against each other", head, rows), power ? el("p", { class: "note" }, power) : null);
}

/** How the repeats of each task agree: outcome, path through the tools, and time. */
export function consistency() {
  const c = store.columns;
  const rows = store.data.claims.groups.map((group, side) => {
    const tasks = new Map();
    for (const at of cellsOfSide(side)) {
      const key = `${c.task[at]} ${c.fault[at]} ${c.perturb[at]}`;
      if (!tasks.has(key)) tasks.set(key, []);
      tasks.get(key).push(at);
    }
    const several = [...tasks.values()].filter((cells) => cells.length > 1);
    if (!several.length) return null;
    const same = (what) => mean(several.map((cells) => Number(new Set(cells.map(what)).size === 1)));
    const spreads = several.map((cells) => cells.filter((at) => c.passed[at] && c.total[at]).map((at) => c.total[at])).filter((times) => times.length > 1)
      .map((times) => Math.sqrt(times.reduce((sum, time) => sum + (time - mean(times)) ** 2, 0) / (times.length - 1)) / mean(times));
    const last = group.consistency[group.consistency.length - 1];
    return [sideName(side), percent(same((at) => `${c.passed[at]} ${c.what[at]}`)), percent(same((at) => `${c.shape[at]} ${c.calls[at].join()}`)), percent(same((at) => `${c.requests[at]} ${c.input[at]} ${c.output[at]}`)), percent(median(spreads), 1),
      last ? `${percent(last.any)} / ${percent(last.all)} (k = ${last.k})` : "n/a"];
  });
  if (rows.some((row) => row === null)) return null;
  return section("consistency", "Consistency over repeats", "The share of tasks whose repeats all had the same outcome, took the same path (spans and calls), and used as many requests and tokens; and how far their times scatter.",
    table("Consistency over repeats", right(["side", "same outcome", "same path", "same requests and tokens", "scatter of total", "pass@k / pass^k"]), rows));
}

/** Tokens and bytes of each step, and what a prompt cache would save. */
export function steps() {
  const c = store.columns;
  const depth = Math.min(8, Math.max(0, ...c.bytes.map((some) => some.length)));
  if (!depth) return null;
  const middle = (cells, column, step) => {
    const known = cells.map((at) => column[at][step]).filter((value) => value !== undefined && value !== null);
    return known.length ? count(Math.round(median(known))) : null;
  };
  const rows = store.data.sides.map((_, side) => {
    const cells = cellsOfSide(side);
    const byStep = Array.from({ length: depth }, (_none, step) => {
      const [bytes, tokens] = [c.bytes, c.tokens].map((column) => middle(cells, column, step));
      return bytes === null ? "" : [`${bytes} `, el("span", { class: "range" }, `${tokens ?? "n/a"} tokens`)];
    });
    const sum = (column) => cells.reduce((all, at) => all + (column[at] || 0), 0);
    const sent = cells.reduce((all, at) => all + (c.repeated[at] === null ? 0 : c.bytes[at].reduce((a, b) => a + b, 0)), 0);
    return [sideName(side), ...byStep, sent ? percent(sum(c.repeated) / sent) : "n/a", count(sum(c.cached))];
  });
  return section("steps", "Bytes and tokens of each step", "Median size of the request of each step, in bytes and in input tokens as the model's server counts them. Repeated is the share of all bytes that begin a request as they began the one before, which a prompt cache could save; cached is what the model's server said that it saved.",
    table("Bytes and tokens of each step", right(["side", ...Array.from({ length: depth }, (_none, step) => `step ${step + 1}`), "repeated", "tokens cached"]), rows));
}

export function faults() {
  if (!store.data.faults.length) return null;
  const c = store.columns;
  const good = new Set(["recovered", "failed clearly"]);
  const byKind = new Map();
  for (let at = 0; at < c.task.length; at += 1) {
    if (c.fault[at] < 0) continue;
    const key = `${string(c.fault[at]).split("@")[0]} ${c.side[at]}`;
    if (!byKind.has(key)) byKind.set(key, []);
    byKind.get(key).push(at);
  }
  const rows = store.data.faults.map((row) => [
    [el("strong", {}, row.kind), el("br"), el("span", { class: "quiet" }, row.description)],
    ...store.data.sides.map((side, at) => {
      const cells = byKind.get(`${row.kind} ${at}`) || [];
      if (!cells.length) return "";
      const tally = new Map();
      for (const cell of cells) tally.set(string(c.verdict[cell]) || "hung", (tally.get(string(c.verdict[cell]) || "hung") || 0) + 1);
      const kinds = [...new Set(cells.map((cell) => string(c.kind[cell])).filter(Boolean))].sort().join(", ");
      const told = row.outcomes.find((one) => one.backend === side.backend && one.handling === side.handling);
      const names = [...tally].map(([name, number]) => (tally.size > 1 ? `${number} ${name}` : name)).join(", ");
      return [badge([...tally.keys()].every((name) => good.has(name)) ? "good" : "bad", names), kinds ? el("div", { class: "quiet" }, kinds) : null,
        el("div", { class: "quiet" }, `${[...new Set(cells.map((cell) => c.requests[cell]))].sort((a, b) => a - b).join(", ")} requests`),
        told && told.told.length ? el("details", {}, el("summary", {}, "told the model"), told.told.map((text) => el("pre", {}, text))) : null];
    })]);
  return section("faults", "Faults", "What each fault came to on each side.", table("Fault matrix", right(["fault", ...store.data.sides.map((_, at) => sideName(at))], 99), rows, { class: "tall" }));
}

export function schemas() {
  if (!store.data.schemas.length) return null;
  const listed = (paths, sign) => (paths.length ? el("div", {}, `${sign} `, paths.map((path) => [el("code", {}, path), " "])) : null);
  const tally = (values) => {
    const all = Object.entries(values);
    return all.length ? `${count(all.reduce((sum, [, number]) => sum + number, 0))} (${all.slice(0, 6).map(([name, number]) => `${name} ${number}`).join(", ")}${all.length > 6 ? ", …" : ""})` : "0";
  };
  const rows = store.data.schemas.map((one) => [`${one.backend}, ${one.handling}`, `${one.whole}/${one.tools}`, count(one.keywords), tally(one.lost), tally(one.added)]);
  const changed = store.data.schemas.filter((one) => one.changes.length).map((one) => el("details", {},
    el("summary", {}, `${one.backend}, ${one.handling}: what was done to ${one.changes.length + one.more} tools`),
    el("ul", {}, one.changes.map((tool) => el("li", {}, el("strong", {}, tool.tool), listed(tool.lost, "lost"), listed(tool.added, "added")))),
    one.more ? el("p", {}, `and ${one.more} more in summary.json`) : null));
  return section("schemas", "Tool schemas", "What each framework did to each tool's schema on its way to the model, keyword by keyword. A changed value is lost and added. These figures are of the first repeat, and are not computed anew by this page.", table("Tool schemas as they reached the model", right(["side", "arrived whole", "keywords", "lost", "added"]).map((one, at) => (at > 2 ? { text: one.text } : one)), rows), changed);
}

export function about(checks) {
  const { head, kept } = store.data;
  const versions = Object.entries(head.versions).map(([backend, some]) => [backend, Object.entries(some).map(([name, version]) => `${name} ${version}`).join(", ")]);
  const facts = [["suite", `${head.suite} (${head.digest.slice(0, 12)})`], ["model", head.models.join(", ")], ["protocol", head.protocol || "not recorded"], ["variant", head.variant], ["repeats", count(head.repeats)], ["seed", count(head.seed)], ["made", head.date], ["machine", head.machine],
    ["texts of runs", kept.with_details ? `of ${count(kept.cells)} of ${count(kept.with_details)} runs that have them, cut at ${count(kept.cut)} characters` : "none are kept"]];
  const wrong = checks.wrong.map((one) => el("li", {}, `${one.what}: the report says ${one.claimed}, the cells say ${one.computed}`));
  return section("about", "About these numbers", null,
    el("p", { id: "checks", class: `note ${wrong.length ? "bad" : "good"}` }, wrong.length
      ? `${count(wrong.length)} of ${count(checks.checked)} numbers do not match the cells of this page:`
      : `This page computed ${count(checks.checked)} numbers anew from its cells; all match. Bootstrap intervals, clustered intervals and the p values of times are resampled, and stand as reported.`),
    wrong.length ? el("ul", { class: "wrong" }, wrong) : null,
    el("p", {}, head.models.every((model) => model.startsWith("replay of "))
      ? "A recording answered, the same on every backend. It shows what the backends make of the answers, and nothing of how well a model does."
      : head.models.every((model) => /^(oracle|script)(:|$)/.test(model))
      ? "A scripted model answered. It shows what the frameworks do with what a model says, and nothing of how well a model does: no conclusion about a model's quality may be drawn."
      : "A real model answered. Its answers vary from run to run; with few tasks and repeats chance decides as much as the backends."),
    head.scope.map((line) => el("p", { class: "note open" }, line)),
    el("dl", { class: "facts" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    table("Versions", [{ text: "backend" }, { text: "versions" }], versions));
}
