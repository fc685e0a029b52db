// Writes with GitHub's own library what a test asks for as JSON on the command line.
import * as core from "../../tools/node_modules/@actions/core/lib/core.js";

const { outputs = {}, secrets = [], messages = [], groups = [] } = JSON.parse(process.argv[2]);
for (const [name, value] of Object.entries(outputs)) core.setOutput(name, value);
for (const secret of secrets) core.setSecret(secret);
for (const { type, message, properties } of messages) core[type](message, properties);
for (const name of groups) {
  core.startGroup(name);
  core.endGroup();
}
