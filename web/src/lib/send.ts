/** Sends one file, or a part of one, to its upload link. */

import { apiError, NetworkError } from '../api/http.js';

export interface UploadLink {
  image_id?: string | null;
  upload_link?: string | null;
  expires_at?: string | null;
  params?: { method: string; fields?: Record<string, string>; headers?: Record<string, string> } | null;
}

export interface Sending {
  signal: AbortSignal;
  onProgress: (sent: number) => void;
}

export type Send = (file: Blob, link: UploadLink, sending: Sending) => Promise<void>;

/**
 * Sends `file` as the link's `params` say: PUT of the bare bytes, or a POST form with the file as its last field.
 * `onProgress` gets the bytes sent so far, and 0 when an attempt begins. Uses XMLHttpRequest, because fetch does not tell
 * how much it has sent. A 412 means that the bytes of an earlier attempt are there.
 */
export const sendFile: Send = (file, link, { signal, onProgress }) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const { method, fields = {}, headers = {} } = link.params!;
    const call = new XMLHttpRequest();
    const stop = () => call.abort();
    signal.addEventListener('abort', stop, { once: true });
    onProgress(0);
    call.upload.onprogress = (event) => onProgress(event.loaded);
    call.onload = () => {
      if ((call.status >= 200 && call.status < 300) || call.status === 412) return resolve();
      reject(apiError(call.status, call.responseText, call.getResponseHeader('Retry-After')));
    };
    call.onerror = () => reject(new NetworkError());
    call.onabort = () => reject(signal.reason);
    call.onloadend = () => signal.removeEventListener('abort', stop);
    call.open(method, link.upload_link!);
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
    if (method === 'PUT') return call.send(file);
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append('file', file);
    call.send(form);
  });
