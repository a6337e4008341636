/** One project per kind of test; `scripts/test.ts` chooses which of them run. */
const transform = {
  '^.+\\.ts$': ['ts-jest', { useESM: true, tsconfig: { isolatedModules: true }, diagnostics: false }],
};

const project = (displayName, folder) => ({
  displayName,
  testMatch: [`<rootDir>/__tests__/${folder}/**/*.test.ts`],
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironment: 'node',
  transform,
});

export default {
  projects: [
    project('unit', 'unit'),
    project('project', 'project'),
    project('protocol', 'protocol'),
    project('action', 'action'),
    project('local-cluster', 'local-cluster'),
    project('cluster', 'cluster'),
  ],
};
