// SPDX-License-Identifier: Apache-2.0
// A stdio server on the official TypeScript SDK with the tools, resources and prompts that
// the MCP conformance suite asks for by name. It stands behind the gate: what the suite then
// finds is what the gate lets through.
import { pathToFileURL } from "node:url";

const sdk = process.argv[2]; // node_modules/@modelcontextprotocol/sdk
const load = (file) => import(pathToFileURL(`${sdk}/dist/esm/${file}`).href);
const { Server } = await load("server/index.js");
const { StdioServerTransport } = await load("server/stdio.js");
const T = await load("types.js");

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const text = (t) => ({ type: "text", text: t });
const said = (t) => ({ content: [text(t)] });
const empty = { type: "object", properties: {} };

const server = new Server({ name: "conformance-server", version: "1.0.0" }, {
  capabilities: {
    tools: { listChanged: true }, resources: { subscribe: true, listChanged: true },
    prompts: { listChanged: true }, logging: {}, completions: {},
  },
});

async function elicit(requestedSchema, message = "Please answer") {
  const r = await server.elicitInput({ message, requestedSchema });
  return said(`Elicitation completed: action=${r.action}, content=${JSON.stringify(r.content)}`);
}

const extra = []; // tools that add_tool made
const tools = {
  test_simple_text: ["Text", empty, () => said("This is a simple text response for testing.")],
  test_image_content: ["Image", empty, () => ({ content: [{ type: "image", data: PNG, mimeType: "image/png" }] })],
  test_audio_content: ["Audio", empty, () => ({ content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }] })],
  test_embedded_resource: ["Resource", empty, () => ({ content: [{ type: "resource", resource: {
    uri: "test://embedded-resource", mimeType: "text/plain", text: "This is an embedded resource content." } }] })],
  test_multiple_content_types: ["Several", empty, () => ({ content: [
    text("Multiple content types test:"), { type: "image", data: PNG, mimeType: "image/png" },
    { type: "resource", resource: { uri: "test://mixed-content-resource", mimeType: "application/json",
      text: JSON.stringify({ test: "data", value: 123 }) } }] })],
  test_tool_with_logging: ["Logs", empty, async () => {
    const log = (data) => server.sendLoggingMessage({ level: "info", data });
    await log("Tool execution started");
    await pause(50);
    await log("Tool processing data");
    await pause(50);
    await log("Tool execution completed");
    return said("logged");
  }],
  test_error_handling: ["Fails", empty, () => ({ isError: true,
    content: [text("This tool intentionally returns an error for testing")] })],
  test_tool_with_progress: ["Progress", empty, async (_, request, extras) => {
    const progressToken = request.params._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await extras.sendNotification({ method: "notifications/progress",
          params: { progressToken, progress, total: 100 } });
      await pause(50);
    }
    return said("done");
  }],
  test_sampling: ["Samples", { type: "object", properties: { prompt: { type: "string" } }, required: ["prompt"] },
    async ({ prompt }) => {
      const r = await server.createMessage({ maxTokens: 100,
        messages: [{ role: "user", content: text(prompt) }] });
      return said(`LLM response: ${r.content.text}`);
    }],
  test_elicitation: ["Elicits", { type: "object", properties: { message: { type: "string" } }, required: ["message"] },
    async ({ message }) => {
      const r = await server.elicitInput({ message, requestedSchema: { type: "object", properties: {
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" } }, required: ["username", "email"] } });
      return said(`User response: action=${r.action}, content=${JSON.stringify(r.content)}`);
    }],
  test_elicitation_sep1034_defaults: ["Elicits defaults", empty, () => elicit({ type: "object", properties: {
    name: { type: "string", default: "John Doe" }, age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true } } })],
  test_elicitation_sep1330_enums: ["Elicits enums", empty, () => elicit({ type: "object", properties: {
    untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
    titledSingle: { type: "string", oneOf: [{ const: "value1", title: "First Option" },
      { const: "value2", title: "Second Option" }, { const: "value3", title: "Third Option" }] },
    legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"] },
    untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
    titledMulti: { type: "array", items: { anyOf: [{ const: "value1", title: "First Choice" },
      { const: "value2", title: "Second Choice" }, { const: "value3", title: "Third Choice" }] } } } })],
  json_schema_2020_12_tool: ["JSON Schema 2020-12", {
    $schema: "https://json-schema.org/draft/2020-12/schema", type: "object",
    $defs: { address: { type: "object", properties: { street: { type: "string" }, city: { type: "string" } } } },
    properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
    additionalProperties: false }, () => said("ok")],
  test_reconnection: ["Answers", empty, () => said("no reconnection was needed")],
  // beyond the suite
  slow: ["Sleeps until it is cancelled", { type: "object", properties: { ms: { type: "number" } } },
    async ({ ms }, _, extras) => {
      for (let t = 0; t < ms && !extras.signal.aborted; t += 20)
        await pause(20);
      if (extras.signal.aborted)
        cancelled++;
      return said("slept");
    }],
  cancelled: ["How many were", empty, () => said(String(cancelled))],
  large: ["So many octets", { type: "object", properties: { octets: { type: "number" } } },
    ({ octets }) => said("x".repeat(octets))],
  add_tool: ["One more tool", empty, async () => {
    extra.push(`added_${extra.length}`);
    await server.sendToolListChanged();
    return said("added");
  }],
  touch: ["The watched resource changes", empty, async () => {
    await server.sendResourceUpdated({ uri: "test://watched-resource" });
    return said(String(watched.size));
  }],
};
let cancelled = 0;
const watched = new Set();

server.setRequestHandler(T.ListToolsRequestSchema, () => ({
  tools: [...Object.entries(tools).map(([name, [description, inputSchema]]) => ({ name, description, inputSchema })),
    ...extra.map((name) => ({ name, description: name, inputSchema: empty }))],
}));
server.setRequestHandler(T.CallToolRequestSchema, async (request, extras) => {
  const tool = tools[request.params.name];
  if (tool === undefined)
    throw new Error(`no tool ${request.params.name}`);
  return tool[2](request.params.arguments ?? {}, request, extras);
});

const resources = {
  "test://static-text": { mimeType: "text/plain", text: "This is the content of the static text resource." },
  "test://static-binary": { mimeType: "image/png", blob: PNG },
  "test://watched-resource": { mimeType: "text/plain", text: "watched" },
};
server.setRequestHandler(T.ListResourcesRequestSchema, () => ({
  resources: Object.entries(resources).map(([uri, { mimeType }]) =>
    ({ uri, name: uri.slice(7), description: uri, mimeType })),
}));
server.setRequestHandler(T.ListResourceTemplatesRequestSchema, () => ({
  resourceTemplates: [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }],
}));
server.setRequestHandler(T.ReadResourceRequestSchema, ({ params: { uri } }) => {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id !== undefined)
    return { contents: [{ uri, mimeType: "application/json",
      text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }] };
  if (resources[uri] === undefined)
    throw new T.McpError(-32002, "Resource not found");
  return { contents: [{ uri, ...resources[uri] }] };
});
server.setRequestHandler(T.SubscribeRequestSchema, ({ params: { uri } }) => (watched.add(uri), {}));
server.setRequestHandler(T.UnsubscribeRequestSchema, ({ params: { uri } }) => (watched.delete(uri), {}));

