import { Bundle } from './load.js';
const { RUNNER_TEMP } = process.env;
const keptIn = RUNNER_TEMP && `${RUNNER_TEMP}/kube-buildx/compiled/c79912e03707a38f`;
const bundle = new Bundle(`${import.meta.dirname}/bundle`, keptIn);
await bundle.require('./index.js').setup();
if (!process.exitCode) bundle.keep();
