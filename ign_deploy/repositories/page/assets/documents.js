/* The repository's documents: the root index, a module's index, a version's record. They are data
   of others: what is not as expected is left out, and nothing is taken for an address or code. */

const COMPONENT = /^[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?=[A-Za-z0-9_+-])){0,254}$/;
const MAX_TEXTS = 50;

/* ---- loading: by request, or as a script where the page may not request ------------------- */

const waiting = new WeakMap();
const SCRIPT = /^(?:modules\/[A-Za-z0-9][A-Za-z0-9_.%+-]*\/)?index\.js$/;
const rules = {
  createScriptURL(path) {
    if (!SCRIPT.test(path)) throw new TypeError(`${path} is not a document of this page`);
    return path;
  },
};
const scripts = globalThis.trustedTypes
  ? globalThis.trustedTypes.createPolicy("ign-deploy", rules) : rules;

/* What a script calls: its argument is text, which is only ever parsed as JSON. */
globalThis.ignDeployDocument = (json) => {
  waiting.get(document.currentScript)?.(json);
};

function loadScript(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const end = (problem) => {
      script.remove();
      reject(problem);
    };
    waiting.set(script, resolve);
    script.addEventListener("load", () => end(new Error("it is not a document of this page")));
    script.addEventListener("error", () => end(new Error(`there is no ${path.split("/").pop()}`)));
    script.src = scripts.createScriptURL(path);
    document.head.append(script);
  });
}

async function request(path) {
  const answer = await fetch(path, { cache: "no-cache", signal: AbortSignal.timeout(20000) });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.text();
}

/* A document that couldn't be loaded or read is requested again the next time. */
const documents = new Map();
function load(path, read) {
  if (!documents.has(path)) {
    const json = isolated ? loadScript(path.replace(/json$/, "js")) : request(path);
    const loaded = json.then(JSON.parse).then(read);
    loaded.catch(() => documents.delete(path));
    documents.set(path, loaded);
  }
  return documents.get(path);
}

/* ---- reading ----------------------------------------------------------------------------- */

const text = (value) => (typeof value === "string" ? value : "");
const texts = (value) => listed(value).map(text).filter((each) => each);
const listed = (value) => (Array.isArray(value) ? value.slice(0, MAX_TEXTS) : []);
const isComponent = (value) => typeof value === "string" && COMPONENT.test(value);
const timeOf = (value) => (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text(value)) ? value : "");
const yankedOf = (value) => (value === false ? null : text(value));

/* As ModuleVersion of ign-deploy reads it. */
const VERSION = /^(?:\d{1,10}\.){2,3}\d{1,10}(?:-(?:(?:rc|beta)\d{1,10}|SNAPSHOT))?$/;
function stageOf(version) {
  const numbers = version.match(/\d+/g) || [];
  const isInstallable = VERSION.test(version) && numbers.every((each) => Number(each) < 2 ** 31);
  if (version !== "dev" && !isInstallable) return "malformed";
  return /-|^dev$/.test(version) ? "prerelease" : "final";
}

/* The lines of Ignition are named by two numbers (8.3), from 2027 on by their year. */
const FIRST_YEAR = 1000;
function lineOf(required) {
  const needs = /^(\d{1,9})(?:\.(\d{1,9}))?(?:[.-]|$)/.exec(required);
  if (needs && Number(needs[1]) >= FIRST_YEAR) return String(Number(needs[1]));
  return needs?.[2] ? `${Number(needs[1])}.${Number(needs[2])}` : "";
}

/* A version or line of Ignition, as vendors name those that they support. */
const ignitionOf = (value) => (/^\d{1,10}(?:\.\d{1,10}){0,3}(?:-\w{1,12})?$/.test(text(value)) ? value : "");

/* A module of the root index; null when it isn't one. `heads` are the versions that it names: the
   latest, and the newest usable one for each line of Ignition. */