const user = (content) => ({ role: "user", content });
const prompts = {
  test_simple_prompt: [[], () => [user(text("This is a simple prompt for testing."))]],
  test_prompt_with_arguments: [["arg1", "arg2"], (a) =>
    [user(text(`Prompt with arguments: arg1='${a.arg1}', arg2='${a.arg2}'`))]],
  test_prompt_with_embedded_resource: [["resourceUri"], (a) => [
    user({ type: "resource", resource: { uri: a.resourceUri, mimeType: "text/plain",
      text: "Embedded resource content for testing." } }),
    user(text("Please process the embedded resource above."))]],
  test_prompt_with_image: [[], () => [user({ type: "image", data: PNG, mimeType: "image/png" }),
    user(text("Please analyze the image above."))]],
};
server.setRequestHandler(T.ListPromptsRequestSchema, () => ({
  prompts: Object.entries(prompts).map(([name, [args]]) => ({ name, description: name,
    arguments: args.map((a) => ({ name: a, description: a, required: true })) })),
}));
server.setRequestHandler(T.GetPromptRequestSchema, ({ params }) => ({
  messages: prompts[params.name][1](params.arguments ?? {}),
}));
server.setRequestHandler(T.CompleteRequestSchema, ({ params }) => ({
  completion: { values: ["paris", "park", "party"].filter((v) => v.startsWith(params.argument.value)),
    total: 3, hasMore: false },
}));

await server.connect(new StdioServerTransport());
