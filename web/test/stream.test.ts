import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextSince, Stream } from '../src/lib/stream.js';

test('the number to go on from follows the messages and never falls', () => {
  assert.equal(nextSince(null, { type: 'image.state', seq: 7 }), 7);
  assert.equal(nextSince(7, { type: 'image.state', seq: 8 }), 8);
  assert.equal(nextSince(8, { type: 'image.state', seq: 5 }), 8);
});

test('a hint without a number changes nothing', () => {
  assert.equal(nextSince(8, { type: 'gallery.order' }), 8);
  assert.equal(nextSince(null, { type: 'gallery.order' }), null);
});

test('a reset says where to go on, even further back', () => {
  assert.equal(nextSince(900, { type: 'reset', seq: 12 }), 12);
});

/** A browser's parts of a connection, each socket opened and closed by the test. */
async function connect(run) {
  const sockets = [];
  class Socket {
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    close() {}
  }
  const kept = { WebSocket: globalThis.WebSocket, location: globalThis.location };
  Object.assign(globalThis, { WebSocket: Socket, location: new URL('http://localhost:1/') });
  const stream = new Stream('p', async () => ({ ticket: 't' }));
  const heard = [];
  for (const type of ['gap', 'live']) stream.addEventListener(type, ({ detail }) => heard.push(detail ?? type));
  const next = async () => {
    while (!sockets.length) await new Promise((resolve) => setTimeout(resolve, 5));
    return sockets.shift();
  };
  try {
    const running = stream.run();
    await run({ next, heard });
    stream.close();
    await running;
  } finally {
    Object.assign(globalThis, kept);
  }
}

test('after every reconnection the page is told to read its state again', async () => {
  await connect(async ({ next, heard }) => {
    const first = await next();
    first.onopen();
    first.onmessage({ data: '{"type":"image.state","seq":4}' });
    first.onclose();
    const second = await next();
    assert.match(second.url.search, /since=4/);
    second.onopen();
    assert.deepEqual(heard, [true, 'gap', false, true, 'gap']);
  });
});