function readModule(entry) {
  if (!isComponent(entry?.id) || !isComponent(entry.latest)) return null;
  const latest = {
    version: entry.latest,
    line: lineOf(text(entry["requires-ignition"])),
    published_at: timeOf(entry["upload-time"]),
    stage: stageOf(entry.latest),
    yanked: yankedOf(entry.yanked),
  };
  const heads = Object.entries(entry.lines ?? {})
    .filter(([, version]) => isComponent(version) && version !== entry.latest)
    .map(([line, version]) =>
      ({ version, line: lineOf(line), published_at: "", stage: stageOf(version), yanked: null }));
  return {
    id: entry.id,
    name: text(entry.name),
    description: text(entry.description),
    vendor: text(entry.vendor),
    tags: texts(entry.tags),
    count: Number.isSafeInteger(entry.count) ? entry.count : 1,
    heads: [latest, ...heads],
  };
}

function readRoot(index) {
  if (!Array.isArray(index?.modules)) throw new Error("it is not an index of modules");
  return index.modules.map(readModule).filter((module) => module !== null);
}
const loadModules = () => load("index.json", readRoot);

/* A line of a module's index; null when it isn't one. */
function readLine(line) {
  if (!isComponent(line?.version) || !isComponent(line.filename)) return null;
  if (!Number.isSafeInteger(line.size)) return null;
  const ignition = text(line["requires-ignition"]);
  return {
    version: line.version,
    file: { name: line.filename, sha256: text(line.hashes?.sha256), size: line.size },
    ignition,
    line: lineOf(ignition),
    maximum: ignitionOf(line["max-ignition"]),
    published_at: timeOf(line["upload-time"]),
    stage: stageOf(line.version),
    yanked: yankedOf(line.yanked),
  };
}

/* The module's versions, newest first, and the records that came along with them. */
function readIndex(index) {
  if (!Array.isArray(index?.files)) throw new Error("it is not an index of versions");
  const versions = index.files.map(readLine).filter((line) => line !== null).reverse();
  if (!versions.length) throw new Error("it has no versions");
  return { versions, records: listed(index.records) };
}
const loadVersions = (module) => load(indexOf(module.id), readIndex);

function readFile(file) {
  if (!isComponent(file?.name) || !Number.isSafeInteger(file.size)) return null;
  return { name: file.name, role: text(file.role), sha256: text(file.sha256), size: file.size };
}

/* What only the record says of a version; not of another one. */
function readRecord(module, version, record) {
  if (record?.id !== module.id || record.version !== version.version) {
    throw new Error("it is not the record of this version");
  }
  const files = listed(record.files).map(readFile).filter((file) => file !== null);
  return {
    commit: text(record.commit),
    documentation: webPage(text(record.documentation_url)),
    dependencies: listed(record.dependencies).filter((each) => text(each?.id)).map((each) => ({
      id: each.id,
      required: typeof each.required === "boolean" ? each.required : null,
      scope: text(each.scope),
    })),
    framework: text(record.required_framework_version),
    free: record.free === true,
    licence_crc: Number.isSafeInteger(record.licence_crc) ? record.licence_crc : null,
    notes: text(record.notes),
    others: files.filter((file) => file.role !== "module"),
    scopes: texts(record.scopes),
    signer: {
      ...Object.fromEntries(
        ["sha1", "sha256", "subject"].map((key) => [key, text(record.certificate?.[key])])),
      not_after: timeOf(record.certificate?.not_after),
    },
    tags: texts(record.tags),
    tested_on: texts(record.tested_on).map(ignitionOf).filter((each) => each),
  };
}

/* null where the record is not to be had; the version is shown without it. */
async function loadRecord(module, version, records) {
  const read = (record) => readRecord(module, version, record);
  const known = records.find((each) => each?.version === version.version);
  try {
    if (known || isolated) return read(known);
    return await load(recordOf(module.id, version.version), read);
  } catch {
    return null;
  }
}
