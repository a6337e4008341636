import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ProgressDisplay } from '../../../src/progress/display.ts';
import {
  StatusResponse,
  type Vertex,
  type VertexLog,
  type VertexWarning,
} from '../../../src/wire/gen/control.ts';
import type { Timestamp } from '../../../src/wire/gen/google/protobuf/timestamp.ts';

const startSeconds = 1_790_000_000n;

function at(seconds: number): Timestamp {
  const whole = Math.floor(seconds);
  return {
    seconds: startSeconds + BigInt(whole),
    nanos: Math.round((seconds - whole) * 1e9),
  };
}

interface Status {
  readonly vertexes?: Partial<Vertex>[];
  readonly logs?: VertexLog[];
  readonly warnings?: VertexWarning[];
}

function recordDisplay(options: { header?: string } = {}) {
  const pieces: string[] = [];
  const display = new ProgressDisplay({ ...options, write: (text) => void pieces.push(text) });
  const update = (status: Status): void => {
    display.update(StatusResponse.fromPartial(status));
  };
  return { display, pieces, update };
}

const log = (vertex: string, seconds: number, text: string): VertexLog => ({
  vertex,
  stream: 1n,
  timestamp: at(seconds),
  msg: Buffer.from(text),
});

beforeEach(() => {
  jest.useFakeTimers({ now: 0 });
});
afterEach(() => {
  jest.useRealTimers();
});

describe('printing', () => {
  it('gathers messages for 100 ms and looks again 150 ms after the last', () => {
    const { pieces, update, display } = recordDisplay();
    update({ vertexes: [{ digest: 'a', name: 'RUN a', started: at(0) }] });
    expect(pieces).toEqual(['#1 RUN a\n']);
    for (let count = 1; count <= 9; count += 1) {
      jest.advanceTimersByTime(10);
      update({ logs: [log('a', count, `line ${count}\n`)] });
    }
    expect(pieces).toHaveLength(1);
    jest.advanceTimersByTime(149);
    expect(pieces).toHaveLength(1);
    jest.advanceTimersByTime(1);
    expect(pieces).toHaveLength(2);
    expect(pieces[1]!.split('\n')).toHaveLength(10);
    display.finish();
  });

  it('does not gather more than 256 KiB of log', () => {
    const { pieces, update, display } = recordDisplay();
    update({ vertexes: [{ digest: 'a', name: 'RUN a', started: at(0) }] });
    const megabytes = 8;
    for (let kibibytes = 0; kibibytes < megabytes * 1024; kibibytes += 32) {
      update({ logs: [log('a', 1, `${'x'.repeat(32 * 1024 - 1)}\n`)] });
    }
    expect(pieces).toHaveLength(1 + megabytes * 4);
    display.finish();
  });

  it('does not let megabytes of one step wait for the turn of another', () => {
    const { pieces, update, display } = recordDisplay();
    update({ vertexes: [{ digest: 'a', name: 'RUN a', started: at(0) }] });
    update({ vertexes: [{ digest: 'b', name: 'RUN b', started: at(0) }] });
    const megabyte = `${'x'.repeat(1024 * 1024 - 1)}\n`;
    for (let count = 0; count < 8; count += 1) update({ logs: [log('b', 1, megabyte)] });
    expect(pieces.join('')).toBe('#1 RUN a\n');
    update({ logs: [log('b', 1, 'one more\n')] });
    jest.advanceTimersByTime(150);
    expect(pieces.join('')).toContain('#2 1.000 one more\n');
    display.finish();
  });

  it('leaves no timer behind and ignores what comes after the end', () => {
    const { pieces, update, display } = recordDisplay();
    update({ vertexes: [{ digest: 'a', name: 'RUN a', started: at(0) }] });
    expect(jest.getTimerCount()).toBe(1);
    display.finish();
    expect(jest.getTimerCount()).toBe(0);
    update({ vertexes: [{ digest: 'b', name: 'RUN b', started: at(0) }] });
    display.finish();
    expect(pieces.join('')).toBe('#1 RUN a\n');
  });

  it('prints nothing at all for a build without steps', () => {
    const { pieces, update, display } = recordDisplay({ header: 'building' });
    update({});
    display.finish();
    expect(pieces).toEqual([]);
  });

  it('shows the last output of every step when the stream breaks', () => {
    const { pieces, update, display } = recordDisplay();
    update({
      vertexes: ['a', 'b', 'c'].map((name) => ({ digest: name, name, started: at(0) })),
      logs: [log('c', 1, 'c is here\n')],
    });
    update({ logs: [log('a', 2, 'a waits\n'), log('b', 2, 'b is cut o')] });
    display.finish();
    const text = pieces.join('');
    expect(text).toContain('\n#1 2.000 a waits\n'.replace('#1', `#${numberOf('a', text)}`));
    expect(text).toContain(`#${numberOf('b', text)} 2.000 b is cut o\n`);
    expect(text.endsWith('\n')).toBe(true);
  });
});

