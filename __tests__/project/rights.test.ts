import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { groupOf } from '../../src/kubernetes/preflight/access.ts';
import { isHard, type Right, rights, rightsFor } from '../../src/kubernetes/preflight/rights.ts';
import type { Undertaking } from '../../src/kubernetes/preflight/undertaking.ts';
import { readReadmeRights } from '../helpers/readme-rights.ts';

const root = join(import.meta.dirname, '..', '..');

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** Every undertaking on a builder that is there already. */
const uses = (['deployments', 'statefulsets'] as const).flatMap((workload) =>
  (['auto', 'exec', 'port-forward', 'direct'] as const).map((connection): Undertaking => {
    const use = { creates: false, usesConfigMap: true, usesSecret: true, isShared: true };
    return { ...use, isPool: true, triesModes: true, workload, connection };
  }),
);
const ofNamespace = rights.filter(({ resource }) => resource !== 'nodes');

describe('the rights in the README', () => {
  it('are those that a run asks for', () => {
    expect(readReadmeRights()).toEqual(
      rights.map((right) => ({
        isHard: isHard(right),
        occasion: right.occasion,
        verbs: right.verbs,
        resource: right.resource,
        text: right.purpose ?? right.loss,
      })),
    );
  });
});

describe.each([
  ['provision.yaml', ofNamespace],
  [
    'use-only.yaml',
    ofNamespace.filter((right) => uses.some((use) => rightsFor(use).includes(right))),
  ],
  ['nodes.yaml', rights.filter(({ resource }) => resource === 'nodes')],
])('docs/rbac/%s', (file, wanted) => {
  const { rules } = parse(readFileSync(join(root, 'docs', 'rbac', file), 'utf8')) as {
    readonly rules: readonly Rule[];
  };

  it('grants the rights that a run asks for, and no other', () => {
    expect(grantsOf(rules)).toEqual(asked(wanted));
  });

  it('is told of in the README', () => {
    expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain(`(docs/rbac/${file})`);
  });
});

describe('docs/rbac/use-only.yaml', () => {
  it('opens no Secret but those it names', () => {
    const { rules } = parse(readFileSync(join(root, 'docs', 'rbac', 'use-only.yaml'), 'utf8')) as {
      readonly rules: readonly Rule[];
    };
    const secrets = rules.filter(({ resources }) => resources.includes('secrets'));
    expect(secrets.map(({ resourceNames = [] }) => resourceNames.length > 0)).toEqual([true]);
  });
});

function grantsOf(rules: readonly Rule[]): string[] {
  return rules
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    )
    .sort();
}

function asked(wanted: readonly Right[]): string[] {
  const all = wanted.flatMap(({ resource, verbs }) =>
    verbs.map((verb) => `${verb} ${groupOf(resource)}/${resource}`),
  );
  return [...new Set(all)].sort();
}
