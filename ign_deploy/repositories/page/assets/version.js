/* What is shown of one version, and the list of the others. */

/* ---- a version ------------------------------------------------------------------------- */

const best = (versions) =>
  versions.find((each) => each.yanked === null && each.stage === "final") || versions[0];

function yankedBanner(module, version) {
  const reason = version.yanked.trim();
  const other = best(module.versions.filter((each) => each.line === version.line));
  const better = other && other.yanked === null && other.stage === "final" ? other : null;
  return el("div", { class: "banner", role: "note" },
    el("strong", {}, "Version ", shown(version.version), " was yanked. Do not install it."),
    el("p", {}, reason ? ["Reason: ", shown(reason)] : "No reason was given."),
    better ? el("p", {}, "Use ", versionLink(module, better), ` instead (${ignition(better)}).`) : null);
}

function versionLink(module, version) {
  return el("a", { href: hashOf(module.id, version.version) }, visible(version.version));
}

function malformedBanner() {
  return el("div", { class: "banner" },
    el("strong", {}, "No gateway can install this version."),
    el("p", {}, "Its number is not of the form that Ignition reads, such as 1.4.2 or 1.5.0-rc1."));
}

function titleOf(version) {
  const file = version.file;
  const href = address(version.folder, file.name);
  const kind = version.yanked === null ? "button" : "button plain";
  return el("div", { class: "title" },
    el("h3", { tabindex: "-1" }, "Version ", shown(version.version)),
    badges(version),
    href && el("span", { class: "get" },
      el("a", { class: kind, href, download: "", title: visible(file.name) },
        version.yanked === null ? "Download .modl" : "Download anyway",
        el("small", {}, size(file.size)))));
}

/* The first question at a gateway: will it take this? */
function worksWith(version) {
  if (!version.line) {
    return el("p", { class: "works" }, "It does not say which Ignition it needs",
      version.ignition ? [": ", shown(version.ignition)] : null, ".");
  }
  return el("p", { class: "works" }, "For ", el("strong", {}, `Ignition ${version.line}`),
    ", from ", shown(version.ignition), ` on. A gateway of any other line than ${version.line} refuses it.`);
}

function installing(module, version) {
  if (version.yanked !== null || version.stage === "malformed") return null;
  const { id } = module;
  const number = version.version;
  const download = `ign-deploy download ${quoted(id)} --version ${quoted(number)} ` +
    `--repository-url ${quoted(repositoryUrl())}`;
  const install = `ign-deploy install ${quoted(id)} -v ${quoted(number)} ` +
    "--gateway https://gateway.example:8043";
  return el("section", {},
    el("h4", {}, "Install"),
    el("p", { class: "note" }, "On a gateway; put its address at the end:"),
    command(install, "the line to install"),
    el("p", { class: "note" }, "Or download it, verified, to install it by hand:"),
    command(download, "the line to download"));
}

function checking(version) {
  const { signer, file } = version;
  const crc = version.licence_crc;
  return el("section", {},
    el("h4", {}, "Compare before you accept"),
    el("dl", {},
      fact("Signed by", shown(signer.subject)),
      digest("Certificate SHA-1", "as the gateway shows it", signer.sha1, "the certificate's SHA-1 fingerprint"),
      digest("Certificate SHA-256", null, signer.sha256, "the certificate's SHA-256 fingerprint"),
      crc === null
        ? fact("Licence text", "none to accept")
        : digest("Licence CRC-32", "of the licence text, as in the gateway's modules.json", String(crc), "the licence CRC"),
      digest("File SHA-256", `${file.size.toLocaleString("en")} bytes`, file.sha256, "the file's SHA-256 checksum")));
}

const SCOPES = { G: "gateway", D: "designer", C: "client", A: "all" };
const scopeNames = (text) =>
  /^[GDCA]+$/.test(text) ? [...text].map((letter) => SCOPES[letter]).join(", ") : shown(text);

function dependency(each) {
  const known = modules.some((module) => module.id === each.id);
  const id = shown(each.id, "code");
  const about = [
    each.required === null ? null : each.required ? "required" : "optional",
    each.scope ? scopeNames(each.scope) : null,
  ].filter((part) => part !== null);
  return el("li", {}, known ? el("a", { href: hashOf(each.id) }, id) : id,
    about.length ? [" (", about.flatMap((part, index) => (index ? [", ", part] : [part])), ")"] : null);
}

function fileLink(version, file) {
  const href = address(version.folder, file.name);
  return el("li", {}, href ? el("a", { href, download: "" }, shown(file.name)) : shown(file.name),
    " (", shown(file.role), `, ${size(file.size)})`);
}

const listOf = (items, kind) => el("ul", { class: kind }, items);
const join = (parts) => el("div", {}, parts.flatMap((part, index) => (index ? [", ", part] : [part])));

function describing(version) {
  const some = (items, make, kind) => (items.length ? listOf(items.map(make), kind) : "none");
  return el("section", {},
    el("h4", {}, "Details"),
    el("dl", {},
      version.framework ? fact("Framework version", shown(version.framework)) : null,
      fact("Runs in", version.scopes.length ? join(version.scopes.map(scopeNames)) : "not stated"),
      fact("Needs modules", some(version.dependencies, dependency)),
      fact("Licence", version.free ? "Free" : "Licensed"),
      fact("Tags", some(version.tags, (tag) => el("li", {}, shown(tag)), "tags")),
      fact("Published", el("time", { datetime: version.published_at },
        version.published_at.slice(0, 16).replace("T", " ") + " UTC")),
      version.commit ? fact("Commit", shown(version.commit, "code")) : null,
      version.others.length
        ? fact("Other files", listOf(version.others.map((file) => fileLink(version, file)))) : null));
}

