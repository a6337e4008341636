import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import type { BuilderSpec } from '../builder-spec.ts';
import { KubernetesError } from '../errors.ts';
import type { KubeTree } from '../kube-objects.ts';
import { podMetadata } from './labels.ts';
import { settingsOf } from './mode-settings.ts';
import { podSpec } from './pod-spec.ts';
import { strategicMerge } from './strategic-merge.ts';
import { templateRefusals } from './template-refusals.ts';

/** What manifests of whole pods carry beside what makes a template. */
const ignoredFields = ['apiVersion', 'kind'];
const ignoredMetadata = ['name', 'generateName', 'creationTimestamp'];

/**
 * The pods of a builder: ours with `pod-template` merged into it.
 *
 * Throws `POD_TEMPLATE_INVALID` with everything in it that would break the builder.
 */
export function podTemplate(spec: BuilderSpec): V1PodTemplateSpec {
  const ours = plainTemplate(spec);
  if (spec.podTemplate === undefined) return ours;
  const { patch, problems } = readPatch(spec.podTemplate);
  // Both are what JSON can hold, and so is what comes of them.
  const merged = strategicMerge(ours as KubeTree, patch, problems) as V1PodTemplateSpec;
  if (problems.length === 0) problems.push(...templateRefusals(ours, merged, spec));
  if (problems.length === 0) return merged;
  throw new KubernetesError('POD_TEMPLATE_INVALID', `pod-template: ${problems.join('; ')}`, {
    hint: 'Take what is named out of pod-template; what inputs and driver-opts can set belongs there.',
  });
}

function plainTemplate(spec: BuilderSpec): V1PodTemplateSpec {
  const { labels, annotations } = podMetadata(spec);
  const { podAnnotations } = settingsOf(spec.mode);
  return {
    metadata: { labels, annotations: { ...annotations, ...podAnnotations } },
    spec: podSpec(spec),
  };
}

/** Whole manifests of pods are taken too, without what names or places them. */
function readPatch(template: KubeTree): { patch: KubeTree; problems: string[] } {
  const problems: string[] = [];
  const patch: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(template)) {
    if (field === 'spec') patch.spec = value;
    else if (field === 'metadata') patch.metadata = readMetadata(value, problems);
    else if (!ignoredFields.includes(field)) {
      problems.push(`${field} is neither metadata nor spec`);
    }
  }
  return { patch, problems };
}

function readMetadata(metadata: unknown, problems: string[]): unknown {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return metadata;
  const fields = Object.entries(metadata).filter(([field]) => !ignoredMetadata.includes(field));
  for (const [field] of fields) {
    if (!['labels', 'annotations', '$patch'].includes(field)) {
      problems.push(`metadata.${field} cannot be set on the pods of a workload`);
    }
  }
  return Object.fromEntries(fields);
}
