import { Packet, Packet_PacketType } from '../../wire/gen/fsutil.ts';
import { dataPacketPieces } from '../../wire/payload-frames.ts';
import { encodeMessage } from '../../wire/rpc.ts';
import { messageOf } from '../../shared/errors.ts';
import type { SessionCall } from '../attachable.ts';
import { SessionError } from '../errors.ts';
import { sentMessage } from '../grpc-status.ts';
import { fileContent } from './file-content.ts';
import type { Judge } from './filter.ts';
import { HardLinks } from './hard-links.ts';
import { ListedFiles, type ListedFile } from './listed-files.ts';
import type { LocalFolder } from './local-folder.ts';
import { RequestQueue } from './request-queue.ts';
import { SmallFiles } from './small-files.ts';
import { statMessage } from './stat.ts';
import { walk, type WalkEntry } from './walk.ts';

/** What went over the wire in one transfer. */
export interface TransferCounts {
  /** Files, folders, links and so on that were listed. */
  readonly entries: number;
  /** Files whose content the daemon asked for. */
  readonly files: number;
  /** Content of those files. */
  readonly bytesSent: number;
}

const noData = Buffer.alloc(0);

/**
 * Files read at once: small ones wait longer for the file system than for the daemon, most of all on
 * a network volume; large ones hold up to two chunks of memory each.
 */
const filesAtOnce = 8;

/**
 * Sends a folder to the daemon: lists it, and sends the content of the files that are asked for,
 * from the moment they were listed. Resolves when the daemon has all it wanted.
 *
 * Throws `SessionError` `SESSION_CONTEXT_UNREADABLE` when something cannot be sent as it was
 * listed, after telling the daemon so; `SESSION_PROTOCOL` when the daemon breaks the rules;
 * `SESSION_CALL_CANCELLED` when it gives up; and the reason of `call.signal`. Follows fsutil
 * `send.go`.
 */
export async function sendFolder(
  call: SessionCall,
  folder: LocalFolder,
  filter: Judge,
): Promise<TransferCounts> {
  return new Transfer(call, folder).run(filter);
}

class Transfer {
  readonly #call: SessionCall;
  readonly #folder: LocalFolder;
  readonly #small: SmallFiles;
  readonly #listed = new ListedFiles();
  readonly #requests = new RequestQueue();
  readonly #stop = new AbortController();
  #files = 0;
  #bytesSent = 0;

  constructor(call: SessionCall, folder: LocalFolder) {
    this.#call = call;
    this.#folder = folder;
    this.#small = new SmallFiles(folder);
  }

  async run(filter: Judge): Promise<TransferCounts> {
    const signal = AbortSignal.any([this.#call.signal, this.#stop.signal]);
    const sending = [
      this.#list(filter, signal),
      ...Array.from({ length: filesAtOnce }, () => this.#answerRequests(signal)),
    ];
    try {
      await Promise.all([this.#receive(), ...sending]);
      await this.#call.send(encodePacket({ type: Packet_PacketType.PACKET_FIN }));
    } catch (error) {
      // What the daemon still has to say ends with the call; everything of ours ends here.
      this.#stop.abort(error);
      this.#requests.clear();
      await Promise.allSettled(sending);
      await this.#report(error);
      throw error;
    }
    return { entries: this.#listed.entries, files: this.#files, bytesSent: this.#bytesSent };
  }

  async #list(filter: Judge, signal: AbortSignal): Promise<void> {
    const hardLinks = new HardLinks();
    for await (const entry of walk(this.#folder, filter, signal)) {
      // Before it is announced, for the daemon may ask at once.
      this.#listed.add(fileIn(entry));
      const linkname = entry.linkTarget ?? hardLinks.earlierPath(entry.path, entry.stats) ?? '';
      const stat = statMessage(entry.path, entry.stats, linkname);
      await this.#call.send(encodePacket({ type: Packet_PacketType.PACKET_STAT, stat }));
    }
    await this.#call.send(encodePacket({ type: Packet_PacketType.PACKET_STAT }));
  }

  async #receive(): Promise<void> {
    for await (const message of this.#call.messages()) {
      const packet = this.#decode(message);
      if (packet.type === Packet_PacketType.PACKET_REQ) this.#requests.push(packet.ID);
      if (packet.type === Packet_PacketType.PACKET_ERR) throw this.#stopped(packet.data);
      if (packet.type === Packet_PacketType.PACKET_FIN) {
        this.#requests.close();
        return;
      }
    }
    throw this.#broken('ended the transfer before it had said that it has everything');
  }

  async #answerRequests(signal: AbortSignal): Promise<void> {
    for (;;) {
      const id = await this.#requests.take();
      if (id === undefined) return;
      const file = this.#listed.take(id);
      if (file === undefined) throw this.#broken(`asked for an invalid file id ${id}`);
      await this.#sendContent(id, file, signal);
    }
  }

  async #sendContent(id: number, file: ListedFile, signal: AbortSignal): Promise<void> {
    this.#files += 1;
    if (!file.isSocket) {
      for await (const chunk of fileContent(this.#folder, file, this.#small)) {
        signal.throwIfAborted();
        this.#bytesSent += chunk.length;
        await this.#call.send(dataPacketPieces(id, chunk));
      }
    }
    await this.#call.send(dataPacketPieces(id, noData));
  }

  /** Tells the daemon why the transfer fails, as far as it still listens. */
  async #report(error: unknown): Promise<void> {
    if (this.#call.signal.aborted) return;
    const packet = encodePacket({
      type: Packet_PacketType.PACKET_ERR,
      data: Buffer.from(sentMessage(messageOf(error))),
    });
    await this.#call.send(packet).catch(() => undefined);
  }

  #decode(message: Buffer): Packet {
    try {
      return Packet.decode(message);
    } catch (error) {
      throw this.#broken('sent what is no packet', error);
    }
  }

  #broken(how: string, cause?: unknown): SessionError {
    return new SessionError(
      'SESSION_PROTOCOL',
      `while "${this.#folder.name}" was sent, the BuildKit daemon ${how}`,
      { cause },
    );
  }

  #stopped(reason: Buffer): SessionError {
    return new SessionError(
      'SESSION_CALL_CANCELLED',
      `the BuildKit daemon stopped receiving "${this.#folder.name}": ${reason.toString()}`,
    );
  }
}

/** Undefined for what has no content of its own, by the rule that fsutil's receiver goes by too. */
function fileIn({ path, stats }: WalkEntry): ListedFile | undefined {
  const isSocket = stats.isSocket();
  if (!stats.isFile() && !isSocket) return undefined;
  return { path, sizeBytes: Number(stats.size), isSocket };
}

function encodePacket(packet: Partial<Packet>): Buffer {
  return encodeMessage(Packet, Packet.fromPartial(packet));
}
