/** One project per kind of test; `scripts/test.ts` chooses which of them run. */
const project = (displayName) => ({
  displayName,
  testMatch: [`<rootDir>/__tests__/${displayName}/**/*.test.ts`],
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironment: 'node',
  transform: { '^.+\\.ts$': '<rootDir>/scripts/strip-types.mjs' },
});

export default {
  projects: ['unit', 'project', 'protocol', 'action', 'local-cluster', 'cluster'].map(project),
};
