/* Text of others, addresses and small pieces. Whatever comes from the data reaches the document
   as text, through shown() or visible(). */

const PAGE_OF_MODULES = 100;
const PAGE_OF_VERSIONS = 10;
const MAX_ROWS = 1000;
const MAX_TEXT = 20000;
const byId = (id) => document.getElementById(id);
const [tools, form, query, lines, status, total, list, more, loading] =
  ["_tools", "_form", "_query", "_lines", "_status", "_total", "_list", "_more", "_loading"].map(byId);
const served = location.protocol === "http:" || location.protocol === "https:";
const isolated = !served || globalThis.origin === "null";
/* `open` has the chosen version of each module that is open, undefined for the best one. */
const state = { modules: [], limit: PAGE_OF_MODULES, open: new Map(), all: new Set(), gateway: "" };

/* ---- text of others -------------------------------------------------------------------- */

const ODD = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\u{e0000}-\u{e0fff}]/gu;
const name = (char) => "U+" + char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
/* Marks above one another, so many that they would lie across other lines. */
const PILED = /([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+/g;
const cut = (text) => {
  const whole = String(text).replace(/\r\n/g, "\n").replace(PILED, "$1\u2026");
  return whole.length > MAX_TEXT ? whole.slice(0, MAX_TEXT) + "\u2026" : whole;
};
const visible = (text) => cut(text).replace(ODD, name);

/* Isolated from the direction of what is around it; what is invisible is shown by its number. */
function shown(text, tag = "bdi") {
  const node = document.createElement(tag);
  const whole = cut(text);
  let from = 0;
  for (const match of whole.matchAll(ODD)) {
    node.append(whole.slice(from, match.index), el("span", { class: "odd" }, name(match[0])));
    from = match.index + match[0].length;
  }
  node.append(whole.slice(from));
  return node;
}

/* Attributes are ours; those that hold a text of others get it from visible(). */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

/* ---- addresses: relative, and below this page -------------------------------------------- */

const home = new URL(".", location.href).href;
const folderOf = (id, version) =>
  `modules/${encodeURIComponent(id)}/${encodeURIComponent(version)}`;

/* null for what would lead out of the repository, such as a folder "javascript:" or "//host". */
function address(folder, file) {
  const path = `${folder}/${encodeURIComponent(file)}`;
  return new URL(path, home).href.startsWith(home) ? path : null;
}

const indexOf = (id) => `modules/${encodeURIComponent(id)}/index.json`;
const recordOf = (id, version) => `${folderOf(id, version)}/release.json`;
const hashOf = (id, version) => `#${id}` + (version === undefined ? "" : `@${version}`);

/* Of the servers, only Nexus isolates its pages. */
function repositoryUrl() {
  const base = new URL(".", location.href);
  const kind = served && isolated ? "nexus+" : "";
  return kind + (served ? base.origin : "file://") + base.pathname.replace(/'/g, "%27");
}
const quoted = (text) => (/^[\w.\/:@%+=,~-]+$/.test(text) ? text : `'${text}'`);

/* A link of others: to a web page, or null. */
function webPage(link) {
  const url = URL.canParse(link) ? new URL(link) : null;
  return url && /^https?:$/.test(url.protocol) && !url.username && !url.password ? url : null;
}

/* ---- small pieces ---------------------------------------------------------------------- */

function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  while (value >= 999.5 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[0]}`;
}
const day = (time) => (time ? el("time", { datetime: time }, time.slice(0, 10)) : "");
const badge = (text, kind) => el("span", { class: `badge ${kind}` }, text);
const plural = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

function badges(version) {
  return [
    version.yanked === null ? null : badge("Yanked", "bad"),
    version.stage === "prerelease" ? badge("Prerelease", "warn") : null,
    version.stage === "malformed" ? badge("Not installable", "bad") : null,
  ];
}
const ignition = (version) =>
  version.line ? `Ignition ${version.line}` : "Ignition version not stated";
const isLimited = (version) => version.line && version.maximum && version.maximum !== version.line;

function say(text) {
  status.textContent = text;
}

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    /* Plain http has no clipboard: the old way, with the text selected to copy by hand. */
    const range = document.createRange();
    range.selectNodeContents(from);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand("copy");
  }
}

function copyButton(what, from) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(from.textContent, from);
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    say(done ? `Copied ${what}.` : "The text is selected; press Ctrl+C.");
    setTimeout(() => { button.textContent = "Copy"; }, 2500);
  });
  return button;
}

/* In a narrow window, lines break before options, not within their names. */
function setCommand(code, text) {
  code.replaceChildren(...text.split(/(?<= )/).map(
    (word) => (word.startsWith("--") ? el("span", { class: "option" }, word) : word)));
}

function command(text, what) {
  const code = el("code");
  setCommand(code, text);
  return el("div", { class: "command" }, code, copyButton(what, code));
}

function fact(term, ...content) {
  return el("div", {}, el("dt", {}, term), el("dd", {}, ...content));
}

function digest(term, hint, text, what) {
  const code = shown(text, "code");
  const value = el("div", {}, code, hint ? el("small", {}, hint) : null);
  return fact(term, value, copyButton(what, code));
}
