/**
 * A store for @fastify/session, and the plugin that it needs. The framework asks its store by id alone and renews a
 * session by `destroy` and `set`, so the plugin notes for each request which rows it has loaded, and when it renews.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifySessionObject } from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest, Session } from 'fastify'
import { answer } from './answer'
import { contentOf, toObject } from './content'
import { Database, type Device, type Principal, type StoreOptions } from './database'
import { type CookieLike, endOf, hasMoved, isOther, lifeOf, maxAgeOf } from './lifetime'
import { Row, type SessionLike } from './row'

export type { Device, Principal, Queryable, StoreOptions } from './database'

declare module '@fastify/session' {
  interface FastifySessionObject {
    /** Renews the id, binds the session to the user whom the principal names, and puts the values into it. */
    login(principal: Principal, attributes?: object | null, values?: object): Promise<void>
    /** The live sessions of the same user, this one first. */
    devices(): Promise<Device[]>
    /** Ends the one of them that has this handle. */
    revoke(handle: string): Promise<boolean>
    /** Ends all of them but this one; their handles. */
    revokeOthers(): Promise<string[]>
    /** Takes a value out of the session. Of requests that do this at once only one gets it. */
    pop(key: string): Promise<unknown>
  }
}

type Callback = (error?: unknown) => void

/** Under way: the framework destroys the one session, and sets the other at once. */
interface Renewal {
  from?: Row
  login?: { principal: Principal; attributes?: object | null; values?: object; cookie: CookieLike }
}

interface Scope {
  rows: Map<string, Row>
  /** The browser presented an id that no session has. */
  unknown?: boolean
  renewal?: Renewal
}

const scopes = new AsyncLocalStorage<Scope>()
const requests = new WeakMap<FastifyRequest, Scope>()
let registered = false

/** How many ids of sessions that `decryptSession` has loaded are kept. */
const REMEMBERED = 10_000

export class SessionStore {
  readonly #database: Database
  readonly #ttl: number | undefined
  /** Of plain objects, which come from no request. */
  readonly #rows = new WeakMap<object, Row>()
  /** Loaded for no request, by `decryptSession`; the last ones. */
  readonly #loaded = new Set<string>()
  #forgot = false

  constructor(options: StoreOptions = {}) {
    this.#database = new Database(options)
    this.#ttl = options.ttl
  }

