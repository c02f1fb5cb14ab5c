import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkError } from '../src/api/http.js';
import { advances, refusal, tally, Uploads, verdictWords } from '../src/lib/upload.js';

const LIMITS = { max_file_bytes: 1000, content_types: ['image/jpeg'] };
const PLACE = { projectId: 'p', galleryId: 'g' };
const photo = (name, size = 100) => ({ name, size, type: 'image/jpeg' });
const later = () => new Promise((resolve) => setTimeout(resolve, 5));

const PART_BYTES = 8 * 1024 * 1024;
/** A file of three parts. */
const large = () => Object.assign(new Blob([new Uint8Array(2 * PART_BYTES + 5)]), { name: 'large.jpg' });

/** A server that takes parts. `fails(number)` breaks the sending of one. */
function setUpParts({ fails = () => false, image = () => ({ state: 'init' }) } = {}) {
  const calls = { batches: [], asked: [], completed: [] };
  const received = new Map();
  const client = {
    async imageLinks(body) {
      calls.batches.push(body);
      const link = { image_id: `image-${calls.batches.length}`, upload_link: '/parts', expires_at: new Date(0).toISOString() };
      return { images: body.files.map(() => ({ ...link, params: { method: 'PARTS', part_bytes: PART_BYTES } })) };
    },
    async partLinks(id, numbers) {
      calls.asked.push([id, ...numbers]);
      if (image().state !== 'init') throw Object.assign(new Error('It waits for no parts.'), { status: 409 });
      const parts = numbers.map((number) => ({ number, upload_link: `/up/${number}`, headers: {} }));
      return { parts, received: [...received.keys()], part_bytes: PART_BYTES, count: 3 };
    },
    async completeImage(id) {
      calls.completed.push(id);
    },
    async image() {
      return image();
    },
  };
  const send = async (part, link, { onProgress }) => {
    const number = Number(link.upload_link.slice('/up/'.length));
    onProgress(1);
    await later();
    if (fails(number)) throw new NetworkError();
    assert.equal(link.params.method, 'PUT');
    received.set(number, part.size);
  };
  const uploads = new Uploads(client, { send, restMs: () => 60_000 });
  return { uploads, calls, received };
}

/** Waits until no file is under way. */
async function settled(uploads) {
  const isUnderWay = ({ state, problem }) => state === 'init' || (state === 'waiting' && !problem);
  do await later();
  while (uploads.items.some(isUnderWay));
}

/** A server that gives links, and a wire that sends when told to. */
function setUp({ expiresInMs = 900_000, verdict, errorCode = 'processing_failed', images = null } = {}) {
  const calls = { put: [], batches: [], completed: [], sending: 0, mostSending: 0 };
  const wire = [];
  const server = { away: false };
  const answer = () => {
    if (server.away) throw new NetworkError();
  };
  let number = 0;
  const client = {
    async imageLinks(body) {
      answer();
      calls.batches.push(body);
      return {
        images: body.files.map((file) => verdict?.(file) || {
          image_id: `image-${++number}`,
          upload_link: `/up/${number}`,
          expires_at: new Date(Date.now() + expiresInMs).toISOString(),
        }),
      };
    },
    async completeImage(id) {
      answer();
      calls.completed.push(id);
    },
    async putImage(...ids) {
      calls.put.push(ids);
    },
    async image(id) {
      if (images && !images[id]) throw Object.assign(new Error('gone'), { status: 404 });
      if (images) return images[id];
      return { image_id: id, state: 'error', error: 'It is no photo.', error_code: errorCode };
    },
  };
  const send = (file, link, { signal }) => {
    calls.mostSending = Math.max(calls.mostSending, ++calls.sending);
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      if (server.away) reject(new NetworkError());
      wire.push(resolve);
    }).finally(() => calls.sending--);
  };
  const sendAll = async () => {
    for (let idle = 0; idle < 3; idle++) {
      await later();
      if (wire.length) idle = 0;
      wire.splice(0).forEach((done) => done());
    }
  };
  const uploads = new Uploads(client, { limits: LIMITS, send, restMs: () => 60_000 });
  return { uploads, calls, sendAll, server };
}

const states = (uploads) => uploads.items.map(({ state }) => state);