function notesOf(version) {
  if (!version.notes.trim()) return null;
  return el("section", {}, el("h4", {}, "Release notes"),
    el("div", { class: "notes" }, shown(version.notes.trim())));
}

/* ---- the other versions ---------------------------------------------------------------- */

/* Not the text of a deep link, or the browser would scroll there by itself. */
const rowId = (module, version) => `${module.id}@${version}/row`;

function row(module, version, current) {
  const isCurrent = version.version === current;
  const link = versionLink(module, version);
  link.className = "which-link";
  if (isCurrent) link.setAttribute("aria-current", "true");
  return el("li", { class: isCurrent ? "current" : null },
    el("span", { class: "which" }, link, badges(version)),
    el("span", {}, ignition(version)),
    el("span", { class: "dim" }, day(version.published_at)),
    el("span", { class: "dim" }, size(version.file.size)));
}

const COMPONENT = /^[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?=[A-Za-z0-9_+-])){0,254}$/;

/* A line of modules/<id>/index.json; null when it isn't one. */
function readLine(line) {
  const strings = [line?.version, line?.filename, line?.hashes?.sha256, line?.["requires-ignition"], line?.["upload-time"]];
  const sound = strings.every((text) => typeof text === "string") && Number.isSafeInteger(line.size);
  if (!sound || !COMPONENT.test(line.version) || !COMPONENT.test(line.filename)) return null;
  const needs = /^(\d{1,9})\.(\d{1,9})(?:[.-]|$)/.exec(line["requires-ignition"]);
  return {
    version: line.version,
    file: { name: line.filename, sha256: line.hashes.sha256, size: line.size },
    line: needs ? `${Number(needs[1])}.${Number(needs[2])}` : "",
    published_at: line["upload-time"],
    stage: /-|^dev$/.test(line.version) ? "prerelease" : "final",
    yanked: line.yanked === false ? null : String(line.yanked === true ? "" : line.yanked),
  };
}

function lineRow(module, version, wanted) {
  const code = shown(version.file.sha256, "code");
  const isWanted = version.version === wanted;
  return el("li", {
    id: rowId(module, version.version), class: isWanted ? "current" : null,
    tabindex: isWanted ? "-1" : null,
  },
    el("span", { class: "which" }, el("strong", {}, shown(version.version)), badges(version)),
    el("span", {}, shown(ignition(version))),
    el("span", { class: "dim" }, shown(version.published_at.slice(0, 10))),
    el("span", { class: "dim" }, size(version.file.size)),
    version.yanked === null ? null
      : el("span", { class: "wide reason" }, el("span", {}, "Yanked: ", version.yanked ? shown(version.yanked) : "no reason given")),
    el("span", { class: "wide" }, code,
      copyButton(version.file.sha256, `the SHA-256 of version ${visible(version.version)}`, code),
      el("a", { href: address(folderOf(module.id, version.version), version.file.name), download: "" },
        "Download ", el("span", {}, shown(version.version)))));
}

async function fetchAll(module) {
  const answer = await fetch(indexOf(module.id), { signal: AbortSignal.timeout(20000) });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const files = (await answer.json()).files;
  if (!Array.isArray(files)) throw new Error("it is not an index of versions");
  return files.map(readLine).filter((line) => line !== null).reverse();
}

async function loadAll(module, note) {
  note.textContent = "Loading\u2026";
  try {
    state.all.set(module.id, await fetchAll(module));
    say(`All ${plural(state.all.get(module.id).length, "version")} of ${visible(module.name)} are shown.`);
  } catch (problem) {
    note.textContent = `The other versions could not be loaded: ${visible(problem.message)}.`;
    return false;
  }
  renderBody(module);
  return true;
}

function versionsOf(module, current) {
  const every = state.all.get(module.id) || [];
  const known = new Map(module.versions.map((version) => [version.version, version]));
  const rows = every.length
    ? every.slice(0, MAX_ROWS).map((line) => (known.has(line.version)
      ? row(module, known.get(line.version), current) : lineRow(module, line, state.chosen)))
    : module.versions.map((version) => row(module, version, current));
  const note = el("p", { class: "note", role: "status" });
  const index = el("a", { href: indexOf(module.id) }, `All ${plural(module.count, "version")} as JSON`);
  const rest = module.count > module.versions.length && !every.length;
  const button = rest && served
    ? el("button", { type: "button", class: "quiet" }, `Show all ${plural(module.count, "version")}`) : null;
  if (button) {
    button.addEventListener("click", async () => {
      if (await loadAll(module, note)) focusOn(byId(`${module.id}/versions`));
    });
  }
  const label = rest ? `Versions (${rows.length} of ${module.count})` : "Versions";
  return el("section", {},
    el("h4", { id: `${module.id}/versions`, tabindex: "-1" }, label),
    el("ul", { class: "versions" }, rows),
    el("div", { class: "after" }, button, index, note));
}
