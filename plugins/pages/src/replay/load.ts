// Files, from a chooser or from this site, read line by line.
//
// Invariant: no more than FILE_BYTES_MAX is read, whatever a file or a server says of its size.
import { BadFile, JournalReader, notAnExport, type Journal } from "./journal.js";

/** A step with all its messages is far shorter. */
const LINE_CHARS_MAX = 8 * 1024 * 1024;
export const FILE_BYTES_MAX = 256 * 1024 * 1024;

/** How much was read of how much; the whole is 0 if nobody knows. */
export type OnProgress = (bytes: number, bytesAll: number) => void;

/** Reads a file that was chosen or dropped. Throws `BadFile`. */
export async function readFile(
  file: File,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Journal> {
  if (file.size > FILE_BYTES_MAX) throw tooLarge();
  return readStream(file.stream(), file.size, onProgress, signal);
}

/** Reads a file of this site. Throws `BadFile`. */
export async function readUrl(
  address: string,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Journal> {
  const url = URL.canParse(address, location.href) ? new URL(address, location.href) : undefined;
  if (!url || url.origin !== location.origin) {
    throw new BadFile(
      "Only a file of this site can be opened by its address. Save that file on this device, and choose it here.",
    );
  }
  const answer = await fetch(url, { signal, mode: "same-origin" }).catch((error: unknown) => {
    if (signal.aborted) throw error;
    throw new BadFile("The file cannot be loaded: there is no connection. Try again in a moment.");
  });
  if (!answer.ok || !answer.body) {
    throw new BadFile(
      `There is no file at ${url.pathname} (the answer was ${answer.status}). Check the address, or choose a file here.`,
    );
  }
  const bytesAll = Number(answer.headers.get("content-length") ?? 0);
  return readStream(answer.body, bytesAll, onProgress, signal);
}

async function readStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  bytesAll: number,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Journal> {
  const reader = new JournalReader();
  const chunks = stream.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  // The beginning of a line whose end has not come yet.
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await chunks.read().catch((error: unknown) => {
        if (signal.aborted) throw error;
        throw new BadFile("The file cannot be read to its end. Is it still there? Open it again.");
      });
      signal.throwIfAborted();
      if (done) break;
      bytes += value.length;
      if (bytes > FILE_BYTES_MAX) throw tooLarge();
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) reader.push(line);
      if (rest.length > LINE_CHARS_MAX) throw notAnExport();
      onProgress(bytes, bytesAll);
    }
  } finally {
    // What is left of a file that was not read to its end is nobody's affair any more.
    await chunks.cancel().catch(() => {});
  }
  if (rest !== "") reader.push(rest);
  return reader.end();
}

function tooLarge(): BadFile {
  return new BadFile(
    `The file is larger than ${FILE_BYTES_MAX / 1024 / 1024} MiB, more than this page plays back. scenehost replay SCENE --print shows the match as text.`,
  );
}
