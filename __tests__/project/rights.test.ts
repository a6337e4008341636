import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

import { hardRights, softRights } from '../../src/kubernetes/preflight.ts';
import { type ReadmeRight, readReadmeRights } from '../helpers/readme-rights.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const nothing = { usesConfigMap: false, usesSecret: false };
const configuration = { usesConfigMap: true, usesSecret: false };
const keys = { usesConfigMap: true, usesSecret: true };
const rows = readReadmeRights();
const role = parse(read('docs/rbac/role.yaml')) as {
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
};

describe('the rights in the README', () => {
  it('are those of the Role', () => {
    const granted = role.rules.flatMap(({ resources, verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
    );
    expect([...new Set(rows.flatMap(rightsOf))].sort()).toEqual(granted.sort());
  });

  it.each([
    ['always', undefined, nothing],
    ['with configuration of buildkitd or registries', nothing, configuration],
    ['with private keys in it', configuration, keys],
  ])('are needed %s where a run is refused without them', (needed, less, needs) => {
    const before = less === undefined ? [] : hardRights(less).map(describeAccess);
    const asked = hardRights(needs).map(describeAccess);
    const documented = rows.filter((row) => row.needed === needed).flatMap(rightsOf);
    expect(documented.sort()).toEqual(asked.filter((right) => !before.includes(right)).sort());
  });

  it('are better to have where the log says what is lost', () => {
    expect(
      rows
        .filter(({ needed }) => needed === 'better')
        .map(({ verbs, resource, text }) => ({ verbs, resource, loss: text })),
    ).toEqual(softRights.map(({ verbs, resource, loss }) => ({ verbs, resource, loss })));
  });
});

describe('docs/rbac/role.yaml', () => {
  it('has each resource in the group that we ask about', () => {
    const needed = hardRights(keys);
    for (const { resource, group } of needed) {
      const rule = role.rules.find(({ resources }) => resources.includes(resource));
      expect([resource, rule?.apiGroups]).toEqual([resource, [group]]);
    }
  });
});

function describeAccess({ verb, resource }: { verb: string; resource: string }): string {
  return `${verb} ${resource}`;
}

function rightsOf({ verbs, resource }: ReadmeRight): string[] {
  return verbs.map((verb) => `${verb} ${resource}`);
}