describe('a step of our own', () => {
  it('is shown with its end, each time', () => {
    const { pieces, update, display } = recordDisplay();
    update({ vertexes: [{ digest: 'a', name: 'RUN a', started: at(0) }] });
    display.showStep('[auth] app:pull token for registry.example');
    display.showStep('[auth] app:pull token for registry.example');
    display.finish();
    expect(pieces.join('')).toBe(
      [
        '#1 RUN a\n#1 ...\n',
        '#2 [auth] app:pull token for registry.example\n#2 DONE 0.0s\n',
        '#3 [auth] app:pull token for registry.example\n#3 DONE 0.0s\n',
      ].join('\n'),
    );
  });
});

describe('facts for after', () => {
  it('names failed steps with their last 40 lines, and not those that were cancelled', () => {
    const { update, display } = recordDisplay();
    update({
      vertexes: [
        { digest: 'a', name: 'RUN a', started: at(0) },
        { digest: 'b', name: 'RUN b', started: at(0) },
      ],
      logs: Array.from({ length: 100 }, (_, index) => log('a', 0.5, `line ${index}\n`)),
    });
    update({
      vertexes: [
        { digest: 'a', name: 'RUN a', started: at(0), completed: at(1), error: 'exit code: 1' },
        {
          digest: 'b',
          name: 'RUN b',
          started: at(0),
          completed: at(1),
          error: 'process did not complete: context canceled',
        },
      ],
      logs: [log('a', 0.9, 'without newline')],
    });
    display.finish();
    const [failure, ...others] = display.failures();
    expect(others).toEqual([]);
    expect(failure).toMatchObject({ digest: 'a', name: 'RUN a', error: 'exit code: 1' });
    expect(failure!.lastLines).toHaveLength(40);
    expect(failure!.lastLines[0]).toBe('0.500 line 61');
    expect(failure!.lastLines.at(-1)).toBe('0.900 without newline');
  });

  it('says which member made a group fail', () => {
    const { update, display } = recordDisplay();
    const progressGroup = { id: 'g', name: 'COPY --link', weak: false };
    update({
      vertexes: [
        { digest: 'm1', name: 'one', started: at(0), completed: at(1), progressGroup },
        { digest: 'm2', name: 'two', started: at(0), completed: at(1), progressGroup, error: 'no' },
      ],
    });
    expect(display.failures()).toEqual([
      { digest: 'm2', name: 'COPY --link', error: 'no', lastLines: [] },
    ]);
    display.finish();
  });

  it('collects each warning once, whatever vertex it comes with', () => {
    const { update, display } = recordDisplay();
    const warning = {
      vertex: 'a',
      level: 1n,
      short: Buffer.from('StageNameCasing: stage name must be lowercase (line 2)'),
      detail: [Buffer.from('Write it in lower case.')],
      url: 'https://docs.docker.com/go/dockerfile/rule/stage-name-casing/',
      info: { filename: 'Dockerfile', language: 'Dockerfile', data: Buffer.from('FROM a AS B\n') },
      ranges: [{ start: { line: 2, character: 0 }, end: { line: 2, character: 0 } }],
    };
    update({ warnings: [warning, { ...warning, vertex: 'b' }] });
    update({ warnings: [{ ...warning, ranges: [] }] });
    display.finish();
    const [first, second, ...others] = display.warnings();
    expect(others).toEqual([]);
    expect(first).toEqual({
      vertex: 'a',
      level: 1,
      short: 'StageNameCasing: stage name must be lowercase (line 2)',
      detail: ['Write it in lower case.'],
      url: warning.url,
      source: {
        filename: 'Dockerfile',
        language: 'Dockerfile',
        content: warning.info.data,
        ranges: warning.ranges,
      },
    });
    expect(second!.source!.ranges).toEqual([]);
  });
});

/** The `#N` under which a step was printed. */
function numberOf(name: string, text: string): string {
  return new RegExp(`^#(\\d+) ${name}$`, 'm').exec(text)![1]!;
}
