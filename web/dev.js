/**
 * `npm run dev [SERVER]`: the web application from the sources, in front of a running server (http://127.0.0.1:8009).
 * Every load of the page builds anew. Start the server with `EYELINE_PUBLIC_URL=http://localhost:5173`.
 */

import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { bundle } from './build.js';

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', json: 'application/json' };

/** The files that clients/js has built, under the addresses of the server. */
const elements = () => ['/eyeline.js', '/eyeline-gallery.js'].map((path) => [path, readFileSync(new URL(`dist${path}`, import.meta.url), 'utf8')]);

/** Starts the front of the server at `target()`, with the files of `build()`; gives the HTTP server. */
export function front(target, port, build) {
  const onwardTo = () => {
    const { hostname, port: targetPort } = new URL(target());
    return { hostname, port: targetPort };
  };
  let files = null;
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://front');
    const isPage = pathname === '/';
    if (isPage || !files) files = new Map([...(await build()), ...elements()]);
    const name = isPage ? 'index.html' : pathname.replace('/assets/', 'bundle/');
    if (files.has(name)) {
      // As the server sends them: compressed, so that a benchmark counts the same bytes, and the scripts for any origin.
      const headers = { 'Content-Type': TYPES[name.split('.').pop()], 'Content-Encoding': 'gzip', 'Access-Control-Allow-Origin': '*' };
      return response.writeHead(200, headers).end(gzipSync(files.get(name)));
    }
    const { url: path, method, headers } = request;
    const onward = http.request({ ...onwardTo(), agent: false, path, method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('upgrade', (request, socket, head) => {
    const lines = [`${request.method} ${request.url} HTTP/1.1`];
    for (let at = 0; at < request.rawHeaders.length; at += 2) lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
    const onward = net.connect(onwardTo().port, onwardTo().hostname, () => {
      onward.write(`${lines.join('\r\n')}\r\n\r\n`);
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [onward, socket]) end.on('error', () => (onward.destroy(), socket.destroy()));
  });
  return server.listen(port, '127.0.0.1');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  front(() => process.argv[2] ?? 'http://127.0.0.1:8009', 5173, bundle).on('listening', () => console.log('http://localhost:5173'));
}
