import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const DEMO = fileURLToPath(new URL('../../../pg_demo.sh', import.meta.url))
const SERVER = fileURLToPath(new URL('../server.js', import.meta.url))

/** Starts a program that prints an address, and is ended with the test. */
async function start(t, command, args, env) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  t.after(() => child.kill())
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('http://')) return { child, exit, url: line }
  }
  throw new Error(`no address, but ${await exit}`)
}

/** Of all processes that may be looked at: those that have the text in what `look` finds of them. */
function processesWith(text, look) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return look(`/proc/${pid}`).includes(text)
      } catch {
        return false // it ended, or belongs to somebody else
      }
    })
}

const environmentOf = (process) => readFileSync(`${process}/environ`, 'utf8')
const directoryOf = (process) => readlinkSync(`${process}/cwd`)

describe('./pg_demo.sh --web', () => {
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ]) {
    it(`opens the shop, and leaves nothing behind after ${signal}`, { timeout: 600_000 }, async (t) => {
      const mark = randomUUID()
      const { child, exit, url } = await start(t, DEMO, ['--web'], { MARK: mark })
      assert.match(await (await fetch(url)).text(), /Things for wet days/)
      const login = {
        method: 'POST',
        body: new URLSearchParams({ name: 'ada', password: 'umbrella' }),
        redirect: 'manual',
      }
      assert.equal((await fetch(`${url}login`, login)).status, 303)

      const directories = processesWith(mark, environmentOf).map((pid) => directoryOf(`/proc/${pid}`))
      const [directory] = /^\/tmp\/session_store\.\w+/m.exec(directories.join('\n'))
      assert.notDeepEqual(processesWith(`${directory}/server`, directoryOf), [], 'PostgreSQL runs there')

      child.kill(signal)
      assert.deepEqual(await exit, [status, null])
      assert.deepEqual(processesWith(mark, environmentOf), [])
      assert.deepEqual(processesWith(directory, directoryOf), [])
      assert.ok(!existsSync(directory))
    })
  }
})

describe('the server', () => {
  it('stops when it is told to, though a browser keeps connections open', { timeout: 60_000 }, async (t) => {
    const { child, exit, url } = await start(t, process.execPath, [SERVER], { SESSION_SECRET: 'of the tests' })
    await (await fetch(url)).text() // kept alive
    const { hostname, port } = new URL(url)
    const unused = connect(Number(port), hostname)
    unused.on('error', () => {})
    await once(unused, 'connect')
    child.kill('SIGTERM')
    assert.deepEqual(await exit, [0, null])
    unused.destroy()
  })
})
