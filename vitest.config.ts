import { defineConfig } from 'vitest/config'

// One worker process image for all files: isolation off is what keeps the suite in seconds, and is why src/ has no global state.
export default defineConfig({
  test: {
    isolate: false,
    pool: 'threads',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts', 'test/*.test.ts', 'test/{fakes,fixtures}/**/*.test.ts'] } },
      { extends: true, test: { name: 'house', include: ['test/house/**/*.test.ts'], testTimeout: 60_000 } },
    ],
  },
})
