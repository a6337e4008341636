import { messageOf } from '../../shared/errors.ts';
import type { BuilderSpec } from '../builder-spec.ts';
import { KubernetesError } from '../errors.ts';
import type { KubeClient } from '../kube-client.ts';
import { ApiRefusal } from '../kube-http.ts';
import type { KubeTree } from '../kube-objects.ts';
import { podTemplate } from '../manifests/pod-template.ts';
import { podFrom } from './admission.ts';

/**
 * The `POD_TEMPLATE_INVALID` error for a `pod-template` with fields that the cluster does not know,
 * and would drop without a word, or with values of the wrong type.
 *
 * Undefined for all else that a server may answer, which is not about the template. Rejects with the
 * signal's reason alone.
 */
export async function templateFault(
  client: KubeClient,
  spec: BuilderSpec,
  signal: AbortSignal,
): Promise<KubernetesError | undefined> {
  const { namespace, workload } = spec;
  if (spec.podTemplate === undefined) return undefined;
  const manifest = podFrom(workload, podTemplate(spec));
  try {
    await client.create('pods', { namespace, manifest, dryRun: true, strict: true }, signal);
    return undefined;
  } catch (thrown) {
    signal.throwIfAborted();
    const said = messageOf(
      thrown instanceof Error && thrown.cause instanceof ApiRefusal ? thrown.cause : thrown,
    );
    return unknownFields(said, spec.podTemplate) ?? wrongType(said);
  }
}

/** Older clusters do not know all of our own fields either, and do well without. */
function unknownFields(said: string, template: KubeTree): KubernetesError | undefined {
  if (!said.includes('strict decoding error')) return undefined;
  const text = JSON.stringify(template);
  const fields = [...said.matchAll(/unknown field "([^"]+)"/g)]
    .map(([, path = '']) => path)
    .filter((path) => text.includes(`${JSON.stringify(path.split('.').at(-1))}:`));
  if (fields.length === 0) return undefined;
  return new KubernetesError(
    'POD_TEMPLATE_INVALID',
    `pod-template: the cluster knows no ${fields.join(', ')}`,
    { hint: 'Correct the name, or its place; `kubectl explain pod.spec` lists what there is.' },
  );
}

function wrongType(said: string): KubernetesError | undefined {
  const [, given, path, wanted] =
    /cannot unmarshal (\S+) into Go struct field (\S+) of type (\S+)/.exec(said) ?? [];
  if (given === undefined || path === undefined) return undefined;
  // Begins with the Go type.
  const field = path.split('.').slice(1).join('.');
  return new KubernetesError(
    'POD_TEMPLATE_INVALID',
    `pod-template: ${field} is a ${given}, and the cluster expects ${wanted ?? 'another type'}`,
    { hint: 'Correct the value in pod-template.' },
  );
}
