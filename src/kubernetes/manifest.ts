// Only until every importer names the file it needs.
export type { BuilderSpec } from './builder-spec.ts';
export { configMap, secret } from './manifests/configuration.ts';
export { deployment } from './manifests/deployment.ts';
export {
  belongsTo,
  builderSelector,
  containerName,
  creatorAnnotation,
} from './manifests/labels.ts';
export { ownerJob } from './manifests/owner-job.ts';
