/** The suite of keyv's stores, as it is, over a class that keeps each key in a session of its own. */

import { createHash } from 'node:crypto'
import keyvTestSuite from '@keyv/test-suite'
import type { SessionData } from 'express-session'
import Keyv from 'keyv'
import pg from 'pg'
import * as vitest from 'vitest'
import { SessionStore } from '../src'

// Some of the tests go on before what they have begun is done.
const oneAfterTheOther = new pg.Pool({ max: 1 })
vitest.afterAll(() => oneAfterTheOther.end())

class SessionKeyv {
  opts: Record<string, unknown> = {}
  namespace?: string
  readonly #store = new SessionStore({ pool: oneAfterTheOther })
  /** Ids are not stored, so what clears a namespace has to know them. */
  static readonly #used = new Map<string, Set<string>>()

  async get(key: string): Promise<unknown> {
    const session = await this.#promise<SessionData | null>((done) => this.#store.get(this.#sid(key), done))
    return session?.value
  }

  async set(key: string, value: unknown, ttl?: number): Promise<void> {
    const session = { cookie: { originalMaxAge: ttl ?? null }, value } as unknown as SessionData
    this.#usedHere.add(this.#sid(key))
    await this.#promise((done) => this.#store.set(this.#sid(key), session, done))
  }

  async delete(key: string): Promise<boolean> {
    return this.#promise<boolean>((done) => this.#store.destroy(this.#sid(key), done))
  }

  async clear(): Promise<void> {
    for (const sid of this.#usedHere) await this.#promise((done) => this.#store.destroy(sid, done))
    this.#usedHere.clear()
  }

  on() {
    return this
  }

  get #usedHere(): Set<string> {
    const used = SessionKeyv.#used.get(this.namespace ?? '') ?? new Set()
    SessionKeyv.#used.set(this.namespace ?? '', used)
    return used
  }

  #sid(key: string): string {
    return createHash('sha256').update(key).digest('base64url')
  }

  #promise<T>(work: (done: (error?: unknown, result?: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => work((error, result) => (error ? reject(error) : resolve(result as T))))
  }
}

keyvTestSuite(vitest as never, Keyv, () => new SessionKeyv())
