/** Every statement that the package sends. Each is one round trip. */

import { createHash } from 'node:crypto'
import { Pool, type PoolConfig } from 'pg'
import { type Difference, wellFormed } from './content'
import type { Life } from './lifetime'

/** What is needed of a pool: a Pool of pg, or what looks like one. */
export interface Queryable {
  // biome-ignore lint/suspicious/noExplicitAny: rows are whatever the statement returns
  query(statement: { name?: string; text: string; values: unknown[] }): Promise<{ rows: any[] }>
}

export interface StoreOptions extends PoolConfig {
  /** The application's pool. Without it the store makes one of its own from pg's options, or else the environment. */
  pool?: Queryable
  /** The schema of the extension, if it is not on the search_path. */
  schema?: string
  /** Whether a connection keeps the plans of its statements, under names. Not behind PgBouncer before 1.21. */
  prepare?: boolean
  /** Seconds that a session lives unused whose cookie lasts as long as the browser; session_store.max_lifetime unless given. */
  ttl?: number
}

/** One session of a user, as a list of devices shows it. */
export interface Device {
  /** Names the session in `revoke`; it is no session id. */
  handle: string
  isThis: boolean
  /** What the login gave. */
  attributes: Record<string, unknown> | null
  createdAt: Date
  authenticatedAt: Date
  lastSeen: Date | null
  expiresAt: Date
}

const DEVICE = `handle, is_this AS "isThis", attributes, created_at AS "createdAt",
  authenticated_at AS "authenticatedAt", last_seen AS "lastSeen", expires_at AS "expiresAt"`

/** Whom a session belongs to: whatever the application calls a user by. */
export type Principal = string | number | bigint

export class Database {
  readonly #pool: Queryable
  readonly #own?: Pool
  readonly #schema: string
  readonly #prepare: boolean

  constructor({ pool, schema, prepare = false, ttl: _, ...config }: StoreOptions) {
    if (!pool) {
      this.#own = new Pool(config)
      // A connection that breaks while nobody uses it: the pool makes another, and who needs the server meets the error.
      this.#own.on('error', () => {})
    }
    this.#pool = pool ?? (this.#own as Pool)
    this.#prepare = prepare
    this.#schema = schema === undefined ? '' : `"${schema.replaceAll('"', '""')}".`
  }

  /** The content as JSON text; null when there is no live session, or one of another kind. */
  async fetch(sid: string, slide: boolean): Promise<string | null> {
    if (!isPossible(sid)) return null
    const row = await this.#row(`SELECT data::text FROM ${this.#schema}session_fetch($1, $2)`, [sid, slide])
    return row?.data ?? null
  }

  /** Saves a new session; false when there is one with this id. */
  create(sid: string, data: string, life: Life): Promise<boolean> {
    return this.#does('session_save($1, $2::text, 0, $LIFE)', [sid, data], life)
  }

  /** Replaces the content of a session; false when it is gone. */
  replace(sid: string, data: string, life: Life | null): Promise<boolean> {
    return this.#does('session_save($1, $2::text, NULL, $LIFE)', [sid, data], life)
  }

  /** Begins a session under this id, or replaces the content of the one that is there. */
  put(sid: string, data: string, life: Life): Promise<boolean> {
    const save = (version: string) => `${this.#schema}session_save($1, $2::text, ${version}, $LIFE)`
    return this.#is(`coalesce(${save('NULL')}, ${save('0')})`, [sid, data], life)
  }

  /** Changes some keys of a session; false when it is gone. */
  patch(sid: string, { patch, remove }: Difference, life: Life | null): Promise<boolean> {
    return this.#does('session_patch($1, $2::text, $3::text[], $LIFE)', [sid, patch, remove], life)
  }

  /** Keeps a session alive; false when it is gone. */
  touch(sid: string, life: Life): Promise<boolean> {
    return this.#does('session_touch($1, $LIFE)', [sid], life)
  }

