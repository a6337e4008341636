import { describe, expect, it } from '@jest/globals';

import { redactedTls } from '../../src/kubernetes/manifests/render.ts';
import { remarksOn } from '../../src/render.ts';
import { namedSpec } from '../helpers/builder-spec.ts';
import { parseOptions } from './options/parse-inputs.ts';

const key = { path: 'certs/h/key.pem', content: 'PRIVATE', secret: true };

describe('remarks on what is rendered', () => {
  it('are not made where a run does the same', () => {
    const { builder } = parseOptions({ 'driver-opts': 'namespace=ci' });
    expect(remarksOn([builder], [namedSpec()])).toEqual([]);
  });

  it('say what has to be put in, and what only the cluster decides', () => {
    const { builder, append } = parseOptions({
      'driver-opts': 'mode=auto',
      append: '- platforms: linux/arm64\n  kube-context: mainframe',
    });
    const remarks = remarksOn(
      [builder, ...append],
      [namedSpec({ tls: redactedTls, files: [key] })],
    );
    expect(remarks.join('\n')).toMatch(
      /certificates .* made by each run.*connection: exec.*keys for registries.*No namespace.*mode=auto.*labelled linux-arm64 belongs to the context mainframe/s,
    );
    expect(remarks.join('')).not.toContain('\n');
  });
});
