// Files to the server, by Gradio's own upload endpoint: as they are, with progress, in parts that it takes.

const UPLOAD_FILES = 100; // in one request: Gradio takes a thousand
const UPLOAD_BYTES = 32 << 20; // after which a request takes no more files

/** An address of Gradio's, on the origin of this page: behind a proxy Gradio may know another one. */
function gradioUrl(path) {
  const { pathname } = new URL(window.gradio_config?.root || "/", location.href);
  return `${location.origin}${pathname.replace(/\/+$/, "")}/gradio_api/${path}`;
}

/**
 * Send files; answers with their paths on the server, in the same order.
 * onProgress: called with the share that has travelled, 0 to 1. signal: of an AbortController.
 * Throws an Error with words for people; one with the name "AbortError" when it was given up.
 */
async function uploadFiles(files, onProgress = () => {}, signal = null) {
  const list = [...files];
  const limit = studio.get("limits").upload_bytes ?? 2 ** 31;
  const large = list.find(({ size }) => size > limit);
  if (large) throw new Error(studio.fill(shared.uploadLarge, { name: large.name, limit: Math.floor(limit / 2 ** 20) }));
  const total = list.reduce((sum, { size }) => sum + size, 0) || 1;
  const paths = [];
  let sent = 0;
  onProgress(0);
  for (const part of uploadParts(list)) {
    const bytes = part.reduce((sum, { size }) => sum + size, 0);
    paths.push(...(await sendPart(part, (share) => onProgress((sent + share * bytes) / total), signal)));
    sent += bytes;
    onProgress(sent / total);
  }
  return paths;
}

function uploadParts(files) {
  const parts = [];
  let bytes = Infinity;
  for (const file of files) {
    if (bytes > UPLOAD_BYTES || parts.at(-1).length >= UPLOAD_FILES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1).push(file);
    bytes += file.size;
  }
  return parts;
}

/** A name that nobody can guess: Gradio puts files of the same content into the same folder. */
function secretName({ name }) {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0"));
  return hex.join("") + (name.match(/\.[A-Za-z0-9]{1,10}$/)?.[0] ?? "");
}

function sendPart(files, onShare, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, secretName(file));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // `fetch` tells of no progress
    const giveUp = () => request.abort();
    const fail = (key) => reject(new Error(studio.fill(shared[key], { name: files[0].name })));
    request.open("POST", gradioUrl("upload"));
    request.upload.onprogress = ({ loaded, total }) => onShare(loaded / total);
    request.onerror = () => fail("uploadFailed");
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", giveUp);
    request.onload = () => {
      if (request.status === 413) return fail("uploadRefused");
      const paths = readPaths(request);
      return paths?.length === files.length ? resolve(paths) : fail("uploadFailed");
    };
    if (signal?.aborted) return reject(new DOMException("", "AbortError"));
    signal?.addEventListener("abort", giveUp);
    return request.send(form);
  });
}

function readPaths({ status, responseText }) {
  try {
    const answer = JSON.parse(responseText);
    return status === 200 && Array.isArray(answer) ? answer : null;
  } catch {
    return null;
  }
}
