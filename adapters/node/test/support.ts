import type { AddressInfo, Server } from 'node:net'
import pg from 'pg'
import { afterAll, afterEach, beforeEach } from 'vitest'
import type { Queryable } from '../src'

export const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** The application's pool, which notes what is sent. */
class CountingPool implements Queryable {
  readonly pool = new pg.Pool()
  sent: string[] = []
  /** Called before a statement is sent. */
  before: (text: string) => Promise<void> | void = () => {}

  async query(statement: Parameters<Queryable['query']>[0]) {
    this.sent.push(statement.text)
    await this.before(statement.text)
    return this.pool.query(statement)
  }

  /** The functions called since, one for each statement: that of a nested call which comes first. */
  async calls(work: () => Promise<unknown>): Promise<string[]> {
    this.sent = []
    await work()
    return this.sent.map((text) => text.match(/\bsession_\w+(?=\()/g)?.at(-1) ?? text)
  }
}

export const pool = new CountingPool()

const owner = new pg.Pool({ connectionString: process.env.OWNER_URL })

/** Asks with the rights of the owner: what a test looks up in the table. */
export async function ask<T>(text: string, values: unknown[] = []): Promise<T> {
  return Object.values((await owner.query(text, values)).rows[0] ?? {})[0] as T
}

export const sha256 = (sid: string) => ask<Buffer>('SELECT sha256(convert_to($1, $2))', [sid, 'UTF8'])

/** How many seconds a session lives from now on, at most. */
export async function remaining(sid: string): Promise<number> {
  return Number(
    await ask('SELECT extract(epoch FROM session_expiry - now()) FROM session WHERE session_key = $1', [
      await sha256(sid),
    ]),
  )
}

beforeEach(() => ask('SELECT session_clear()'))

const closing: (() => unknown)[] = []
afterEach(async () => {
  pool.before = () => {}
  for (const close of closing.splice(0)) await close()
})
afterAll(() => Promise.all([pool.pool.end(), owner.end()]))

/** How a server that is down looks by a Unix socket. */
export async function connectWithoutServer() {
  await new pg.Client({ host: '/nowhere' }).connect()
}

export function closeAfterTest(close: () => unknown) {
  closing.push(close)
}

export async function addressOf(server: Server): Promise<string> {
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Keeps cookies as a browser does. */
export class Browser {
  cookies = new Map<string, string>()
  /** What the last answer set. */
  received: string[] = []

  constructor(private readonly base: string) {}

  /** Another tab, or another device that knows the same cookie: from now on they are apart. */
  copy(): Browser {
    const browser = new Browser(this.base)
    browser.cookies = new Map(this.cookies)
    return browser
  }

  async get(path: string): Promise<unknown> {
    return this.#send(path, { method: 'GET' })
  }

  async post(path: string, body?: object): Promise<unknown> {
    const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    return this.#send(path, { method: 'POST', ...json })
  }

  /** The session id in the cookie, without its signature. */
  get sid(): string {
    const [value] = this.cookies.values()
    return decodeURIComponent(value ?? '')
      .replace(/^s:/, '')
      .replace(/\.[^.]*$/, '')
  }

  async #send(path: string, init: RequestInit): Promise<unknown> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(this.base + path, { ...init, headers: { ...init.headers, cookie } })
    this.received = response.headers.getSetCookie()
    for (const line of this.received) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const expires = /expires=([^;]+)/i.exec(line)?.[1]
      if (expires && Date.parse(expires) <= Date.now()) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
    return response.json()
  }
}
