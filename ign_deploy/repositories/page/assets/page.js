/* The list of modules, search, deep links, and the start of it all. */

/* ---- a module -------------------------------------------------------------------------- */

const pick = (module) => {
  const line = form.elements.line.value;
  return best(line ? module.versions.filter((each) => each.line === line) : module.versions) || module.versions[0];
};

function card(module) {
  const version = pick(module);
  const bodyId = `${module.id}/body`;
  const isOpen = state.open.has(module.id);
  const button = el("button", { type: "button", "aria-expanded": String(isOpen), "aria-controls": bodyId },
    shown(module.name || module.id));
  button.addEventListener("click", () => toggle(module));
  const article = el("article", { id: module.id, class: isOpen ? "open" : null, "aria-label": visible(module.name || module.id) },
    el("div", { class: "summary" },
      el("h2", {}, button),
      el("p", { class: "mono" }, shown(module.id)),
      module.description ? el("p", { class: "about" }, shown(module.description)) : null,
      el("p", { class: "facts" },
        el("span", { class: "number" }, shown(version.version)), badges(version),
        el("span", {}, ignition(version)),
        el("span", {}, day(version.published_at)),
        el("span", {}, version.free ? "Free" : "Licensed"),
        module.count > 1 ? el("span", {}, plural(module.count, "version")) : null),
      version.yanked ? el("p", { class: "reason" }, "Yanked: ", shown(version.yanked)) : null),
    el("div", { id: bodyId, class: "body", hidden: isOpen ? null : "" }));
  return el("li", {}, article);
}

function renderBody(module) {
  const body = byId(`${module.id}/body`);
  if (!body) return;
  const wanted = state.open.get(module.id);
  const version = module.versions.find((each) => each.version === wanted) || pick(module);
  body.replaceChildren(...[
    version.yanked === null ? null : yankedBanner(module, version),
    version.stage === "malformed" ? malformedBanner() : null,
    titleOf(version),
    worksWith(version),
    installing(module, version),
    checking(version),
    describing(version),
    notesOf(version),
    versionsOf(module, version.version),
  ].filter((part) => part !== null));
}

function setOpen(module, version) {
  state.open.set(module.id, version);
  const article = byId(module.id);
  if (!article) return;
  article.classList.add("open");
  article.querySelector("button").setAttribute("aria-expanded", "true");
  byId(`${module.id}/body`).hidden = false;
  renderBody(module);
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

const haystacks = new Map(modules.map((module) =>
  [module, [module.id, module.name, module.description, ...module.tags].join("\n").toLowerCase()]));

function found() {
  const words = query.value.toLowerCase().split(/\s+/).filter((word) => word);
  return modules.filter((module) => words.every((word) => haystacks.get(module).includes(word)));
}

function summary(matching, silent, line) {
  const all = plural(modules.length, "module");
  let text = matching.length === modules.length ? `${all}.` : `${matching.length} of ${all}.`;
  if (line && silent) text += silent === 1
    ? " 1 more does not say which Ignition it needs."
    : ` ${silent} more do not say which Ignition they need.`;
  return text;
}

function render() {
  const line = form.elements.line.value;
  const words = found();
  const matching = line ? words.filter((each) => each.versions.some((version) => version.line === line)) : words;
  const silent = words.filter((each) => !matching.includes(each) && each.versions.every((version) => !version.line)).length;
  const visibleOnes = matching.slice(0, state.limit);
  list.replaceChildren(...visibleOnes.map(card));
  for (const module of visibleOnes) if (state.open.has(module.id)) renderBody(module);
  more.hidden = matching.length <= state.limit;
  if (!matching.length) list.append(nothing());
  say(summary(matching, silent, line));
}

function nothing() {
  if (!modules.length) return el("li", { class: "nothing" }, "Nothing is published here yet.");
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
  for (const module of modules) for (const version of module.versions) if (version.line) known.add(version.line);
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
  const module = modules.find((each) => each.id === id);
  if (!module) return;
  if (!byId(id)) {
    form.reset();
    state.limit = Math.max(state.limit, modules.indexOf(module) + 1);
    render();
  }
  state.chosen = version === undefined ? null : version;
  setOpen(module, version);
  const body = byId(`${module.id}/body`);
  if (version === undefined || module.versions.some((each) => each.version === version)) {
    focusOn(version === undefined ? byId(id).querySelector("button") : body.querySelector("h3"), byId(id));
    return;
  }
  await followOlder(module, version, body);
}

async function followOlder(module, version, body) {
  const note = body.querySelector(".after [role=status]");
  if (served && module.count > module.versions.length && (state.all.has(module.id) || await loadAll(module, note))) {
    const line = byId(rowId(module, version));
    if (line) {
      focusOn(line);
      return;
    }
  }
  const banner = el("div", { class: "banner warn", role: "note", tabindex: "-1" },
    el("strong", {}, "Version ", shown(version), " is not on this page."),
    el("p", {}, "What follows is another version. See ",
      el("a", { href: indexOf(module.id) }, "all versions (JSON)"), "."));
  body.prepend(banner);
  focusOn(banner, byId(module.id));
}

/* ---- start ----------------------------------------------------------------------------- */

function onKey(event) {
  const typing = event.target instanceof HTMLInputElement && event.target.type === "search";
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    query.focus();
  }
}

makeLines();
total.textContent = modules.length
  ? "Choose a module for its versions, checksums and signer."
  : "";
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
addEventListener("keydown", onKey);
addEventListener("hashchange", follow);
tools.hidden = false;
if (modules.length === 1) state.open.set(modules[0].id, undefined);
render();
follow();
