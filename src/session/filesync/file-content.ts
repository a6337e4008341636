import type { FileHandle } from 'node:fs/promises';
import type { ListedFile } from './listed-files.ts';
import type { LocalFolder } from './local-folder.ts';
import type { SmallFiles } from './small-files.ts';

/** Content per packet: below this packets cost more than they carry, above it memory. */
const chunkBytes = 256 * 1024;

/**
 * The content of a file in chunks of up to 256 KiB, each its own memory, one read ahead; a small
 * one in one chunk.
 *
 * Throws `SessionError` `SESSION_CONTEXT_UNREADABLE` when the file cannot be read, and when it has
 * not as many bytes as it was listed with, where fsutil would pass on what it happens to find: a
 * build must not go on with half a file.
 */
export async function* fileContent(
  folder: LocalFolder,
  file: ListedFile,
  small: SmallFiles,
): AsyncGenerator<Buffer, void, undefined> {
  const whole = await readOf(folder, file, small.read(file));
  // Of another length, it is read again with more care, and judged.
  if (whole?.length === file.sizeBytes) {
    if (whole.length > 0) yield whole;
    return;
  }
  await using handle = await openListed(folder, file);
  let leftBytes = file.sizeBytes;
  let ahead = startRead(handle, leftBytes);
  try {
    do {
      const chunk = await readOf(folder, file, ahead);
      if (chunk.length < Math.min(leftBytes, chunkBytes)) throw wrongSize(folder, file, 'fewer');
      if (chunk.length > leftBytes) throw wrongSize(folder, file, 'more');
      leftBytes -= chunk.length;
      if (leftBytes > 0) ahead = startRead(handle, leftBytes);
      if (chunk.length > 0) yield chunk;
    } while (leftBytes > 0);
  } finally {
    // The handle must not be closed under a read: its number could be another file's by then.
    await ahead.catch(() => undefined);
  }
}

async function openListed(folder: LocalFolder, file: ListedFile): Promise<FileHandle> {
  try {
    return await folder.openFile(file.path);
  } catch (error) {
    throw folder.cannotRead(file.path, error);
  }
}

async function readOf<Content>(
  folder: LocalFolder,
  file: ListedFile,
  reading: Promise<Content>,
): Promise<Content> {
  try {
    return await reading;
  } catch (error) {
    throw folder.cannotRead(file.path, error);
  }
}

/** Starts to read; a failure while nobody looks is kept for whoever asks. */
function startRead(handle: FileHandle, leftBytes: number): Promise<Buffer> {
  const reading = readChunk(handle, leftBytes);
  reading.catch(() => undefined);
  return reading;
}

/** Reads a whole chunk or, at the end of the file, the rest and one byte more if it has grown. */
async function readChunk(handle: FileHandle, leftBytes: number): Promise<Buffer> {
  const wantedBytes = Math.min(leftBytes, chunkBytes);
  const buffer = Buffer.allocUnsafe(leftBytes <= chunkBytes ? wantedBytes + 1 : wantedBytes);
  let filledBytes = 0;
  do {
    const { bytesRead } = await handle.read(buffer, filledBytes, buffer.length - filledBytes, null);
    if (bytesRead === 0) break;
    filledBytes += bytesRead;
  } while (filledBytes < wantedBytes);
  return buffer.subarray(0, filledBytes);
}

function wrongSize(folder: LocalFolder, file: ListedFile, than: 'fewer' | 'more'): Error {
  return folder.changed(
    file.path,
    `it was listed with ${file.sizeBytes} bytes and has ${than} by now`,
  );
}
