// Visits pages in a real Chromium: each line of the input is a JSON list of visits, each line of the
// output the list of their answers, or why there is none. Ends with its input.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "../../tools/node_modules/playwright-core/index.mjs";

const AXE = new URL("../../tools/node_modules/axe-core/axe.min.js", import.meta.url);
const [executable, home] = process.argv.slice(2);

// Each step is [what, argument]; `evaluate` and `axe` add their value to the visit's answer.
const steps = {
  press: (page, keys) => page.keyboard.press(keys),
  type: (page, text) => page.keyboard.type(text),
  // Not Playwright's waitForFunction: it polls in the page, where the policy forbids its eval.
  wait: async (page, expression) => {
    const deadline = Date.now() + 20000;
    while (!(await page.evaluate(expression))) {
      if (Date.now() > deadline) throw new Error(`never true: ${expression}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  },
  do: (page, expression) => page.evaluate(expression),
  evaluate: (page, expression) => page.evaluate(expression),
  // Of the page's beginning: the whole of a long list would be too small to look at.
  picture: async (page, path) => {
    const [width, height] = await page.evaluate("[innerWidth, document.documentElement.scrollHeight]");
    const clip = { x: 0, y: 0, width, height: Math.min(height, 2 * width + 800) };
    await page.screenshot({ path, fullPage: true, clip });
  },
  media: (page, media) => page.emulateMedia({ media }),
  axe: async (page) => {
    await page.evaluate(readFileSync(AXE, "utf8"));
    const { violations, passes } = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
    return { violations: found, passes: passes.length };
  },
};

async function visit(browser, { url, width = 1280, dark = false, javascript = true, motion = false, now = null, steps: script = [] }) {
  const context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: motion ? "no-preference" : "reduce",
    javaScriptEnabled: javascript,
    locale: "en-GB",
    timezoneId: "UTC",
  });
  const answer = { requests: [], dialogs: [], errors: [], violations: [], values: [] };
  await context.exposeFunction("_violated", (directive) => answer.violations.push(directive));
  await context.addInitScript(() =>
    addEventListener("securitypolicyviolation", (event) => globalThis._violated(event.violatedDirective)),
  );
  if (now) await context.addInitScript((time) => { Date.now = () => time; }, Date.parse(now));
  const page = await context.newPage();
  page.on("request", (request) => answer.requests.push(request.url()));
  page.on("dialog", (dialog) => {
    answer.dialogs.push(dialog.message());
    return dialog.dismiss();
  });
  page.on("pageerror", (error) => answer.errors.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) answer.errors.push(message.text());
  });
  await page.goto(url);
  for (const [what, argument] of script) {
    const value = await steps[what](page, argument);
    if (["evaluate", "axe"].includes(what)) answer.values.push(value);
  }
  await context.close();
  return answer;
}

const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  env: { HOME: home, PATH: process.env.PATH },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
async function visitAll(visits) {
  const answers = [];
  for (const one of visits) answers.push(await visit(browser, one));
  return answers;
}

try {
  for await (const line of createInterface({ input: process.stdin })) {
    const answers = await visitAll(JSON.parse(line)).catch((error) => String(error.stack));
    process.stdout.write(`${JSON.stringify(answers)}\n`);
  }
} finally {
  await browser.close();
}
