/* The list of modules, search, deep links, and the start of it all. */

/* ---- a module -------------------------------------------------------------------------- */

const inLine = (versions, line) => (line ? versions.filter((each) => each.line === line) : versions);
const pick = (versions) => best(inLine(versions, form.elements.line.value)) || best(versions);

function card(module) {
  const version = pick(module.heads);
  const bodyId = `${module.id}/body`;
  const isOpen = state.open.has(module.id);
  const button = el("button", { type: "button", "aria-expanded": String(isOpen), "aria-controls": bodyId },
    shown(module.name || module.id));
  button.addEventListener("click", () => toggle(module));
  const article = el("article", { id: module.id, class: isOpen ? "open" : null, "aria-label": visible(module.name || module.id) },
    el("div", { class: "summary" },
      el("h2", {}, button),
      el("p", { class: "from" }, module.vendor ? el("span", {}, "by ", shown(module.vendor)) : null, shown(module.id, "code")),
      module.description ? el("p", { class: "about" }, shown(module.description)) : null,
      el("p", { class: "facts" },
        el("span", { class: "number" }, shown(version.version)), badges(version),
        el("span", {}, ignition(version)),
        version.published_at ? el("span", {}, day(version.published_at)) : null,
        module.count > 1 ? el("span", {}, plural(module.count, "version")) : null),
      version.yanked ? el("p", { class: "reason" }, "Yanked: ", shown(version.yanked)) : null),
    el("div", { id: bodyId, class: "body", hidden: isOpen ? null : "" }));
  return el("li", {}, article);
}

function bodyOf(module, versions, version, record) {
  const wanted = state.open.get(module.id);
  return [
    wanted === undefined || wanted === version.version ? null : missingBanner(module, wanted),
    version.yanked === null ? null : yankedBanner(module, versions, version),
    version.stage === "malformed" ? malformedBanner() : null,
    expiryBanner(record),
    titleOf(module, version),
    worksWith(version, record),
    installing(module, version),
    checking(version, record),
    record ? describing(module, version, record) : withoutRecord(module, version),
    notesOf(record),
    versionsOf(module, versions, version.version),
  ].filter((part) => part !== null);
}

/* Where the module's index can't be loaded. */
function failed(module, problem) {
  say(`The versions of ${visible(module.name || module.id)} could not be loaded.`);
  return [el("p", { class: "note" },
    `The versions could not be loaded: ${visible(problem.message)}. See `,
    el("a", { href: indexOf(module.id) }, "all versions (JSON)"), ". ", advice())];
}
const advice = () => (isolated && !served
  ? "If this folder was copied, run ign-deploy reindex on it." : "");

async function contentOf(module) {
  try {
    const { versions, records } = await loadVersions(module);
    const wanted = state.open.get(module.id);
    const version = versions.find((each) => each.version === wanted) || pick(versions);
    return bodyOf(module, versions, version, await loadRecord(module, version, records));
  } catch (problem) {
    return failed(module, problem);
  }
}

/* Load and show what is in an open module; of several calls the last one counts. */
const filling = new Map();
async function fill(module) {
  const body = byId(`${module.id}/body`);
  if (!body) return;
  const turn = {};
  filling.set(module.id, turn);
  if (!body.childNodes.length) body.append(el("p", { class: "note" }, "Loading\u2026"));
  body.setAttribute("aria-busy", "true");
  const parts = await contentOf(module);
  if (filling.get(module.id) !== turn) return;
  body.removeAttribute("aria-busy");
  body.replaceChildren(...parts);
}

async function setOpen(module, version) {
  state.open.set(module.id, version);
  const article = byId(module.id);
  if (!article) return;
  article.classList.add("open");
  article.querySelector("button").setAttribute("aria-expanded", "true");
  byId(`${module.id}/body`).hidden = false;
  await fill(module);
}

function toggle(module) {
  if (!state.open.delete(module.id)) {
    setOpen(module);
    return;
  }
  const article = byId(module.id);
  article.classList.remove("open");
  article.querySelector("button").setAttribute("aria-expanded", "false");
  byId(`${module.id}/body`).hidden = true;
}

/* ---- search ---------------------------------------------------------------------------- */

const haystack = (module) =>
  [module.id, module.name, module.vendor, module.description, ...module.tags].join("\n").toLowerCase();

function found() {
  const words = query.value.toLowerCase().split(/\s+/).filter((word) => word);
  return state.modules.filter((module) => words.every((word) => haystack(module).includes(word)));
}

