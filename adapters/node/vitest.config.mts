import { defineConfig } from 'vitest/config'

export default defineConfig({
  // One file after the other: they share a database.
  test: { include: ['test/*.test.ts'], fileParallelism: false, testTimeout: 30_000, hookTimeout: 60_000 },
})
