// Records the frames that the real npm packages exchange, and checks that
// cbor-x reads ours. Needed only when a version changes:
//
//   cp generate.mjs <an empty folder>; cd there
//   npm install --ignore-scripts @automerge/automerge-repo@2.5.6 @automerge/automerge-repo-network-websocket@2.5.6
//   node generate.mjs record <this folder>     writes npm/<type>.hex and versions.json
//   node generate.mjs check <this folder>      decodes ours/<type>.hex (written by the test with UPDATE_GOLDEN=1)
//
// The frames are taken from a relay between a client and a server that use
// the packages' own adapters, so nothing here knows how a frame is encoded;
// only an `error` is provoked by a join with an unknown version.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Repo, isRepoMessage } from "@automerge/automerge-repo";
import { decode, encode } from "@automerge/automerge-repo/helpers/cbor.js";
import { WebSocketClientAdapter, WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import WebSocket from "isomorphic-ws";

const [mode, folder] = process.argv.slice(2);

class MemoryStorage {
  chunks = new Map();
  async load(key) { return this.chunks.get(key.join("/")); }
  async save(key, data) { this.chunks.set(key.join("/"), data); }
  async remove(key) { this.chunks.delete(key.join("/")); }
  async loadRange(prefix) {
    const start = prefix.join("/");
    return [...this.chunks].filter(([k]) => k.startsWith(start)).map(([k, data]) => ({ key: k.split("/"), data }));
  }
  async removeRange(prefix) { for (const { key } of await this.loadRange(prefix)) this.chunks.delete(key.join("/")); }
}

async function listen() {
  const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  return server;
}
const url = server => `ws://127.0.0.1:${server.address().port}`;

async function record() {
  const frames = new Map();
  const waiting = new Map();
  const keep = data => {
    const type = decode(data).type;
    if (!frames.has(type)) frames.set(type, Buffer.from(data));
    waiting.get(type)?.();
  };
  const seen = type => frames.has(type) ? undefined : new Promise(done => waiting.set(type, done));

  const server = await listen();
  const relay = await listen();
  relay.on("connection", near => {
    const far = new WebSocket(url(server));
    const opened = once(far, "open");
    near.on("message", async data => { keep(data); await opened; far.send(data); });
    far.on("message", data => { keep(data); near.send(data); });
    near.on("close", () => far.close());
  });

  const options = { enableRemoteHeadsGossiping: true, saveDebounceRate: 1 };
  new Repo({ ...options, peerId: "golden-server", storage: new MemoryStorage(), sharePolicy: async () => false,
    network: [new WebSocketServerAdapter(server)] });
  const client = new Repo({ ...options, peerId: "golden-client", network: [new WebSocketClientAdapter(url(relay))] });
  const stored = new Repo({ ...options, peerId: "golden-stored", storage: new MemoryStorage(),
    network: [new WebSocketClientAdapter(url(relay))] });

  await seen("peer");
  const handle = client.create({ rooms: { a: { length_m: "7.20", width_m: "6.00" } } });
  await seen("sync");
  const other = await stored.find(handle.url);
  handle.broadcast({ typing: true });
  await seen("ephemeral");
  client.find("automerge:2j9knpCseyhnK8izDmLpGP5WMdZQ").catch(() => {});
  await seen("doc-unavailable");
  await seen("request");
  client.subscribeToRemotes([await stored.storageId()]);
  await seen("remote-subscription-change");
  other.change(doc => { doc.rooms.a.width_m = "6.10"; });
  await seen("remote-heads-changed");

  const stranger = new WebSocket(url(relay));
  await once(stranger, "open");
  stranger.send(encode({ type: "join", senderId: "stranger", peerMetadata: {}, supportedProtocolVersions: ["99"] }));
  await seen("error");

  mkdirSync(join(folder, "npm"), { recursive: true });
  for (const [type, frame] of frames) writeFileSync(join(folder, "npm", `${type}.hex`), frame.toString("hex") + "\n");
  const version = name => JSON.parse(readFileSync(join("node_modules", name, "package.json"))).version;
  const names = ["@automerge/automerge-repo", "@automerge/automerge-repo-network-websocket", "@automerge/automerge", "cbor-x"];
  const versions = Object.fromEntries(names.map(name => [name, version(name)]));
  writeFileSync(join(folder, "versions.json"), JSON.stringify(versions, null, 2) + "\n");
  console.log([...frames.keys()].sort().join(" "));
}

// Absent and undefined are the same to a reader of JavaScript.
function present(value) {
  if (Array.isArray(value)) return value.map(present);
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined).map(([k, v]) => [k, present(v)]));
}

function check() {
  const read = (source, file) => decode(Buffer.from(readFileSync(join(folder, source, file), "utf8").trim(), "hex"));
  const files = readdirSync(join(folder, "npm"));
  assert.deepEqual(readdirSync(join(folder, "ours")), files);
  for (const file of files) {
    const ours = read("ours", file);
    const theirs = present(read("npm", file));
    // What we do not keep of a peer's metadata, no peer needs.
    assert.deepEqual(present(ours), theirs, file);
    if (!["join", "peer", "error"].includes(theirs.type)) assert.ok(isRepoMessage(ours), file);
  }
  console.log(`${files.length} frames of ours read the same`);
}

await { record, check }[mode]();
process.exit(0);