  get(sid: string, callback: (error: unknown, session?: Session | null) => void): void {
    answer(this.#load(sid, scopes.getStore()), callback)
  }

  set(sid: string, session: SessionLike, callback: Callback): void {
    const scope = scopes.getStore()
    const renewal = scope?.renewal
    if (scope && renewal?.from) {
      delete scope.renewal
      answer(this.#renew(sid, session, scope, renewal.from, renewal), callback)
    } else {
      answer(this.#save(sid, session, scope), callback)
    }
  }

  destroy(sid: string, callback: Callback): void {
    const scope = scopes.getStore()
    if (scope?.renewal) {
      scope.renewal.from = scope.rows.get(sid) ?? new Row(this.#database, sid)
      callback()
    } else {
      answer<unknown>(scope?.rows.get(sid)?.destroy() ?? this.#database.destroy(sid), callback)
    }
  }

  length(callback: (error: unknown, length?: number) => void): void {
    answer(this.#database.count(), callback)
  }

  clear(callback?: Callback): void {
    answer(this.#database.clear(), callback)
  }

  /** Ends the connections, unless the pool is the application's. */
  close(): Promise<void> {
    return this.#database.close()
  }

  devices(sid: string): Promise<Device[]> {
    return this.#database.devices(sid)
  }

  revoke(sid: string, handle: string): Promise<boolean> {
    return this.#database.revoke(sid, handle)
  }

  revokeOthers(sid: string): Promise<string[]> {
    return this.#database.revokeOthers(sid)
  }

  pop(sid: string, session: object, key: string): Promise<unknown> {
    return this.#rowOf(sid, session, scopes.getStore()).pop(session as Record<string, unknown>, key)
  }

  /** The framework does not extend a session that is only read. */
  async #load(sid: string, scope: Scope | undefined): Promise<Session | null> {
    const json = await this.#database.fetch(sid, false)
    if (scope) scope.unknown = json === null
    if (json === null) return null
    const [row, session] = Row.live(this.#database, sid, json)
    const { cookie } = session
    if (cookie && maxAgeOf(cookie) !== null) {
      // It is live, whatever the date said when it was written: that may be a step old.
      delete cookie.expires
    } else if (cookie && (endOf(cookie) ?? Number.POSITIVE_INFINITY) <= Date.now()) {
      return null
    }
    if (scope) scope.rows.set(sid, row)
    else this.#note(row, session)
    return session as Session
  }

  async #save(sid: string, session: SessionLike, scope: Scope | undefined): Promise<void> {
    if (!scope && 'regenerate' in session) return this.#saveAlone(sid, session)
    const row = this.#rowOf(sid, session, scope)
    await row.save(this.#contentOf(session, row), lifeOf(session.cookie ?? {}, this.#ttl))
  }

  #contentOf(session: SessionLike, row: Row): Map<string, string> {
    return contentOf(session.cookie ? { ...session, cookie: cookieOf(session.cookie, row, this.#ttl) } : session)
  }

  #rowOf(sid: string, session: object, scope: Scope | undefined): Row {
    let row = scope ? scope.rows.get(sid) : this.#rows.get(session)
    if (row?.sid !== sid) {
      row = new Row(this.#database, sid, 'regenerate' in session)
      if (scope) scope.rows.set(sid, row)
      else this.#rows.set(session, row)
    }
    return row
  }

  /** Of `decryptSession`: nobody has noted what was loaded, so the last save wins, but what has ended stays ended. */
  async #saveAlone(sid: string, session: SessionLike): Promise<void> {
    if (!registered)
      throw new Error('register `principals` of connect-session-store-pg/fastify before @fastify/session')
    const life = lifeOf(session.cookie ?? {}, this.#ttl)
    const data = toObject(this.#contentOf(session, new Row(this.#database, sid)))
    if (life === null) await this.#database.destroy(sid)
    else if (!this.#loaded.has(sid) && !this.#forgot) await this.#database.put(sid, data, life)
    else if (!(await this.#database.replace(sid, data, life)) && !this.#loaded.has(sid)) {
      throw new Error('this session is new, or one that has ended: too many were loaded to tell')
    }
  }

  #note(row: Row, session: object): void {
    this.#rows.set(session, row)
    this.#loaded.add(row.sid)
    const [oldest] = this.#loaded
    if (oldest && this.#loaded.size > REMEMBERED) this.#forgot = this.#loaded.delete(oldest)
  }

  async #renew(sid: string, session: SessionLike, scope: Scope, from: Row, { login }: Renewal): Promise<void> {
    // Until it has worked there is nothing that the request could save.
    const nothing = new Row(this.#database, sid)
    nothing.state = 'ended'
    scope.rows.set(sid, nothing)
    if (login) session.cookie = login.cookie
    const content = this.#contentOf({ ...session, ...login?.values }, from)
    const life = lifeOf(session.cookie ?? {}, this.#ttl)
    if (!login) {
      scope.rows.set(sid, await from.renew(sid, content, life))
      return
    }
    const [row, data] = await from.login(sid, login.principal, login.attributes, content, life)
    scope.rows.set(sid, row)
    for (const key of Object.keys(session)) if (!Object.hasOwn(data, key)) delete session[key as keyof SessionLike]
    Object.assign(session, data, { cookie: login.cookie })
  }
}

/**
 * Gives `request.session` the methods `login`, `devices`, `revoke`, `revokeOthers` and `pop`, and the store what it has to
 * know of a request. To be registered before @fastify/session.
 */
export const principals = Object.assign(
  (fastify: FastifyInstance, _options: object, done: (error?: Error) => void): void => {
    if (fastify.hasRequestDecorator('session')) {
      done(new Error('register `principals` before @fastify/session'))
      return
    }
    registered = true
    fastify.addHook('onRequest', (request, _reply, next) => {
      const scope: Scope = { rows: new Map() }
      follow(request, scope)
      requests.set(request, scope)
      scopes.run(scope, next)
    })
    fastify.addHook('onSend', (request, reply, _payload, next) => {
      beforeSaving(request, reply, next)
    })
    // The framework keeps no cookie of a renewed session that nothing was put into.
    fastify.addHook('onResponse', (request, _reply, next) => {
      for (const row of requests.get(request)?.rows.values() ?? []) answer(row.discard())
      next()
    })
    done()
  },
  // As fastify-plugin does: for the application that registers it, not for a context of its own.
  { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'connect-session-store-pg' },
)

/**
 * The framework clears the cookie of an unknown id, and sends that of a session that has ended while it was changed. By
 * now the browser may have the cookie of a login that this request did not know of.
 */
function beforeSaving(request: FastifyRequest, reply: FastifyReply, next: (error?: Error) => void): void {
  const { session } = request
  const scope = requests.get(request)
  const row = scope?.rows.get(session?.sessionId)
  if (scope?.unknown && row?.state !== 'live') reply.clearCookie = () => reply
  const goOn = (error?: Error) => {
    if (row?.state === 'ended') request.session = null as never
    next(error)
  }
  const look = (error?: Error) => {
    if (!error && row?.isDoubtful) answer(row.look(), (failure) => goOn(failure as Error))
    else goOn(error)
  }
  // The framework does not look at the cookie, and sends it with what the application has asked of it all the same.
  const isChanged = () => session.isModified() || (row?.cookie && isOther(JSON.parse(row.cookie), session.cookie))
  if (row?.state === 'live' && isChanged()) session.save(look)
  else look()
}

/** Each session that the framework gives the request is equipped, also one that replaces another. */
function follow(request: FastifyRequest, scope: Scope): void {
  let session = request.session
  Object.defineProperty(request, 'session', {
    configurable: true,
    enumerable: true,
    get: () => session,
    set: (value) => {
      session = value
      if (typeof value?.regenerate === 'function' && !Object.hasOwn(value, 'regenerate')) equip(value, request, scope)
    },
  })
}

function equip(session: FastifySessionObject, request: FastifyRequest, scope: Scope): void {
  const { save, destroy, reload, regenerate } = session
  const store = request.sessionStore as unknown as SessionStore
  // biome-ignore lint/suspicious/noExplicitAny: each takes a callback or returns a promise
  const within = (method: (...args: any[]) => unknown, renewal?: Renewal) => {
    return (...args: unknown[]) =>
      scopes.run(scope, () => {
        // The framework calls the store's destroy and set before it returns.
        if (renewal) scope.renewal = { ...renewal }
        try {
          return method.apply(session, args)
        } finally {
          delete scope.renewal
        }
      })
  }
  const methods: Record<string, unknown> = {
    // Whatever the handler has awaited meanwhile, the store knows the request.
    save: within(save),
    destroy: within(destroy),
    reload: within(reload),
    regenerate: within(regenerate, {}),
    async login(principal: Principal, attributes?: object | null, values?: object) {
      const { cookie, ...rest } = session
      try {
        await within(regenerate, { login: { principal, attributes, values, cookie } })(Object.keys(rest))
        await request.session.save()
      } catch (error) {
        request.session = session
        throw error
      }
    },
    devices: () => store.devices(session.sessionId),
    revoke: (handle: string) => store.revoke(session.sessionId, handle),
    revokeOthers: () => store.revokeOthers(session.sessionId),
    pop: within((key: string) => store.pop(session.sessionId, session, key)),
  }
  for (const [name, value] of Object.entries(methods)) {
    if (Object.hasOwn(session, name)) continue
    Object.defineProperty(session, name, { value, writable: true, configurable: true })
  }
}

interface StoredCookie extends CookieLike {
  /** When a session without an end of its own was last written. */
  touched?: number
}

/** The cookie as it is stored: with its date, but as it was, unless that has moved by more than a step. */
function cookieOf(cookie: CookieLike, row: Row, ttl = Number.POSITIVE_INFINITY): StoredCookie {
  const { originalExpires, expires, ...stored } = JSON.parse(JSON.stringify(cookie))
  const before: StoredCookie = row.cookie === undefined ? {} : JSON.parse(row.cookie)
  const age = maxAgeOf(stored)
  const end = endOf({ expires })
  const lifetime = age ?? ttl * 1000
  if (age === null && end === null) {
    const { touched } = before
    return { ...stored, touched: touched && !hasMoved(touched, Date.now(), lifetime) ? touched : Date.now() }
  }
  const was = endOf(before)
  const stays = was !== null && end !== null && !hasMoved(was, end, lifetime)
  return { ...stored, expires: stays ? before.expires : expires }
}
