// SPDX-License-Identifier: Apache-2.0
// The official TypeScript SDK against `aegis mcp serve`: SDK AEGIS GATE_URL TOKEN
import { pathToFileURL } from 'node:url';
const [sdk, aegis, url, token] = process.argv.slice(2);
const at = (p) => import(pathToFileURL(`${sdk}/dist/esm/${p}`));
const { Client } = await at('client/index.js');
const { StdioClientTransport } = await at('client/stdio.js');
const client = new Client({ name: 'test', version: '1' });
await client.connect(new StdioClientTransport({
  command: aegis, args: ['mcp', 'serve', '--transport', 'stdio'],
  env: { AEGIS_GATE_URL: url, AEGIS_AGENT_TOKEN: token },
}));
const text = async (name, args = {}) => {
  const r = await client.callTool({ name, arguments: args });
  return { failed: r.isError === true, text: r.content[0].text };
};
const saw = {
  server: client.getServerVersion().name,
  tools: (await client.listTools()).tools.map((t) => t.name),
  services: JSON.parse((await text('aegis_list_services')).text),
  health: JSON.parse((await text('aegis_health')).text),
  call: JSON.parse((await text('aegis_proxy_request', { service: 'api', path: '/a' })).text),
  wrong: await text('aegis_proxy_request', { service: 'api', path: 'a b' }),
};
await client.close();
console.log(JSON.stringify(saw));
