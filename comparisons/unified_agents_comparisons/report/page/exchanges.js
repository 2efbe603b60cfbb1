// What a run said and did: conversation, tool calls, and the exchanges as they stood on the wire.

import { badge, count, counted, el, ms } from "./dom.js";
import { textOf } from "./data.js";
import { diffLines, lines, pretty, withContext, withoutIds } from "./diff.js";

const FOUR = [
  [3, "What the framework sent"],
  [4, "What we sent"],
  [5, "What the model answered"],
  [6, "What the framework got"],
];

export function message(one, differs) {
  return el("li", { class: `message ${one.role}${differs ? " differs" : ""}` },
    el("p", { class: "who" }, one.role, differs ? " (differs)" : ""),
    one.original === undefined ? null : el("details", {}, el("summary", {}, "the model's turn as it wrote it, with its reasoning"), el("pre", {}, pretty(textOf(one.original)))),
    textOf(one.text) ? el("pre", { class: "said" }, textOf(one.text)) : null,
    (one.calls || []).map(([name, args]) => el("pre", { class: "call" }, `${name}(${textOf(args)})`)));
}

export function transcript(bodies) {
  return bodies.messages.length ? el("ol", { class: "transcript" }, bodies.messages.map((one) => message(one, false))) : el("p", { class: "quiet" }, "No conversation is kept of this run.");
}

export function toolCalls(bodies) {
  if (!bodies.calls.length) return el("p", { class: "quiet" }, "The model asked for no tool.");
  return el("ol", { class: "calls" }, bodies.calls.map((call) => el("li", {},
    el("p", {}, badge(call.ok ? "good" : "bad", call.ok ? "ran" : call.reached ? "failed" : "did not reach the tool"), " ", el("strong", {}, call.name), el("span", { class: "quiet" }, `  step ${(call.step ?? 0) + 1}, ${ms((call.seconds || 0) * 1e6)}`)),
    el("dl", { class: "texts" },
      el("dt", {}, "arguments"), el("dd", {}, el("pre", {}, textOf(call.arguments))),
      call.received !== null && textOf(call.received) !== textOf(call.arguments) ? [el("dt", {}, "received"), el("dd", {}, el("pre", {}, textOf(call.received)))] : null,
      call.content !== null ? [el("dt", {}, "result"), el("dd", {}, el("pre", {}, textOf(call.content)))] : null,
      call.error !== null ? [el("dt", {}, "error"), el("dd", {}, el("pre", {}, textOf(call.error)))] : null))));
}

function title(one, at) {
  const [step, attempt, status] = one;
  return `Exchange ${at + 1}: ${step === null ? "within a tool" : `step ${step + 1}`}${attempt > 1 ? `, attempt ${attempt}` : ""}, ${status === null ? "no answer" : `status ${status}`}`;
}

export function exchanges(bodies) {
  if (!bodies.exchanges.length) return el("p", { class: "quiet" }, "No exchange is kept of this run.");
  return el("div", {}, bodies.exchanges.map((one, at) => {
    const inside = el("div", {});
    const holder = el("details", { class: "exchange" }, el("summary", {}, title(one, at)), inside);
    holder.addEventListener("toggle", () => {
      if (!holder.open || inside.firstChild) return;
      const byText = new Map();
      for (const [place, name] of FOUR) {
        const text = textOf(one[place]);
        inside.append(el("h4", {}, name), text === "" ? el("p", { class: "quiet" }, "Nothing.") : byText.has(text) ? el("p", { class: "quiet" }, `The same, byte for byte: ${byText.get(text).toLowerCase()}.`) : el("pre", { class: "body", tabindex: "0", role: "region", "aria-label": name }, pretty(text)));
        if (!byText.has(text)) byText.set(text, name);
      }
    });
    return holder;
  }));
}

function drawDiff(difference, left, right) {
  const kinds = { "-": "gone", "+": "come", " ": "same" };
  return el("div", {},
    el("p", { class: "quiet" }, "− ", left, "; + ", right),
    el("pre", { class: "diff", tabindex: "0", role: "region", "aria-label": "Difference" }, withContext(difference).map((line) => (line === null ? el("span", { class: "gap" }, "⋯\n") : el("span", { class: kinds[line[0]] }, `${line[0] === "-" ? "−" : line[0]} ${line[1]}\n`)))));
}

/** The first exchange in which two runs part, as a diff. Ids of calls are numbered, as they differ in any two runs. */
export function firstDifference(one, other, left, right) {
  const length = Math.max(one.exchanges.length, other.exchanges.length);
  if (!length) return el("p", { class: "quiet" }, "No exchange is kept of these runs.");
  for (const [place, name] of [FOUR[1], FOUR[2], FOUR[0]]) {
    for (let at = 0; at < length; at += 1) {
      const [a, b] = [one.exchanges[at], other.exchanges[at]];
      if (!a || !b) return el("p", { class: "note shown" }, `The runs part after exchange ${at}: ${a ? right : left} asks the model no more.`);
      const texts = [a, b].map((each) => withoutIds(textOf(each[place])));
      const difference = diffLines(...texts.map(lines));
      const changed = difference.filter(([sign]) => sign !== " ").length;
      if (changed) return el("div", {}, el("p", { class: "note shown" }, `${title(a, at)}. ${name} differs in ${counted(changed, "line")}.`), drawDiff(difference, left, right));
    }
  }
  return el("p", { class: "note good" }, `Both runs sent and got the same in ${counted(length, "exchange")}, but for ids and the order of keys.`);
}

/** Two conversations side by side, message by message. */
export function sideBySide(one, other, left, right) {
  const same = (a, b) => a && b && a.role === b.role && textOf(a.text) === textOf(b.text) && JSON.stringify(callsOf(a)) === JSON.stringify(callsOf(b));
  const rows = Array.from({ length: Math.max(one.messages.length, other.messages.length) }, (_, at) => {
    const [a, b] = [one.messages[at], other.messages[at]];
    const differs = !same(a, b);
    return el("tr", { class: differs ? "differs" : null }, [a, b].map((each) => el("td", {}, each ? el("ul", { class: "transcript" }, message(each, differs)) : el("p", { class: "quiet" }, "nothing"))));
  });
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Conversations side by side" },
    el("table", { class: "pair", "aria-label": "Conversations side by side" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, left), el("th", { scope: "col" }, right))), el("tbody", {}, rows)),
    el("p", { class: "quiet" }, `${count(rows.filter((row) => row.className).length)} of ${counted(rows.length, "message")} differ.`));
}

function callsOf(one) {
  return (one.calls || []).map(([name, args]) => [name, textOf(args)]);
}
