import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { hasPostgres } from './scripts/debian.ts'

// One worker process image for all files: isolation off is what keeps the suite in seconds, and is why src/ has no global state.
export default defineConfig({
  test: {
    isolate: false,
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // As the launcher has it, for the programs that tests start.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, '.cache/compile') },
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['src/**/*.test.ts', 'test/*.test.ts', 'test/{fakes,fixtures}/**/*.test.ts'] },
      },
      { extends: true, test: { name: 'house', include: ['test/house/**/*.test.ts'], testTimeout: 60_000 } },
      {
        extends: true,
        test: {
          name: 'house on postgres',
          include: hasPostgres() ? ['test/house/**/*.test.ts'] : [],
          // These start no house, choose the engine themselves, or try what sees no engine: other people's programs, paths.
          exclude: [
            'conformance',
            'launcher',
            'kill',
            'replicas',
            'idempotency',
            'approvals-processes',
            'change-control',
            'audit',
            'storm',
            'oauth-conformance',
            'oauth-processes',
            'oauth-real-clients',
            'scorecard',
            'approval-kill',
            'grant-parity',
          ].map((file) => `test/house/${file}.test.ts`),
          env: { GATEHOUSE_TEST_ENGINE: 'postgres' },
          testTimeout: 60_000,
        },
      },
    ],
  },
})
