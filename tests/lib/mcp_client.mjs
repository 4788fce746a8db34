// SPDX-License-Identifier: Apache-2.0
// A client on the official TypeScript SDK: does what a host does, and prints what it saw as
// JSON. Arguments: the SDK's directory, the URL, the agent's token, a workspace.
import { pathToFileURL } from "node:url";

const [, , sdk, url, token, workspace] = process.argv;
const load = (file) => import(pathToFileURL(`${sdk}/dist/esm/${file}`).href);
const { Client } = await load("client/index.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
const T = await load("types.js");

const saw = { logs: [], progress: [], changed: 0, sampled: 0, elicited: 0 };
const client = new Client({ name: "test", version: "1" }, {
  capabilities: { sampling: {}, elicitation: {} }, enforceStrictCapabilities: true });
client.setRequestHandler(T.CreateMessageRequestSchema, () => (saw.sampled++,
  { role: "assistant", model: "m", content: { type: "text", text: "sampled" } }));
client.setRequestHandler(T.ElicitRequestSchema, () => (saw.elicited++,
  { action: "accept", content: { username: "u", email: "e@example.org" } }));
client.setNotificationHandler(T.LoggingMessageNotificationSchema, (n) => { saw.logs.push(n.params.data); });
client.setNotificationHandler(T.ToolListChangedNotificationSchema, () => { saw.changed++; });
const transport = new StreamableHTTPClientTransport(new URL(url),
  { requestInit: { headers: { Authorization: `Bearer ${token}` } } });
await client.connect(transport);
saw.version = transport.protocolVersion;
saw.server = client.getServerVersion();
saw.capabilities = client.getServerCapabilities();

const call = async (name, args = {}, options = {}) =>
  (await client.callTool({ name, arguments: args }, undefined, options)).content[0].text;
saw.tools = [];
for (let cursor; ;) {
  const page = await client.listTools({ cursor });
  saw.tools.push(...page.tools.map((t) => t.name));
  if ((cursor = page.nextCursor) === undefined)
    break;
}
saw.echo = await call("echo", { message: "from TypeScript" });
saw.file = await call("read_text_file", { path: `${workspace}/note.txt` });
await call("test_tool_with_progress", {}, { onprogress: (p) => { saw.progress.push(p.progress); } });
await call("test_tool_with_logging");
saw.sampling = await call("test_sampling", { prompt: "p" });
saw.elicitation = await call("test_elicitation", { message: "m" });
saw.large = (await call("large", { octets: 200000 })).length;
saw.prompt = (await client.getPrompt({ name: "test_prompt_with_arguments",
  arguments: { arg1: "a", arg2: "b" } })).messages[0].content.text;
saw.resource = (await client.readResource({ uri: "test://static-text" })).contents[0].text;
try {
  await call("write_file", { path: `${workspace}/x`, content: "no" });
} catch (e) {
  saw.refused = e.code;
}
await call("add_tool");
for (let i = 0; i < 100 && saw.changed === 0; i++)
  await new Promise((done) => setTimeout(done, 20));
await transport.terminateSession();
await client.close();
console.log(JSON.stringify(saw));
