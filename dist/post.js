import { Bundle } from './load.js';
const { RUNNER_TEMP } = process.env;
const keptIn = RUNNER_TEMP && `${RUNNER_TEMP}/kube-buildx/compiled/61b54bbcf1935ded`;
const bundle = new Bundle(`${import.meta.dirname}/bundle`, keptIn);
await bundle.require('./index.js').post();
