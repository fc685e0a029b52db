/* What is shown of one version, and the list of the others. */

/* ---- a version ------------------------------------------------------------------------- */

const best = (versions) =>
  versions.find((each) => each.yanked === null && each.stage === "final") || versions[0];

function yankedBanner(module, versions, version) {
  const reason = version.yanked.trim();
  const other = best(versions.filter((each) => each.line === version.line));
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

function missingBanner(module, version) {
  return el("div", { class: "banner warn", role: "note", tabindex: "-1" },
    el("strong", {}, "Version ", shown(version), " is not in this repository."),
    el("p", {}, "What follows is another version. See ",
      el("a", { href: indexOf(module.id) }, "all versions (JSON)"), "."));
}

function titleOf(module, version) {
  const file = version.file;
  const href = address(folderOf(module.id, version.version), file.name);
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
function worksWith(version, record) {
  if (!version.line) {
    return el("p", { class: "works" }, "It does not say which Ignition it needs",
      version.ignition ? [": ", shown(version.ignition)] : null, ".");
  }
  const tested = record?.tested_on ?? [];
  return el("p", { class: "works" }, "For ", el("strong", {}, `Ignition ${version.line}`),
    ", from ", shown(version.ignition), isLimited(version) ? ` up to ${version.maximum}. ` : " on. ",
    tested.length ? `Tested on ${tested.join(", ")}. ` : null,
    `A gateway of any other line than ${version.line} refuses it.`);
}

const isOffered = (version) => version.yanked === null && version.stage !== "malformed";

function installing(module, version) {
  if (!isOffered(version)) return null;
  const { id } = module;
  const number = version.version;
  const which = `${quoted(`${id}@${number}`)} --repository-url ${quoted(repositoryUrl())}`;
  const download = `ign-deploy download ${quoted(id)} --version ${quoted(number)} ` +
    `--repository-url ${quoted(repositoryUrl())}`;
  const line = command("", "the line to install");
  return el("section", {},
    el("h4", {}, "Install"),
    gatewayField(module, () => {
      setCommand(line.firstElementChild, `ign-deploy install ${which}${gatewayOption()}`);
    }),
    line,
    el("p", { class: "note" }, "Or download it, verified, to install it by hand:"),
    command(download, "the line to download"));
}

/* Without it, the line is for the gateways of the config file. */
const GATEWAY = "https?://[A-Za-z0-9.:\\[\\]\\-]+(/[A-Za-z0-9._~\\-]+)*/?";
const gatewayOption = () =>
  (new RegExp(`^${GATEWAY}$`).test(state.gateway) ? ` --gateway ${quoted(state.gateway)}` : "");

function gatewayField(module, update) {
  const id = `${module.id}/gateway`;
  const input = el("input", {
    id, type: "url", pattern: GATEWAY, autocomplete: "off", spellcheck: "false",
    placeholder: "https://gateway.example:8043", "aria-describedby": `${id}/hint`,
  });
  input.value = state.gateway;
  input.addEventListener("input", () => {
    state.gateway = input.value.trim();
    update();
  });
  update();
  return el("div", { class: "gateway" },
    el("label", { for: id }, "Address of the gateway"), input,
    el("p", { class: "note", id: `${id}/hint` },
      "Leave it empty for the gateways in your config file."));
}

const WARN_DAYS = 90;
const DAY = 24 * 60 * 60 * 1000;

/* What to say of a certificate that has expired or soon will; null of any other. */
function expiring(notAfter) {
  const days = Math.floor((Date.parse(notAfter) - Date.now()) / DAY);
  if (!notAfter || days >= WARN_DAYS) return null;
  if (days < 0) return "expired";
  return days ? `expires in ${plural(days, "day")}` : "expires within a day";
}

function expiryBanner(record) {
  const said = record && expiring(record.signer.not_after);
  if (!said) return null;
  return el("div", { class: "banner warn", role: "note" },
    el("strong", {}, `The signing certificate ${said} (`, day(record.signer.not_after), ")."),
    el("p", {}, said === "expired"
      ? "A gateway may reject it. With a trust anchor, ign-deploy installs it only with --allow-expired."
      : "Its vendor needs a new certificate for the next versions."));
}

function signedBy({ signer, licence_crc: crc }) {
  const said = expiring(signer.not_after);
  return [
    fact("Signed by", shown(signer.subject)),
    signer.not_after
      ? fact("Certificate valid until", el("div", {}, day(signer.not_after), " ", said && badge(said, "warn"))) : null,
    digest("Certificate SHA-1", "as the gateway shows it", signer.sha1, "the certificate's SHA-1 fingerprint"),
    digest("Certificate SHA-256", null, signer.sha256, "the certificate's SHA-256 fingerprint"),
    crc === null
      ? fact("Licence text", "none to accept")
      : digest("Licence CRC-32", "of the licence text, as in the gateway's modules.json", String(crc), "the licence CRC"),
  ];
}

function checking(version, record) {
  const { file } = version;
  return el("section", {},
    el("h4", {}, "Compare before you accept"),
    el("dl", {},
      record ? signedBy(record) : null,
      digest("File SHA-256", `${file.size.toLocaleString("en")} bytes`, file.sha256, "the file's SHA-256 checksum")),
    record && isOffered(version) ? accepting(record) : null);
}

/* A gateway that hasn't accepted them needs consent; to what was compared, not to anything. */
function accepting({ signer, licence_crc: crc }) {
  if (!/^[0-9a-f]{64}$/.test(signer.sha256)) return null;
  const licence = crc === null ? "" : ` --accept-license ${crc}`;
  const what = crc === null ? "this certificate" : "this certificate and licence";
  return [
    el("p", { class: "note accept" }, `For a gateway that has not accepted ${what} yet, add to the line:`),
    command(`--accept-certificate ${signer.sha256}${licence}`, "what to add"),
  ];
}

const SCOPES = { G: "gateway", D: "designer", C: "client", A: "all" };
const scopeNames = (letters) =>
  /^[GDCA]+$/.test(letters) ? [...letters].map((letter) => SCOPES[letter]).join(", ") : shown(letters);

function dependency(each) {
  const known = state.modules.some((module) => module.id === each.id);
  const id = shown(each.id, "code");
  const about = [
    each.required === null ? null : each.required ? "required" : "optional",
    each.scope ? scopeNames(each.scope) : null,
  ].filter((part) => part !== null);
  return el("li", {}, known ? el("a", { href: hashOf(each.id) }, id) : id,
    about.length ? [" (", about.flatMap((part, index) => (index ? [", ", part] : [part])), ")"] : null);
}

function fileLink(module, version, file) {
  const href = address(folderOf(module.id, version.version), file.name);
  return el("li", {}, href ? el("a", { href, download: "" }, shown(file.name)) : shown(file.name),
    " (", shown(file.role), `, ${size(file.size)})`);
}

const documentationLink = (url) =>
  el("a", { href: url.href, rel: "noreferrer" }, shown(url.host + url.pathname.replace(/\/$/, "")));
const listOf = (items, kind) => el("ul", { class: kind }, items);
const join = (parts) => el("div", {}, parts.flatMap((part, index) => (index ? [", ", part] : [part])));
const published = ({ published_at: time }) => fact("Published",
  time ? el("time", { datetime: time }, time.slice(0, 16).replace("T", " ") + " UTC") : "not stated");

function describing(module, version, record) {
  const some = (items, make, kind) => (items.length ? listOf(items.map(make), kind) : "none");
  return el("section", {},
    el("h4", {}, "Details"),
    el("dl", {},
      record.documentation ? fact("Documentation", documentationLink(record.documentation)) : null,
      record.framework ? fact("Framework version", shown(record.framework)) : null,
      fact("Runs in", record.scopes.length ? join(record.scopes.map(scopeNames)) : "not stated"),
      fact("Needs modules", some(record.dependencies, dependency)),
      fact("Licence", record.free ? "Free" : "Licensed"),
      fact("Tags", some(record.tags, (tag) => el("li", {}, shown(tag)), "tags")),
      published(version),
      record.commit ? fact("Commit", shown(record.commit, "code")) : null,
      record.others.length
        ? fact("Other files", listOf(record.others.map((file) => fileLink(module, version, file)))) : null));
}

function withoutRecord(module, version) {
  return el("section", {},
    el("h4", {}, "Details"),
    el("dl", {}, published(version)),
    el("p", { class: "note" }, "Signer, dependencies and release notes of this version could not be loaded; they are in ",
      el("a", { href: recordOf(module.id, version.version) }, "its record (JSON)"), "."));
}

function notesOf(record) {
  if (!record || !record.notes.trim()) return null;
  return el("section", {}, el("h4", {}, "Release notes"),
    el("div", { class: "notes" }, shown(record.notes.trim())));
}

/* ---- the other versions ---------------------------------------------------------------- */

function row(module, version, current) {
  const isCurrent = version.version === current;
  const link = versionLink(module, version);
  link.className = "which-link";
  if (isCurrent) link.setAttribute("aria-current", "true");
  return el("li", { class: isCurrent ? "current" : null },
    el("span", { class: "which" }, link, badges(version)),
    el("span", {}, ignition(version), isLimited(version) ? ` up to ${version.maximum}` : null),
    el("span", { class: "dim" }, day(version.published_at)),
    el("span", { class: "dim" }, size(version.file.size)));
}

/* The newest ones, those that the root index names, and the one that is shown. */
function rowsOf(module, versions, current) {
  if (state.all.has(module.id)) return versions.slice(0, MAX_ROWS);
  const heads = new Set([current, ...module.heads.map((each) => each.version)]);
  return versions.filter((each, index) => index < PAGE_OF_VERSIONS || heads.has(each.version));
}

function versionsOf(module, versions, current) {
  const rows = rowsOf(module, versions, current);
  const isPart = rows.length < versions.length && !state.all.has(module.id);
  const every = plural(versions.length, "version");
  const button = isPart
    ? el("button", { type: "button", class: "quiet" }, `Show all ${every}`) : null;
  if (button) {
    button.addEventListener("click", async () => {
      state.all.add(module.id);
      await fill(module);
      focusOn(byId(`${module.id}/versions`));
      say(`All ${every} of ${visible(module.name)} are shown.`);
    });
  }
  const label = rows.length < versions.length ? `Versions (${rows.length} of ${versions.length})` : "Versions";
  return el("section", {},
    el("h4", { id: `${module.id}/versions`, tabindex: "-1" }, label),
    el("ul", { class: "versions" }, rows.map((version) => row(module, version, current))),
    el("div", { class: "after" }, button,
      el("a", { href: indexOf(module.id) }, versions.length === 1 ? "This list as JSON" : `All ${every} as JSON`)));
}
