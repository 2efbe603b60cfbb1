// Draws the view that the address bar names.

import { el } from "./dom.js";
import { load, store } from "./data.js";
import { checkClaims } from "./checks.js";
import { overview } from "./overview.js";
import { cellView, pairView } from "./cell.js";
import { address, readAddress } from "./address.js";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
let checks = null;
let drawing = 0;

async function draw(focus) {
  const own = (drawing += 1);
  const state = readAddress();
  const parts = state.view === "cell" ? await cellView(state) : state.view === "pair" ? await pairView(state) : overview(state, checks);
  if (own !== drawing) return;
  main.replaceChildren(...parts);
  document.title = `${store.data.head.suite}${state.task ? `: ${state.task}` : ""} – comparison`;
  const titles = [...main.querySelectorAll("section[id] > h2")];
  nav.replaceChildren(...titles.map((title) => el("a", { href: address({ ...state, at: title.parentElement.id }) }, title.textContent)));
  const target = state.at ? document.getElementById(state.at) : null;
  if (target) target.scrollIntoView();
  else if (focus) window.scrollTo(0, 0);
  if (focus) (target || main).querySelector("h1, h2")?.focus?.();
}

const THEMES = ["system", "light", "dark"];

function startTheme() {
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || "system";
    const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    document.documentElement.dataset.theme = next;
    button.textContent = `Theme: ${next}`;
  });
}

startTheme();
try {
  await load();
  document.getElementById("suite").textContent = store.data.head.suite;
  checks = checkClaims();
  await draw(false);
  window.addEventListener("hashchange", () => draw(true));
  document.documentElement.dataset.ready = "yes";
} catch (error) {
  main.replaceChildren(el("p", { class: "alone" }, `This page cannot read its data: ${error.message}. Make it anew with: unified-agents report`));
}
