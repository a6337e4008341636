import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { ActionError } from '../../../src/action/errors.ts';
import { readInputs } from '../../../src/action/inputs.ts';
import { shareJobId } from '../../../src/action/job-id.ts';
import { setOutputs } from '../../../src/action/outputs.ts';
import { State } from '../../../src/action/state.ts';
import { RecordingHost } from './recording-host.ts';

let host: RecordingHost;

beforeEach(() => {
  host = new RecordingHost();
});

afterEach(() => {
  host[Symbol.dispose]();
});

describe('readInputs', () => {
  it('reads upper-case variables with their dashes', () => {
    const inputs = readInputs({
      'INPUT_DRIVER-OPTS': ' a=b \n',
      INPUT_PUSH: 'true',
      INPUT_OTHER: 'x',
    });
    expect(inputs['driver-opts']).toBe(' a=b \n');
    expect(inputs.push).toBe('true');
    expect(inputs.tags).toBe('');
    expect(inputs).not.toHaveProperty('other');
  });
});

describe('setOutputs', () => {
  it('sets what is known, empty values too', () => {
    setOutputs(
      { digest: 'sha256:1', image: 'a@sha256:1\nb@sha256:1', imageid: '', metadata: undefined },
      host,
    );
    expect(host.values('GITHUB_OUTPUT')).toEqual({
      digest: 'sha256:1',
      image: 'a@sha256:1\nb@sha256:1',
      imageid: '',
    });
  });
});

describe('State', () => {
  interface Values {
    readonly builder: { readonly namespace: string; readonly name: string };
    readonly startedAtMs: number;
  }

  it('comes back in the post step', () => {
    const main = new State<Values>(host);
    main.save('builder', { namespace: 'ci', name: 'a\n"b"' });
    main.save('startedAtMs', 0);
    const saved = Object.entries(host.values('GITHUB_STATE'));
    const env = Object.fromEntries(saved.map(([name, value]) => [`STATE_${name}`, value]));
    const post = new State<Values>({ env, write: host.write });
    expect(post.read('builder')).toEqual({ namespace: 'ci', name: 'a\n"b"' });
    expect(post.read('startedAtMs')).toBe(0);
  });

  it('is undefined when main did not get that far', () => {
    expect(new State<Values>(host).read('builder')).toBeUndefined();
  });

  it('is refused when it is not what main wrote', () => {
    const state = new State<Values>({ env: { STATE_builder: '{"namesp' }, write: host.write });
    expect(() => state.read('builder')).toThrow(ActionError);
  });
});

describe('shareJobId', () => {
  it('is made by the first step and reused by the later ones', () => {
    const { jobId, isLaterStep } = shareJobId(host);
    expect(isLaterStep).toBe(false);
    expect(jobId).toMatch(/^[a-z0-9]{10}$/);
    const exported = host.values('GITHUB_ENV');
    using later = new RecordingHost(exported);
    expect(shareJobId(later)).toEqual({ jobId, isLaterStep: true, lastPod: undefined });
    expect(later.file('GITHUB_ENV')).toBe('');
  });

  it('differs between jobs', () => {
    using other = new RecordingHost();
    expect(shareJobId(host).jobId).not.toBe(shareJobId(other).jobId);
  });

  it.each(['', 'UPPER12345', 'short', 'too-long-to-be-one', 'a b c d e f'])(
    'does not take over %j, which no step of ours exported',
    (value) => {
      using strange = new RecordingHost({ KUBE_BUILDX_JOB_ID: value });
      expect(shareJobId(strange)).toMatchObject({
        jobId: expect.stringMatching(/^[a-z0-9]{10}$/) as unknown,
        isLaterStep: false,
      });
      expect(shareJobId(strange).jobId).not.toBe(value);
    },
  );
});
