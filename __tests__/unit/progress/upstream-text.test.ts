/**
 * Recorded status streams, printed by us and by BuildKit's own display on the same clock; how the
 * fixtures came to be is in their README.
 */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FailedVertex, ProgressDisplay } from '../../../src/progress/display.ts';
import { StatusResponse } from '../../../src/wire/gen/control.ts';
import type { Timestamp } from '../../../src/wire/gen/google/protobuf/timestamp.ts';

const folder = join(import.meta.dirname, '../../fixtures/progress/buildkit-v0.34.2');
const recordings = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length));

/** One line of buildx's `--progress=rawjson`, and when it came. */
interface RecordedMessage {
  readonly atMs: number;
  readonly status: {
    readonly vertexes?: readonly (Times & {
      digest: string;
      name?: string;
      cached?: boolean;
      error?: string;
      progressGroup?: { id?: string; name?: string; weak?: boolean };
    })[];
    readonly statuses?: readonly (Times & {
      id: string;
      vertex: string;
      current: number;
      total?: number;
      timestamp: string;
    })[];
    readonly logs?: readonly { vertex: string; stream?: number; data: string; timestamp: string }[];
    readonly warnings?: readonly {
      vertex: string;
      level?: number;
      short: string;
      detail?: readonly string[];
      url?: string;
      sourceInfo?: { filename: string; data: string; language?: string };
      range?: readonly { start?: { line?: number }; end?: { line?: number } }[];
    }[];
  };
}

interface Times {
  readonly started?: string;
  readonly completed?: string;
}

describe('the text of a recorded build', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 0 });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it.each(recordings)('%s', (name) => {
    const { text, failures } = play(name);
    const expected = readFileSync(join(folder, `${name}.txt`), 'utf8');
    // Upstream ends with a block per failed step; with us the caller decides where that goes.
    const blocksAt = expected.search(/^------\n > /m);
    expect(text).toBe(blocksAt < 0 ? expected : expected.slice(0, blocksAt));
    expectBlocks(failures, blocksAt < 0 ? '' : expected.slice(blocksAt));
  });
});

/** Upstream shows the last ten lines, an unfinished one twice and out of order. */
function expectBlocks(failures: readonly FailedVertex[], text: string): void {
  const blocks = [...text.matchAll(/------\n > (.*):\n((?:.*\n)*?)------\n/g)];
  expect(blocks.map(([, name]) => name)).toEqual(failures.map(({ name }) => name));
  failures.forEach(({ lastLines }, index) => {
    const theirs = new Set(blocks[index]![2]!.split('\n').filter((line) => line !== ''));
    expect(new Set(lastLines.slice(-theirs.size))).toEqual(theirs);
  });
}

function play(name: string): { text: string; failures: FailedVertex[] } {
  const messages = JSON.parse(
    readFileSync(join(folder, `${name}.json`), 'utf8'),
  ) as RecordedMessage[];
  let text = '';
  const display = new ProgressDisplay({
    write: (piece) => {
      text += piece;
    },
    header: 'building with "fixture" instance using kubernetes driver',
  });
  let nowMs = 0;
  for (const { atMs, status } of messages) {
    jest.advanceTimersByTime(atMs - nowMs);
    nowMs = atMs;
    // Through the wire, so that what is missing arrives as it does from a daemon.
    display.update(StatusResponse.decode(StatusResponse.encode(toMessage(status)).finish()));
  }
  display.finish();
  return { text, failures: display.failures() };
}

function toMessage(recorded: RecordedMessage['status']): StatusResponse {
  return StatusResponse.fromPartial({
    vertexes: (recorded.vertexes ?? []).map((vertex) => ({ ...vertex, ...times(vertex) })),
    statuses: (recorded.statuses ?? []).map((status) => ({
      ID: status.id,
      vertex: status.vertex,
      current: status.current,
      total: status.total ?? 0,
      timestamp: timestamp(status.timestamp),
      ...times(status),
    })),
    logs: (recorded.logs ?? []).map((log) => ({
      vertex: log.vertex,
      stream: log.stream ?? 0,
      msg: Buffer.from(log.data, 'base64'),
      timestamp: timestamp(log.timestamp),
    })),
    warnings: (recorded.warnings ?? []).map((warning) => ({
      vertex: warning.vertex,
      level: warning.level ?? 0,
      short: Buffer.from(warning.short, 'base64'),
      detail: (warning.detail ?? []).map((line) => Buffer.from(line, 'base64')),
      url: warning.url ?? '',
      ranges: [...(warning.range ?? [])],
    })),
  });
}

function times({ started, completed }: Times) {
  return {
    ...(started !== undefined && { started: timestamp(started) }),
    ...(completed !== undefined && { completed: timestamp(completed) }),
  };
}

function timestamp(text: string): Timestamp {
  const [, whole, fraction = ''] = /^([^.Z]*)(?:\.(\d+))?Z$/.exec(text)!;
  return {
    seconds: BigInt(Date.parse(`${whole!}Z`)) / 1000n,
    nanos: Number(fraction.padEnd(9, '0')),
  };
}