test('a file is followed from its link to the server’s last word', async () => {
  const { uploads, calls, sendAll } = setUp();
  uploads.add([photo('a.jpg')], PLACE);
  await later();
  assert.deepEqual(states(uploads), ['init']);
  await sendAll();
  assert.deepEqual(states(uploads), ['uploaded']);
  assert.deepEqual(calls.completed, ['image-1']);
  for (const state of ['uploaded', 'processing', 'uploaded', 'done']) {
    uploads.news({ type: 'image.state', image_id: 'image-1', state });
  }
  assert.deepEqual(states(uploads), ['done']);
});

test('three files at a time, links for fifty in a call', async () => {
  const { uploads, calls, sendAll } = setUp();
  uploads.add(Array.from({ length: 120 }, (_, index) => photo(`${index}.jpg`)), PLACE);
  await sendAll();
  assert.equal(calls.mostSending, 3);
  assert.equal(calls.completed.length, 120);
  assert.deepEqual(calls.batches.map(({ files }) => files.length), [50, 50, 20]);
  assert.deepEqual(calls.batches[0].files[0], { filename: '0.jpg', size: 100, content_type: 'image/jpeg' });
});

test('news of links that were given leaves files in the queue', async () => {
  const { uploads, calls, sendAll } = setUp();
  uploads.add(Array.from({ length: 5 }, (_, index) => photo(`${index}.jpg`)), PLACE);
  await later();
  for (let image = 1; image <= 5; image++) uploads.news({ type: 'image.state', image_id: `image-${image}`, state: 'init' });
  assert.deepEqual(states(uploads), ['init', 'init', 'init', 'waiting', 'waiting']);
  await sendAll();
  assert.equal(calls.completed.length, 5);
});

test('what cannot be taken is told before a byte moves', async () => {
  assert.match(refusal(photo('a', 0), LIMITS), /empty/);
  assert.match(refusal(photo('a', 1001), LIMITS), /at most 1 KB/);
  assert.match(refusal({ name: 'a', size: 5, type: 'text/html' }, LIMITS), /text\/html/);
  assert.equal(refusal(photo('a'), LIMITS), null);
  const { uploads, calls } = setUp();
  uploads.add([photo('empty.jpg', 0)], PLACE);
  await later();
  assert.deepEqual(states(uploads), ['error']);
  assert.equal(calls.batches.length, 0);
});

test('a verdict against one file stops that file only', async () => {
  const { uploads, sendAll } = setUp({
    verdict: (file) => file.filename === 'b.jpg' && { errors: { size: ['Over the quota.'] } },
  });
  uploads.add(['a', 'b', 'c'].map((name) => photo(`${name}.jpg`)), PLACE);
  await sendAll();
  assert.deepEqual(states(uploads), ['uploaded', 'error', 'uploaded']);
  assert.equal(uploads.items[1].problem, 'Over the quota.');
});

test('a failed file can be sent again, as a new image', async () => {
  const { uploads, sendAll } = setUp();
  uploads.add([photo('a.jpg')], PLACE);
  await sendAll();
  uploads.news({ type: 'image.state', image_id: 'image-1', state: 'error' });
  await later();
  assert.equal(uploads.items[0].problem, 'It is no photo.');
  uploads.retry(uploads.items[0]);
  await sendAll();
  assert.deepEqual(states(uploads), ['uploaded']);
  assert.equal(uploads.items[0].imageId, 'image-2');
});

test('photos chosen while the server is away are kept, and sent once it answers', async () => {
  const { uploads, sendAll, server } = setUp();
  server.away = true;
  uploads.add(['a', 'b', 'c', 'd', 'e'].map((name) => photo(`${name}.jpg`)), PLACE);
  while (!/cannot be reached/.test(uploads.items[0].problem ?? '')) await later();
  assert.deepEqual(new Set(states(uploads)), new Set(['waiting']));
  server.away = false;
  uploads.resume();
  await sendAll();
  assert.deepEqual(new Set(states(uploads)), new Set(['uploaded']));
  assert.equal(uploads.items[0].problem, null);
});