  async destroy(sid: string): Promise<boolean> {
    return isPossible(sid) && (await this.#value('session_destroy($1)', [sid]))
  }

  /** Moves a session to a new id, where it has a new content and whatever else it had; false when it is gone. */
  move(sid: string, to: string, data: string, life: Life): Promise<boolean> {
    const renewed = `${this.#schema}session_regenerate($1, $3, must_exist => true)`
    return this.#does(`session_save(${renewed}, $2::text, NULL, $LIFE)`, [sid, data, to], life)
  }

  /** Moves a session to a new id, or begins one there, binds it to the principal and changes it; its content then. */
  async login(
    sid: string | null,
    to: string,
    principal: Principal,
    attributes: object | null,
    change: Difference,
    life: Life | null,
  ): Promise<string> {
    const login = (from: string, rest = '') => `${this.#schema}session_login(${from}, $2, $3::jsonb, $4${rest})`
    const bound = `coalesce(${login('$1', ', must_exist => true')}, ${login('NULL')})`
    const changed = `${this.#schema}session_patch(${bound}, $5::text, $6::text[], $LIFE)`
    const { text, values } = withLife(
      `SELECT data::text FROM ${this.#schema}session_fetch(CASE WHEN ${changed} IS NOT NULL THEN $4 END)`,
      [sid, principal, attributes && wellFormed(JSON.stringify(attributes)), to, change.patch, change.remove],
      life,
    )
    const row = await this.#row(text, values)
    if (!row) throw new Error('the new session id is taken')
    return row.data
  }

  unbind(sid: string): Promise<boolean> {
    return this.#value('session_bind($1, NULL)', [sid])
  }

  async devices(sid: string): Promise<Device[]> {
    return this.#rows(`SELECT ${DEVICE} FROM ${this.#schema}session_devices($1)`, [sid])
  }

  async revoke(sid: string, handle: string): Promise<boolean> {
    return (
      typeof handle === 'string' &&
      !handle.includes('\0') &&
      (await this.#value('session_revoke($1, $2)', [sid, handle]))
    )
  }

  async revokeOthers(sid: string): Promise<string[]> {
    const text = `SELECT handle FROM ${this.#schema}session_revoke_others($1) AS handle`
    return (await this.#rows(text, [sid])).map((row) => row.handle)
  }

  exists(sid: string): Promise<boolean> {
    return this.#value('session_exist($1)', [sid])
  }

  /** Drops a key and returns its value as JSON text; null when somebody else has. */
  pop(sid: string, key: string): Promise<string | null> {
    return this.#value('session_pop($1, $2)::text', [sid, key])
  }

  async count(): Promise<number> {
    return Number(await this.#value('session_all()', []))
  }

  async clear(): Promise<void> {
    await this.#value('session_clear()', [])
  }

  /** Ends the pool, if it is the store's own. */
  async close(): Promise<void> {
    await this.#own?.end()
  }

  /** A call whose result is NULL when there is no such session. */
  #does(call: string, values: unknown[], life: Life | null): Promise<boolean> {
    return this.#is(this.#schema + call, values, life)
  }

  async #is(expression: string, values: unknown[], life: Life | null): Promise<boolean> {
    const query = withLife(`SELECT ${expression} IS NOT NULL AS done`, values, life)
    return (await this.#row(query.text, query.values)).done
  }

  // biome-ignore lint/suspicious/noExplicitAny: whatever the call returns
  async #value(call: string, values: unknown[]): Promise<any> {
    return (await this.#row(`SELECT ${this.#schema}${call} AS value`, values)).value
  }

  // biome-ignore lint/suspicious/noExplicitAny: whatever the statement returns
  async #row(text: string, values: unknown[]): Promise<any> {
    return (await this.#rows(text, values))[0]
  }

  // biome-ignore lint/suspicious/noExplicitAny: whatever the statement returns
  async #rows(text: string, values: unknown[]): Promise<any[]> {
    return (await this.#pool.query({ text, values, ...(this.#prepare && { name: nameOf(text) }) })).rows
  }
}

const names = new Map<string, string>()

/** The same for the same text in each process, so that through a pooler nobody ever runs another statement. */
function nameOf(text: string): string {
  const name = names.get(text) ?? createHash('sha1').update(text).digest('hex')
  names.set(text, name)
  return name
}

/** Ids that no session can have need no question, and some could not be sent. */
function isPossible(sid: unknown): sid is string {
  return typeof sid === 'string' && /^[\x20-\x7e]{1,256}$/.test(sid)
}

/** Adds the two arguments of a lifetime. What needs no expression is none: each statement is planned anew. */
function withLife(text: string, values: unknown[], life: Life | null) {
  const { lifetime, deadline } = life ?? { lifetime: null, deadline: null }
  const all = [...values]
  const interval = (seconds: number) => `make_interval(secs => $${all.push(seconds)}::float8)`
  const idle = lifetime === null ? 'NULL' : interval(lifetime)
  let end = 'NULL'
  // Before PostgreSQL 17 there is no infinite interval to add.
  if (deadline !== null) end = deadline === Number.POSITIVE_INFINITY ? "'infinity'" : `now() + ${interval(deadline)}`
  return { text: text.replaceAll('$LIFE', () => `${idle}, ${end}`), values: all }
}
