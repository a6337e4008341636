import { afterEach, describe, expect, it } from '@jest/globals';
import { createKubeClient } from '../../src/kubernetes/kube-http-client.ts';
import type { Pod } from '../../src/kubernetes/kube-objects.ts';
import { connectedPod, explainLoss } from '../../src/kubernetes/loss.ts';
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
  status: {
    phase: 'Running',
    containerStatuses: [{ name: 'buildkitd', restartCount: 0, state: { running: {} } }],
  },
};
const cause = new Error('no sign of life for 40 s');

/** What is said when the pod is now this, or gone, or not to be read. */
async function explain(now: Pod | 'gone' | 'unreadable', events: readonly object[] = []) {
  const api = await FakeKubeApi.start((request, response) => {
    if (request.path.endsWith('/events')) json(response, 200, { metadata: {}, items: events });
    else if (now === 'gone') refuse(response, 404, 'pods "b-1" not found');
    else if (now === 'unreadable') {
      refuse(response, 403, 'User "u" cannot get resource "pods"');
    } else json(response, 200, now);
  });
  const client = createKubeClient(api.config(), {});
  open.push(api, client);
  const { signal } = new AbortController();
  return explainLoss(client, connectedPod('ci', running), { lastSeen: running, cause, signal });
}

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
    const { error, explained } = await explain('gone', [evicted]);
    expect([error.message, explained]).toEqual([
      'pod b-1 was deleted (Evicted: low on memory)',
      true,
    ]);
    expect(error.cause).toBe(cause);
  });
});