test('a connection lost while a photo is sent puts it back in the queue', async () => {
  const { uploads, sendAll, server } = setUp();
  uploads.add([photo('a.jpg')], PLACE);
  await later();
  server.away = true;
  await sendAll();
  assert.deepEqual(states(uploads), ['waiting']);
  server.away = false;
  uploads.resume();
  await sendAll();
  assert.deepEqual(states(uploads), ['uploaded']);
});

test('another try is offered only where it can help', async () => {
  for (const [errorCode, hopeless] of [
    ['never_arrived', false], ['worker_died', false], ['truncated', true], ['unsupported', true], ['not_an_image', true],
  ]) {
    const { uploads, sendAll } = setUp({ errorCode });
    uploads.add([photo('a.jpg')], PLACE);
    await sendAll();
    await uploads.reconcile();
    assert.equal(uploads.items[0].hopeless, hopeless, errorCode);
    uploads.retry(uploads.items[0]);
    assert.equal(uploads.items[0].state, hopeless ? 'error' : 'waiting', errorCode);
  }
});

test('clearing what is finished keeps the failures, which go by a button of their own', async () => {
  const { uploads, sendAll } = setUp();
  uploads.add([photo('a.jpg'), photo('empty.jpg', 0)], PLACE);
  await sendAll();
  uploads.news({ type: 'image.state', image_id: 'image-1', state: 'done' });
  uploads.clear('done');
  assert.deepEqual(states(uploads), ['error']);
  uploads.clear('error');
  assert.deepEqual(states(uploads), []);
});

test('when news may have been missed, the state is asked for', async () => {
  const { uploads, sendAll } = setUp();
  uploads.add([photo('a.jpg')], PLACE);
  await sendAll();
  await uploads.reconcile();
  assert.equal(uploads.items[0].problem, 'It is no photo.');
});

test('stopping ends what is not wholly sent and leaves the rest to the server', async () => {
  const { uploads, sendAll } = setUp();
  uploads.add([photo('sent.jpg')], PLACE);
  await sendAll();
  uploads.add(Array.from({ length: 5 }, (_, index) => photo(`${index}.jpg`)), PLACE);
  await later();
  uploads.stop();
  await later();
  assert.deepEqual(states(uploads), ['uploaded', 'error', 'error', 'error', 'error', 'error']);
  assert.deepEqual(new Set(uploads.items.slice(1).map(({ problem }) => problem)), new Set(['Stopped.']));
});

test('no more than 500 unfinished photos are taken, and the rest is counted', () => {
  const { uploads } = setUp();
  const many = Array.from({ length: 512 }, (_, index) => photo(`${index}.jpg`));
  assert.equal(uploads.add(many, PLACE), 12);
  assert.equal(uploads.items.length, 500);
  uploads.stop();
});

test('states only go forward', () => {
  assert.ok(advances('init', 'processing'));
  assert.ok(!advances('done', 'processing'));
  assert.ok(!advances('error', 'done'));
  assert.ok(!advances('init', 'unheard-of'));
});

test('the counts of many files and the words of a refusal say what happened', () => {
  const items = ['done', 'done', 'error', 'init'].map((state) => ({ state }));
  assert.deepEqual(tally(items), { total: 4, done: 2, failed: 1, waiting: 0 });
  assert.equal(verdictWords({ detail: 'Not taken.', errors: { size: ['Too large.'] } }), 'Not taken. Too large.');
  assert.equal(verdictWords({}), 'The server refused this file.');
});

test('a file that the project has is not sent; its image is put into the gallery', async () => {
  const verdict = ({ filename }) => ({ verdict: filename === 'new' ? 'created' : 'duplicate', duplicate_of: 'known', ...(filename === 'new' && { image_id: 'n', upload_link: '/up', expires_at: new Date(Date.now() + 900_000).toISOString() }) });
  const { uploads, calls, sendAll } = setUp({ verdict });
  uploads.add([photo('old'), photo('new')], PLACE);
  await sendAll();
  assert.deepEqual(states(uploads), ['done', 'uploaded']);
  assert.deepEqual(calls.put, [['g', 'known']]);
  assert.ok(uploads.items[0].isDuplicate);
});

