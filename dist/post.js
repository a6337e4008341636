import { enableCompileCache } from 'node:module';
const { RUNNER_TEMP } = process.env;
if (RUNNER_TEMP) enableCompileCache(`${RUNNER_TEMP}/kube-buildx/compiled`);
const { post } = await import('./bundle/index.js');
await post();