function summary(matching, silent, line) {
  const all = plural(state.modules.length, "module");
  let text = matching.length === state.modules.length ? `${all}.` : `${matching.length} of ${all}.`;
  if (line && silent) text += silent === 1
    ? " 1 more does not say which Ignition it needs."
    : ` ${silent} more do not say which Ignition they need.`;
  return text;
}

const byName = (a, b) =>
  (a.name || a.id).localeCompare(b.name || b.id, "en", { numeric: true }) || (a.id < b.id ? -1 : 1);
const newestOf = (module) => module.heads[0].published_at;
const orders = {
  name: byName,
  newest: (a, b) => newestOf(b).localeCompare(newestOf(a)) || byName(a, b),
  /* Without one at the end. */
  vendor: (a, b) => !a.vendor - !b.vendor || a.vendor.localeCompare(b.vendor, "en") || byName(a, b),
};
const sort = () => state.modules.sort(orders[form.elements.sort.value]);

function render() {
  sort();
  const line = form.elements.line.value;
  const words = found();
  const matching = words.filter((each) => inLine(each.heads, line).length);
  const silent = words.filter((each) => !matching.includes(each) && each.heads.every((version) => !version.line)).length;
  const visibleOnes = matching.slice(0, state.limit);
  list.replaceChildren(...visibleOnes.map(card));
  for (const module of visibleOnes) if (state.open.has(module.id)) fill(module);
  more.hidden = matching.length <= state.limit;
  if (!matching.length) list.append(nothing());
  say(summary(matching, silent, line));
}

function nothing() {
  if (!state.modules.length) return el("li", { class: "nothing" }, "Nothing is published here yet.");
  const button = el("button", { type: "button", class: "quiet" }, "Clear search and filter");
  button.addEventListener("click", () => {
    form.reset();
    render();
    query.focus();
  });
  return el("li", { class: "nothing" }, el("p", {}, "No module matches."), button);
}

function makeLines() {
  const known = new Set(["8.1", "8.3"]);
  for (const module of state.modules) for (const version of module.heads) if (version.line) known.add(version.line);
  const sorted = [...known].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  for (const line of ["", ...sorted.slice(-8)]) {
    lines.append(el("label", {},
      el("input", { type: "radio", name: "line", value: line, checked: line ? null : "" }),
      el("span", {}, line || "Any")));
  }
}

/* ---- deep links: #com.acme.thing and #com.acme.thing@1.2.0 ------------------------------ */

function focusOn(node, top = node) {
  if (!node) return;
  node.focus({ preventScroll: true });
  top.scrollIntoView({ block: "start" });
}

async function follow() {
  let target;
  try {
    target = decodeURIComponent(location.hash.slice(1));
  } catch {
    return;
  }
  const [id, version] = target.split("@", 2);
  const module = state.modules.find((each) => each.id === id);
  if (!module) return;
  if (!byId(id)) {
    form.reset();
    sort();
    state.limit = Math.max(state.limit, state.modules.indexOf(module) + 1);
    render();
  }
  await setOpen(module, version);
  const body = byId(`${module.id}/body`);
  const part = version === undefined ? null : body.querySelector(".banner[tabindex]") || body.querySelector("h3");
  focusOn(part || byId(id).querySelector("button"), byId(id));
}

/* ---- start ----------------------------------------------------------------------------- */

function onKey(event) {
  const typing = event.target instanceof HTMLInputElement && event.target.type !== "radio";
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    query.focus();
  }
}

form.addEventListener("input", () => {
  state.limit = PAGE_OF_MODULES;
  render();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  focusOn(list.querySelector("h2 button"));
});
more.firstElementChild.addEventListener("click", () => {
  const before = state.limit;
  state.limit += PAGE_OF_MODULES;
  render();
  focusOn(list.children[before]?.querySelector("h2 button"));
});

async function start() {
  loading.textContent = "Loading\u2026";
  try {
    state.modules = await loadModules();
  } catch (problem) {
    loading.textContent = `The list of modules could not be loaded: ${visible(problem.message)}. ${advice()}`;
    return;
  }
  loading.remove();
  makeLines();
  total.textContent = state.modules.length
    ? "Choose a module for its versions, checksums and signer." : "";
  tools.hidden = false;
  if (state.modules.length === 1) state.open.set(state.modules[0].id, undefined);
  render();
  addEventListener("keydown", onKey);
  addEventListener("hashchange", follow);
  await follow();
}
start();
