import { afterEach, describe, expect, it } from '@jest/globals';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import type { Pod } from '../../src/kubernetes/kube-objects.ts';
import { connectedPod } from '../../src/kubernetes/loss.ts';
import { explainLoss, type PostMortemOptions } from '../../src/kubernetes/post-mortem.ts';
import { FakeKubeApi, json, refuse } from '../fakes/fake-kube-api.ts';

const open: (AsyncDisposable | Disposable)[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) {
    if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
    else each[Symbol.dispose]();
  }
});

const running: Pod = {
  metadata: { name: 'b-1', uid: 'u1' },
  spec: { nodeName: 'node-7' },
  status: {
    phase: 'Running',
    containerStatuses: [{ name: 'buildkitd', restartCount: 0, state: { running: {} } }],
  },
};
const cause = new Error('no sign of life for 40 s');

type Found = object | 'gone' | 'unreadable';

/** What is said when the pod is now this, or gone, or not to be read. */
async function explain(
  now: Found,
  {
    events = [],
    node = 'unreadable',
    job = 'gone',
    ...options
  }: Partial<PostMortemOptions> & {
    readonly events?: readonly object[];
    readonly node?: Found;
    readonly job?: Found;
  } = {},
) {
  const api = await FakeKubeApi.start((request, response) => {
    const answer = (found: Found): void => {
      if (found === 'gone') refuse(response, 404, `"${request.path}" not found`);
      else if (found === 'unreadable') refuse(response, 403, 'User "u" cannot get resource "x"');
      else json(response, 200, found);
    };
    if (request.path.endsWith('/events')) json(response, 200, { metadata: {}, items: events });
    else if (request.path.endsWith('/nodes/node-7')) answer(node);
    else if (request.path.endsWith('/jobs/kbx-a')) answer(job);
    else answer(now);
  });
  const client = createKubeClient(api.config(), {});
  open.push(api, client);
  const { signal } = new AbortController();
  return explainLoss(client, connectedPod('ci', running), {
    lastSeen: running,
    cause,
    signal,
    ...options,
  });
}

const ready = { type: 'Ready', status: 'True' };
const goodNode = { metadata: { name: 'node-7', uid: 'n' }, status: { conditions: [ready] } };

describe('explainLoss', () => {
  it.each([
    ['still running', running, false, 'pod b-1 is still running: the connection was cut'],
    [
      'not to be read',
      'unreadable',
      false,
      'the connection to pod b-1 was cut, and the pod cannot be read',
    ],
    ['gone', 'gone', true, 'pod b-1 was deleted'],
    [
      'being deleted',
      { ...running, metadata: { ...running.metadata, deletionTimestamp: 'now' } },
      true,
      'pod b-1 is being deleted',
    ],
  ] as const)(
    'keeps what the connection said when the pod is %s',
    async (_, now, explained, message) => {
      const explanation = await explain(now);
      expect(explanation).toMatchObject({ explained, error: { code: 'BUILDER_LOST', message } });
      expect(explanation.error.cause).toBe(cause);
    },
  );

  it('adds what an event tells', async () => {
    const evicted = {
      metadata: { name: 'e', uid: 'e' },
      reason: 'Evicted',
      message: 'low on memory',
    };
    const { error, explained } = await explain('gone', { events: [evicted] });
    expect([error.message, explained]).toEqual([
      'pod b-1 was deleted (Evicted: low on memory)',
      true,
    ]);
    expect(error.cause).toBe(cause);
  });

  it('does not believe an eviction that was called off', async () => {
    const cancelled = {
      metadata: { name: 'e', uid: 'e' },
      reason: 'TaintManagerEviction',
      message: 'Cancelling deletion of Pod ci/b-1',
    };
    const { error } = await explain('gone', { events: [cancelled] });
    expect(error.message).toBe('pod b-1 was deleted');
  });

  it('reads the node', async () => {
    const conditions = [{ type: 'Ready', status: 'Unknown', message: 'Kubelet stopped posting.' }];
    const lost = await explain(running, { node: { ...goodNode, status: { conditions } } });
    expect(lost).toMatchObject({
      explained: true,
      error: {
        kind: 'node-lost',
        message: 'node node-7 of pod b-1 does not answer: Kubelet stopped posting.',
      },
    });
    const well = await explain(running, { node: goodNode });
    expect(well).toMatchObject({ explained: false, error: { kind: 'connection' } });
    expect((await explain(running, { node: 'gone' })).error.message).toBe(
      'node node-7 of pod b-1 is gone',
    );
  });

  it('names a node that is silent before the cluster knows', async () => {
    const { error } = await explain(running, { node: goodNode, isSilent: true });
    expect(error).toMatchObject({
      kind: 'node-lost',
      message:
        'pod b-1 on node node-7 does not answer any more, though the cluster still takes it for running',
    });
  });

  it('says what the build was at', async () => {
    const { error } = await explain('gone', { step: '[2/3] RUN make' });
    expect(error.message).toBe('pod b-1 was deleted, while [2/3] RUN make ran');
  });

  it.each([
    ['gone, and its deadline is over', 'gone', 'max-lifetime', /reached its max-lifetime/],
    ['gone, and no beat reached it', 'gone', 'silence', /heard nothing of this run/],
    ['gone before its time', 'gone', undefined, /the builder was removed/],
    [
      'failed and not yet gone',
      { metadata: {}, status: { conditions: [{ type: 'Failed', status: 'True' }] } },
      'max-lifetime',
      /reached its max-lifetime/,
    ],
    [
      'there, so that it was the pod alone',
      { metadata: {}, status: {} },
      'max-lifetime',
      /^pod b-1 was deleted$/,
    ],
    ['not to be read', 'unreadable', 'max-lifetime', /^pod b-1 was deleted$/],
  ] as const)('looks at the owner: %s', async (_, job, expiry, message) => {
    const owner = { name: 'kbx-a', expiry: () => expiry };
    const { error } = await explain('gone', { job, owner });
    expect(error.message).toMatch(message);
  });
});