test('an earlier queue goes on: what was sent is not sent again, and a missing file is waited for', async () => {
  const { uploads, calls, sendAll } = setUp({ images: { sent: { state: 'done' }, open: { state: 'init' } } });
  const item = (id, more) => ({ ...PLACE, id, name: id, size: 100, sent: 0, state: 'init', file: photo(id), imageId: id, link: null, problem: null, hopeless: false, ...more });
  await uploads.restore([item('sent', {}), item('open', {}), item('gone', {}), item('lost', { file: null, imageId: null }), item('handle', { file: null, imageId: null, handle: { getFile: async () => photo('handle') } })]);
  assert.deepEqual(states(uploads), ['done', 'waiting', 'waiting', 'error', 'error']);
  await sendAll();
  assert.deepEqual(states(uploads), ['done', 'uploaded', 'uploaded', 'error', 'error']);
  assert.deepEqual(uploads.items.map(({ isMissing }) => Boolean(isMissing)), [false, false, false, true, true]);
  uploads.add([photo('lost'), photo('lost', 7)], PLACE);
  await uploads.openMissing();
  await sendAll();
  assert.deepEqual(states(uploads), ['done', ...Array(5).fill('uploaded')]);
  assert.equal(calls.completed.length, 5);
});

test('a large file is sent in parts, and goes on after a cut with those that are missing', async () => {
  let isCut = true;
  const { uploads, calls, received } = setUpParts({ fails: (number) => isCut && number === 2 });
  uploads.add([large()], PLACE);
  await settled(uploads);
  assert.deepEqual(states(uploads), ['waiting']);
  assert.equal(calls.batches[0].files[0].multipart, true);
  assert.ok(received.has(1) && !received.has(2), 'the first part has arrived');
  isCut = false;
  uploads.resume();
  await settled(uploads);
  assert.deepEqual(states(uploads), ['uploaded']);
  assert.deepEqual([...received].sort(), [[1, PART_BYTES], [2, PART_BYTES], [3, 5]]);
  assert.equal(calls.batches.length, 1, 'the same image');
  const again = calls.asked.findLast((asked) => asked.length > 1).slice(1);
  assert.ok(again.includes(2) && !again.includes(1), `${again} were sent again`);
  assert.equal(uploads.items[0].sent, 2 * PART_BYTES + 5);
});

test('after a reload the parts that have arrived are not sent again', async () => {
  const { uploads, calls, received } = setUpParts();
  received.set(1, PART_BYTES).set(2, PART_BYTES);
  const link = { image_id: 'known', upload_link: '/parts', expires_at: new Date(0).toISOString(), params: { method: 'PARTS', part_bytes: PART_BYTES } };
  const file = large();
  const item = { ...PLACE, id: 'a', name: file.name, size: file.size, sent: 0, state: 'init', file, imageId: 'known', link, problem: null, hopeless: false };
  await uploads.restore([item]);
  await settled(uploads);
  assert.deepEqual(calls.asked, [['known'], ['known', 3]]);
  assert.deepEqual([calls.batches, calls.completed], [[], ['known']]);
});

test('an upload that ended while the page was closed begins again, and one whose file has arrived only completes', async () => {
  const link = { image_id: 'known', upload_link: '/parts', expires_at: new Date(0).toISOString(), params: { method: 'PARTS', part_bytes: PART_BYTES } };
  const file = large();
  const item = { ...PLACE, id: 'a', name: file.name, size: file.size, sent: 0, state: 'init', file, imageId: 'known', link, problem: null, hopeless: false };
  const images = [{ state: 'error', error_code: 'never_arrived' }, { state: 'init' }];
  const ended = setUpParts({ image: () => (images.length > 1 ? images.shift() : images[0]) });
  await ended.uploads.restore([{ ...item }]);
  await settled(ended.uploads);
  assert.deepEqual([ended.calls.batches.length, ended.calls.completed], [1, ['image-1']]);

  const states = [{ state: 'init' }, { state: 'uploaded' }];
  const arrived = setUpParts({ image: () => (states.length > 1 ? states.shift() : states[0]) });
  await arrived.uploads.restore([{ ...item }]);
  await settled(arrived.uploads);
  assert.deepEqual([arrived.received.size, arrived.calls.completed], [0, ['known']]);
});
